"""The nginx configuration that we ship, in a real nginx before a real service; and the systemd unit."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from service.openapi.document import public_document
from service.web.problems import PROBLEMS
from storage.versions.store import Store
from tests.data.running_service import Running, free_port, is_open, running_service, until
from tests.data.tiny_version import publish

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
SUBJECT = ["-subj", "/CN=shop.example", "-days", "1", "-nodes"]


@dataclass
class Proxied:
    running: Running
    port: int
    folder: Path

    def get(self, path: str, **options: object) -> requests.Response:
        return self._ask("GET", path, **options)

    def post(self, path: str, **options: object) -> requests.Response:
        return self._ask("POST", path, **options)

    def _ask(self, method: str, path: str, **options: object) -> requests.Response:
        url = f"https://127.0.0.1:{self.port}{path}"
        return requests.request(method, url, verify=False, timeout=5, **options)  # type: ignore[arg-type]  # noqa: S501


def configuration(folder: Path, port: int, service_port: int) -> Path:
    """The shipped file, with the ports and paths of a test."""
    ours = (ROOT / "deploy/nginx.conf").read_text()
    ours = ours.replace("127.0.0.1:8000", f"127.0.0.1:{service_port}")
    ours = ours.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    ours = ours.replace("/etc/nginx/", f"{folder}/").replace("/var/log/nginx/", f"{folder}/")
    ours = ours.replace("timeout 5s", "timeout 1s")  # not to wait for as long
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    around = f"pid {folder}/pid; error_log {folder}/error.log; daemon off; events {{}}"
    path = folder / "nginx.conf"
    path.write_text(f"{around}\nhttp {{ access_log off; {temporary}\n{ours}}}\n")
    key = [
        "-newkey",
        "rsa:2048",
        "-keyout",
        str(folder / "nextbest.key"),
        "-out",
        str(folder / "nextbest.crt"),
    ]
    subprocess.run(["openssl", "req", "-x509", *key, *SUBJECT], check=True, capture_output=True)
    return path


@contextmanager
def nginx(path: Path) -> Iterator[None]:
    assert NGINX
    process = subprocess.Popen([NGINX, "-c", str(path)])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    if NGINX is None or shutil.which("openssl") is None:
        pytest.skip("no nginx or no openssl here")
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    store = Store(folder / "store")
    store.root.mkdir()
    publish(store)
    with running_service(store.root, folder / "log", workers=2, trusted_proxies="127.0.0.1") as running:
        port = free_port()
        path = configuration(folder, port, running.port)
        tried = subprocess.run([NGINX, "-t", "-c", path], capture_output=True, text=True, check=False)
        assert tried.returncode == 0, tried.stderr
        with nginx(path):
            found = Proxied(running, port, folder)
            until(lambda: is_open("127.0.0.1", port), 10)
            yield found


@pytest.mark.filterwarnings("ignore")
def test_answers_pass_and_nothing_else_does(proxied: Proxied) -> None:
    assert proxied.get("/recommend/anna").json()["source"] == "personal"
    assert proxied.get("/recommend/k%C3%A4the%2F1").json()["customer_id"] == "käthe/1"
    assert proxied.get("/popular?n=2").ok
    assert proxied.get("/similar/milk").ok
    assert proxied.get("/reorder/anna").ok
    assert proxied.get("/offers/anna").ok
    assert proxied.post("/basket", json={"product_ids": ["milk"]}).ok
    assert proxied.post("/recommend", json={"customer_ids": ["anna"]}).ok
    assert proxied.get("/customers/anna").status_code != 404
    assert proxied.get("/health/ready").ok
    for hidden in ("/metrics", "/docs", "/openapi.json", "/"):
        assert proxied.get(hidden).status_code == 404


@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_costs_no_answer_behind_the_proxy(proxied: Proxied) -> None:
    proxied.running.workers()[0].kill()
    statuses = []
    for _ in range(40):
        statuses.append(proxied.get("/recommend/anna").status_code)
        time.sleep(0.01)
    assert set(statuses) == {200}
    until(lambda: len(proxied.running.workers()) == 2, 20)


@pytest.mark.filterwarnings("ignore")
def test_slow_senders_and_large_requests_end_at_the_proxy(proxied: Proxied) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", proxied.port), 10)
    with context.wrap_socket(plain) as slow:
        slow.sendall(b"GET /popular HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ")
        start_s = time.monotonic()
        assert b"HTTP/1.1 200" not in slow.recv(1000)
        assert time.monotonic() - start_s < 8
    url = f"https://127.0.0.1:{proxied.port}/popular"
    assert requests.post(url, data=b"x" * 70_000, verify=False, timeout=5).status_code == 413  # noqa: S501
    assert proxied.get("/popular", headers={"Cookie": "c" * 70_000}).status_code == 400


@pytest.mark.filterwarnings("ignore")
def test_what_the_proxy_itself_refuses_says_when_to_ask_again_and_pages_can_read_it(
    proxied: Proxied, tmp_path: Path
) -> None:
    """With all its connections in use nginx answers by itself, and the service never hears of it."""
    tmp_path.chmod(0o755)
    port = free_port()
    with nginx(configuration(tmp_path, port, service_port=free_port())):
        until(lambda: is_open("127.0.0.1", port), 10)
        nobody_behind = Proxied(proxied.running, port, tmp_path)
        answer = nobody_behind.get("/recommend/anna", headers={"Origin": "https://shop.example"})
        sent = nobody_behind.post("/events", json={"type": "view"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        **{"type": "urn:nextbest:problem:overloaded", "title": PROBLEMS["overloaded"][1], "status": 503},
        "detail": "ask again after Retry-After seconds",
    }
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
    assert "Strict-Transport-Security" in answer.headers
    assert (sent.status_code, sent.json()["status"]) == (503, 503)


@pytest.mark.filterwarnings("ignore")
def test_the_proxys_log_has_addresses_routes_and_statuses_and_no_id(proxied: Proxied) -> None:
    paths = ("/recommend/anna?n=1", "/customers/anna", "/nowhere/anna", "/recommend/k%C3%A4the%2F1", "/anna")
    for path in paths:
        proxied.get(path, headers={"Referer": "https://shop.example/anna"})
    log = proxied.folder / "nextbest.log"
    until(lambda: log.exists() and log.read_text().count(" other 404 ") >= 2, 20)
    lines = log.read_text()
    assert re.search(r"^127\.0\.0\.1 \[\S+\] GET /recommend 200 ", lines, re.MULTILINE)
    assert "anna" not in lines
    assert "%C3" not in lines
    assert "ä" not in lines


def test_every_route_of_the_shop_passes() -> None:
    text = (ROOT / "deploy/nginx.conf").read_text()
    exact = re.findall(r"location = (\S+) {", text)
    patterns = [
        *map(re.escape, re.findall(r"location (/\S+) {", text)),
        *re.findall(r"location ~ (\S+) {", text),
    ]
    for path in public_document(has_metrics=False)["paths"]:
        if path != "/health/live":
            asked = path.replace("{", "").replace("}", "")
            assert asked in exact or any(re.match(one, asked) for one in patterns), path


LOGROTATE = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin")


@pytest.mark.skipif(LOGROTATE is None, reason="no logrotate here")
def test_logrotate_keeps_the_nights_log_for_fourteen_days(tmp_path: Path) -> None:
    assert LOGROTATE
    logs, rules = tmp_path / "logs", tmp_path / "rules"
    logs.mkdir()
    ours = (ROOT / "deploy/logrotate").read_text().replace("/var/log/nextbest", str(logs))
    rules.write_text(ours.replace("su nextbest nextbest", ""))
    rules.chmod(0o644)
    for day in range(20):
        (logs / "night.log").write_text(f"night {day}")
        command = [LOGROTATE, "--force", "--state", str(tmp_path / "state"), str(rules)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""
    assert (logs / "night.log.1").read_text() == "night 19"
    assert len(list(logs.iterdir())) == 14


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    text = (ROOT / "deploy/nextbest.service").read_text()
    command = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)
    assert command
    unit = tmp_path / "nextbest.service"
    unit.write_text(text.replace(command[1], "/bin/true").replace("=nextbest\n", "=root\n"))
    tried = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in tried.stderr.splitlines() if "nextbest.service" in line]
    assert (tried.returncode, ours) == (0, [])
