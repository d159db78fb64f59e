"""One time limit for a round trip to Redis holds for all that goes before it; and replies are read whole."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import RedisError
from redis import TimeoutError as RedisTimeoutError
from redis.connection import ConnectionInterface
from redis.exceptions import ResponseError

from service.cache.reading import Wire, _lines, _values, command
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


@given(values=st.lists(st.none() | st.binary(max_size=20), min_size=1, max_size=4))
def test_values_are_read_once_all_of_them_are_there(values: list[bytes | None]) -> None:
    said = [b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value) for value in values]
    data = b"".join(said)
    assert all(_values(data[:end], len(values)) is None for end in range(len(data)))
    assert _values(data, len(values)) == values


def test_lines_are_read_once_all_of_them_are_there() -> None:
    data = b"+OK\r\n:128\r\n:1\r\n"
    assert all(_lines(data[:end], 3) is None for end in range(len(data)))
    assert _lines(data, 3) == [b"+OK", b":128", b":1"]


@pytest.mark.parametrize("read", [_values, _lines])
@pytest.mark.parametrize(
    "said", [b"?\r\n", b"\r\n", b"$x\r\n", b"-LOADING\r\n", b"+OK\r\n+OK\r\n", b"$1\r\na\r\n:1\r\n"]
)
def test_what_isnt_the_reply_is_refused(read: Callable[[bytes, int], object], said: bytes) -> None:
    with pytest.raises(RedisError):
        read(said, 1)


def test_a_server_that_refuses_one_of_several_commands_is_heard(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        told = wire(server.url)
        set_both = command(b"SET", b"a", b"1") + command(b"SET", b"b", b"2")
        told.tell(set_both, 2)
        assert told.get(b"a", b"none", b"b") == [b"1", None, b"2"]
        with pytest.raises(ResponseError, match="unknown command"):
            told.tell(command(b"SET", b"a", b"3") + command(b"NONSENSE"), 2)
        assert told.get(b"a") == [b"3"]  # on another connection
