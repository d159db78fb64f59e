"""One time limit for a round trip to Redis holds for all that goes before it; and replies are read whole."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from redis import RedisError
from redis import TimeoutError as RedisTimeoutError
from redis.connection import ConnectionInterface
from redis.exceptions import ResponseError

from service.cache.reading import Wire, _lines, _values, command
from service.cache.redis_cache import connections_of, redis_client
from storage.bounded import Bounded
from tests.data.redis_server import redis_server
from tests.data.running_service import until

BUDGET_S = 0.05
SOON_S = 5.0  # on a busy machine; without a limit each of these takes longer by far
PATIENT_S = 20.0  # where an answer must come


def wire(url: str, budget_s: float = BUDGET_S) -> Wire:
    return Wire(connections_of(redis_client(url, 15_000)), budget_s)


def refused_after_s(asked: Wire) -> float:
    began_s = time.monotonic()
    with pytest.raises(RedisTimeoutError):
        got(asked, b"key")
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


@contextmanager
def answering(said: bytes, pauses_s: list[float], tls: SSLContext | None = None) -> Iterator[Wire]:
    """A wire connected to a server that answers each question with this, a part of it after each pause."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            plain, _ = server.accept()
            length = ceil(len(said) / len(pauses_s))
            with tls.wrap_socket(plain, server_side=True) if tls else plain as connected, suppress(OSError):
                while connected.recv(1000):
                    for number, pause_s in enumerate(pauses_s):
                        is_over.wait(pause_s)
                        connected.sendall(said[number * length : (number + 1) * length])

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        scheme, more = ("rediss", "?ssl_cert_reqs=none") if tls else ("redis", "")
        asked = wire(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/0{more}")
        asked._connecting = Bounded(10, "slowly")  # that isn't what is timed
        asked._connect(time.monotonic() + 10)
        yield asked
        is_over.set()
        asked.close()
        serving.join()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> SSLContext:
    """A server's, with a certificate that nobody else has signed."""
    key, name = Ed25519PrivateKey.generate(), x509.Name([])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .sign(key, None)
        .public_bytes(Encoding.PEM)
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(signed + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("pauses_s", [[30.0], [BUDGET_S / 5] * 40], ids=["none", "in slices"])
def test_no_answer_and_one_in_slices_cost_no_more_than_the_limit(
    tls: SSLContext, pauses_s: list[float], is_encrypted: bool
) -> None:
    with answering(b"$34\r\n" + bytes(34) + b"\r\n", pauses_s, tls if is_encrypted else None) as asked:
        assert refused_after_s(asked) < SOON_S


def test_after_an_answer_in_two_parts_the_next_one_has_all_of_the_time() -> None:
    with answering(b"$1\r\na\r\n", [1.1, 0.1]) as asked:
        asked._budget_s = 2.0
        assert [got(asked, b"key"), got(asked, b"key")] == [[b"a"], [b"a"]]


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
        until(lambda: asked._late is not None, PATIENT_S)
        asked._budget_s = PATIENT_S
        assert got(asked, b"key") == [None]


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
        told = wire(server.url, PATIENT_S)
        set_both = command(b"SET", b"a", b"1") + command(b"SET", b"b", b"2")
        told.tell(set_both, 2)
        assert got(told, b"a", b"none", b"b") == [b"1", None, b"2"]
        with pytest.raises(ResponseError, match="unknown command"):
            told.tell(command(b"SET", b"a", b"3") + command(b"NONSENSE"), 2)
        assert got(told, b"a") == [b"3"]  # on another connection


def test_a_reply_that_nobody_read_never_answers_another_question(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        asked = wire(server.url, PATIENT_S)
        asked.tell(command(b"SET", b"a", b"1") + command(b"SET", b"b", b"2"), 2)
        asked.ask([b"a"])
        asked.ask([b"b"])
        assert asked.values() == [b"2"]
        with pytest.raises(RedisError, match="nothing was asked"):
            asked.values()
        asked.ask([b"a"])
        asked.tell(command(b"SET", b"b", b"3"), 1)
        assert got(asked, b"b", b"a") == [b"3", b"1"]


def got(wire: Wire, *keys: bytes) -> list[bytes | None]:
    wire.ask(keys)
    return wire.values()
