"""One time limit for a round trip to Redis holds for all that goes before it, connecting included."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import TimeoutError as RedisTimeoutError
from redis.connection import ConnectionInterface

from service.cache.reading import Wire
from service.cache.redis_cache import connections_of, redis_client
from tests.data.redis_server import redis_server
from tests.data.running_service import until

BUDGET_S = 0.05
SOON_S = 10 * BUDGET_S  # on a busy machine; without a limit each of these takes longer by far


def wire(url: str) -> Wire:
    return Wire(connections_of(redis_client(url, 1000)), BUDGET_S)


def refused_after_s(asked: Wire) -> float:
    began_s = time.monotonic()
    with pytest.raises(RedisTimeoutError):
        asked.get(b"key")
    return time.monotonic() - began_s


def test_a_name_server_that_hangs_costs_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        answers.wait(30)
        raise socket.gaierror(-3, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    asked = wire("redis://redis.shop.example:6379/0")
    try:
        assert max(refused_after_s(asked) for _ in range(3)) < SOON_S
    finally:
        answers.set()


@pytest.fixture
def dribbling() -> Iterator[int]:
    """The port of a server that says a byte of its reply to AUTH now and then, and never all of it."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble() -> None:
            connected, _ = server.accept()
            with connected:
                while not is_over.wait(BUDGET_S / 5):
                    connected.sendall(b"+")

        threading.Thread(target=dribble, daemon=True).start()
        yield server.getsockname()[1]
        is_over.set()


def test_a_greeting_in_slices_costs_no_more_than_the_limit(dribbling: int) -> None:
    asked = wire(f"redis://:secret@127.0.0.1:{dribbling}/0")
    assert max(refused_after_s(asked) for _ in range(3)) < SOON_S


def test_a_connection_that_came_too_late_serves_the_next_who_asks(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        made = connections_of(redis_client(server.url, 1000))
        is_over = threading.Event()

        def slow() -> ConnectionInterface:
            is_over.wait(30)
            return made()

        asked = Wire(slow, BUDGET_S)
        refused_after_s(asked)
        is_over.set()
        until(lambda: asked._late is not None, 5)
        assert asked.get(b"key") == [None]
