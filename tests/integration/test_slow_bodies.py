"""A caller who stops, wherever, holds up nobody and no place for long, on a real server with one worker."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.data.running_service import Running, free_port, running_service
from tests.data.tiny_version import new_store, publish

EVENT = {"type": "view", "event_id": "e1", "customer_id": "anna", "product_id": "milk"}


@pytest.fixture(scope="module")
def operator_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, operator_port: int) -> Iterator[Running]:
    root: Path = tmp_path_factory.mktemp("slow")
    store = new_store(root / "store")
    publish(store)
    settings = {"idle_timeout_s": "4", "record_timeout_ms": "5000", "operator_port": str(operator_port)}
    with running_service(store.root, root / "log", **settings) as found:
        yield found


@contextmanager
def begun(running: Running, length: int) -> Iterator[socket.socket]:
    """A connection whose caller announced a body."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        head = f"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        time.sleep(0.3)
        yield connection


def waited_s(running: Running) -> float:
    began = time.monotonic()
    assert requests.get(running.url + "/recommend/anna", timeout=15).status_code == 200
    return time.monotonic() - began


def test_a_body_that_stops_holds_the_worker_up_for_some_seconds_only(running: Running) -> None:
    with begun(running, 50) as silent:
        silent.sendall(b"{")
        time.sleep(0.2)
        assert waited_s(running) < 5
    assert waited_s(running) < 2


def test_a_body_that_dribbles_ends_too(running: Running) -> None:
    with begun(running, 500) as dribbling:
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 10:
                dribbling.sendall(b"{")
                time.sleep(0.2)
        assert 3 < time.monotonic() - began < 8
    assert waited_s(running) < 2


def test_a_body_that_comes_slowly_is_taken(running: Running) -> None:
    body = json.dumps(EVENT).encode()
    with begun(running, len(body)) as slow:
        for part in (body[:20], body[20:40], body[40:]):
            slow.sendall(part)
            time.sleep(0.8)
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_rules_that_stop_hold_the_operator_up_for_some_seconds_only(
    running: Running, operator_port: int
) -> None:
    with socket.create_connection(("127.0.0.1", operator_port), timeout=10) as silent:
        head = b"PUT /rules HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/toml\r\n"
        silent.sendall(head + b"Content-Length: 50\r\n\r\nschema")
        time.sleep(0.3)
        began = time.monotonic()
        assert requests.get(f"http://127.0.0.1:{operator_port}/metrics", timeout=15).status_code == 200
        assert time.monotonic() - began < 5


def test_a_connection_that_says_nothing_is_closed_and_none_is_of_http_2(running: Running) -> None:
    began = time.monotonic()
    with ExitStack() as opened:
        said = (b"", b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /health/live HTTP/1.1\r\nHost")
        silent = [
            opened.enter_context(socket.create_connection(("127.0.0.1", running.port), 10)) for _ in said
        ]
        for connection, words in zip(silent, said, strict=True):
            connection.sendall(words)
        for connection in silent:
            assert connection.recv(100) == b""
    assert time.monotonic() - began < 8
