"""`make demo` from where the night is done: it shows what the service answers, and leaves nothing behind."""

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.versions.store import Store
from tests.data.running_service import free_port
from tests.data.tiny_version import publish

SCRIPT = Path(__file__).parents[2] / "scripts/demo.py"


@pytest.fixture
def learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the demo's night is done already, on a shop of six customers."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / ".nextbest/demo/data"
    data.mkdir(parents=True)
    (data / "purchases.csv").write_text("customer_id\n")
    (data / "nextbest.toml").write_text("")
    publish(Store(tmp_path / ".nextbest/demo/store"))
    (tmp_path / ".nextbest/demo/learned_from").write_text(runpy.run_path(str(SCRIPT))["what_would_be_seen"]())
    return tmp_path


def test_it_shows_three_customers_serves_and_stops_all_it_started(learned: Path) -> None:
    port = free_port()
    with _demo(learned, port) as demo:
        shown = _read_until(demo, "serving until Ctrl-C")
        assert "as in the last night" in shown
        assert shown.count("source: personal") == 2
        assert "newcomer-0 (never seen before), source: popular" in shown
        assert "Fresh Milk" in shown
        assert "Bought about every 6 days, last on 28 December 2017" in shown
        for path in ("docs", "health/ready", "metrics", "recommend/"):
            assert f"http://127.0.0.1:{port}/{path}" in shown
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/recommend/anna?n=3", timeout=5) as answer:
            assert len(json.load(answer)["recommendations"]) == 3
        assert _processes_of(learned), "the service runs"
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
    assert _processes_of(learned) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_stop_during_the_start_leaves_nothing_either(learned: Path) -> None:
    with _demo(learned, free_port()) as demo:
        _read_until(demo, "as in the last night")
        time.sleep(0.3)
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(20) == 0
    assert _processes_of(learned) == []


def test_a_port_in_use_is_said_in_one_line(learned: Path) -> None:
    with socket.socket() as taken, _demo(learned, _listen(taken)) as demo:
        assert demo.wait(20) == 1
        said = _read_until(demo, None)
    assert "can't be used" in said
    assert "make demo PORT=8001" in said
    assert said.count("\n") == 1


def test_other_data_or_a_damaged_version_want_a_new_night(learned: Path) -> None:
    script = runpy.run_path(str(SCRIPT))
    before = script["what_would_be_seen"]()
    assert script["has_sound_champion"]()
    (learned / ".nextbest/demo/data/purchases.csv").write_text("customer_id\nanna\n")
    assert script["what_would_be_seen"]() != before
    array = next((learned / ".nextbest/demo/store/versions").rglob("*.npy"))
    array.chmod(0o644)
    array.write_bytes(array.read_bytes()[:-1])
    assert not script["has_sound_champion"]()


@contextmanager
def _demo(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    demo = subprocess.Popen(
        [sys.executable, SCRIPT, "--port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield demo
    finally:
        demo.terminate()
        demo.wait(20)
        assert demo.stdout
        demo.stdout.close()


def _read_until(demo: subprocess.Popen[str], words: str | None, within_s: float = 30) -> str:
    """What the demo printed until these words came, or until its end."""
    assert demo.stdout
    read = b""
    give_up_at = time.monotonic() + within_s
    printed = select.poll()  # select() knows no more than 1,024 open files
    printed.register(demo.stdout)
    while words is None or words.encode() not in read:
        ready = printed.poll(max(0, give_up_at - time.monotonic()) * 1000)
        assert ready, f"{words!r} did not come: {read.decode()}"
        part = os.read(demo.stdout.fileno(), 65536)
        if not part:
            assert words is None, read.decode()
            break
        read += part
    return read.decode()


def _processes_of(folder: Path) -> list[str]:
    """Command lines of the running processes that work in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder and process.name != str(os.getpid()):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _listen(server: socket.socket) -> int:
    server.bind(("127.0.0.1", 0))
    server.listen()
    return int(server.getsockname()[1])
