"""Input without bounds, and input that would be code elsewhere: refused or harmless, in logs and files."""

import csv
import io
import json
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.files.safe_cell import safe_cell
from storage.versions.store import Store
from tests.data.running_service import Running, running_service
from tests.data.tiny_version import publish

CANARIES = [
    "canary-plain-4711",
    'canary-4712"} {"event": "forged", "level": "info"',
    'canary-4713\n{"event": "forged", "level": "info"}',
    "canary-4714\r\nforged: line",
    "canary-4715\x1b[2J\x1b[31m",
    "canary-4716\u2028{forged}",
    "canary-4717%s%n{0}{customer}",
    "canary-4718\0end",
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("hostile")
    store = Store(folder / "store")
    store.root.mkdir()
    publish(store)
    settings = {"slow_ms": "1", "log_level": "debug", "idle_timeout_s": "2"}
    with running_service(store.root, folder / "log", **settings) as running:
        yield running


def raw(running: Running, request: bytes) -> bytes:
    """All that is answered to these bytes until the server closes, or says nothing more."""
    with socket.create_connection(("127.0.0.1", running.port), 5) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while more := connection.recv(65_536):
                answer += more
        except OSError:
            pass
        return answer


def status(running: Running, request: bytes) -> int:
    return int(raw(running, request)[9:12] or 0)


def get(path: str, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in ("Host: localhost", "Connection: close", *headers))
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    return get(path, *headers).replace(b"GET", b"POST", 1) + body


def test_what_is_too_large_is_refused_and_costs_no_memory(running: Running) -> None:
    (worker,) = running.workers()
    before = worker.memory_info().rss
    for _ in range(10):
        assert status(running, get(f"/recommend/{'i' * 257}")) == 400
        assert status(running, get("/recommend/anna?n=101")) == 400
        assert status(running, get("/recommend/anna?n=NaN")) == 400
        assert status(running, get("/recommend/anna?n=1&n=1")) == 400
        assert status(running, get("/recommend/anna?exclude=" + "%20," * 101)) == 400
        assert status(running, get("/recommend/anna?" + "&".join(f"p{n}=1" for n in range(100)))) == 400
        assert status(running, get("/recommend/" + "a" * 70_000)) == 414
        assert status(running, get("/popular", *(f"X-{n}: 1" for n in range(200)))) == 431
        assert status(running, get("/popular", "Cookie: " + "c" * 140_000)) == 431
    assert worker.memory_info().rss - before < 8e6


def test_a_body_is_refused_by_its_length_and_never_read(running: Running) -> None:
    (worker,) = running.workers()
    before = worker.memory_info().rss
    assert status(running, post("/popular", b"", "Transfer-Encoding: chunked")) == 411
    assert status(running, post("/popular", b"5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked")) == 411
    assert status(running, post("/popular", b"x" * 1000, "Content-Length: 1000")) == 405
    assert status(running, post("/popular", b"x" * 65_537, "Content-Length: 65537")) == 413
    assert status(running, post("/popular", b"", "Content-Length: 999999999999")) == 413
    nested = b"[" * 100_000
    assert status(running, post("/popular", nested, f"Content-Length: {len(nested)}")) == 413
    large = get("/popular", "Content-Length: 30000000") + b"x" * 30_000_000
    assert status(running, large) in (0, 200)  # answered before the body, or cut while it came
    assert worker.memory_info().rss - before < 8e6
    assert running.get("/popular").ok


def test_two_requests_in_one_are_not_smuggled(running: Running) -> None:
    for headers in (
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length: +5",),
        ("Content-Length: 5 ,5",),
    ):
        answer = raw(running, post("/popular", b"hello", *headers))
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer[9:12] in (b"400", b"411", b"405")


def test_a_request_whose_head_never_ends_is_dropped(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
        connection.sendall(b"GET /popular HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert connection.recv(1000) == b""  # not dropped, it would wait for more


def test_planted_ids_reach_no_log_and_forge_no_line(running: Running) -> None:
    for canary in CANARIES:
        for path in (f"/recommend/{quote(canary, safe='')}", f"/similar/{quote(canary, safe='')}"):
            assert status(running, get(path)) in ((400,) if "\0" in canary else (200, 404))
        plain = canary.encode("unicode_escape").decode()
        known = (f"X-Forwarded-For: {plain}", f"User-Agent: {plain}", f"Authorization: Bearer {plain}")
        for request in (
            get(f"/popular?category={quote(canary, safe='')}"),
            get(f"/popular?{quote(canary, safe='')}=1"),
            get(f"/{quote(canary, safe='')}"),
            get("/popular", *known),
            get("/recommend/anna", f"X-Request-Id: {plain}"),
        ):
            assert status(running, request) in (200, 400, 404)
    raw(running, b"GET /canary-4719 HTTP/9.9\r\ncanary: \xff\r\n\r\n")
    text = running.log.read_text()
    assert "canary" not in text
    assert "forged" not in text
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())


@given(st.text())
@pytest.mark.parametrize("start", ["", "=", "+", "-", "@", "\t", "\r", "\n", " =", "\0="])
def test_no_cell_of_a_file_for_spreadsheets_is_a_formula(start: str, text: str) -> None:
    cell = safe_cell(start + text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    if not start and not text.startswith(("=", "+", "-", "@", "\t", "\r")):
        assert text in cell
    written = io.StringIO()
    csv.writer(written).writerow([cell, "next"])
    assert next(csv.reader(io.StringIO(written.getvalue(), newline="")))[1] == "next"
