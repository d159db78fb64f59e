"""Commands over one connection to Redis, in one round trip and within one time limit for all of it.

redis-py's limit is for each `recv`: a server that sends a byte now and then would hold a request for seconds.
"""

import socket
import time
from collections.abc import Callable, Sequence

from redis import ConnectionError as RedisConnectionError
from redis import TimeoutError as RedisTimeoutError
from redis.connection import ConnectionInterface
from redis.exceptions import ResponseError

from storage.record.bounded import Bounded
from storage.record.errors import RecordUnavailableError

MOST_BYTES = 1 << 20  # no reply is as long


class Wire:
    """Asks and tells. An error closes the connection, so that no late reply can answer another request.

    Args:
        connection: makes redis-py's, which says hello, authenticates and chooses the database. That is done
            in another thread: no limit of redis-py's holds for a name server, or for all that is said first.
        budget_s: for one round trip in all, in seconds, connecting included.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        connection: Callable[[], ConnectionInterface],
        budget_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._budget_s, self._clock = connection, budget_s, clock
        self._connecting = Bounded(budget_s, "redis-connect")
        self._connection: ConnectionInterface | None = None
        self._late: ConnectionInterface | None = None  # one that nobody waited for until it stood
        self._socket: socket.socket | None = None

    def get(self, *keys: bytes) -> list[bytes | None]:
        """The value of each key, None if there is none. Raises as `ask`."""
        return self.ask([b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys])

    def ask(self, commands: Sequence[bytes]) -> list[bytes | None]:
        """What Redis says to each command.

        Raises:
            RedisError, OSError: no answer within the budget, or none that makes sense.
        """
        deadline_s = self._clock() + self._budget_s
        try:
            connected = self._socket or self._connect(deadline_s)
            connected.settimeout(self._left_s(deadline_s))
            connected.sendall(b"".join(commands))
            return self._replies(connected, len(commands), deadline_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        before, self._connection, self._socket = self._connection, None, None
        if before is not None:
            before.disconnect()  # type: ignore[no-untyped-call]

    def _connect(self, deadline_s: float) -> socket.socket:
        if self._late is None:
            try:
                self._connecting.do(self._make_one)
            except RecordUnavailableError as err:
                raise RedisTimeoutError("no connection in time") from err
        self._connection, self._late = self._late, None
        self._left_s(deadline_s)
        found: socket.socket | None = getattr(self._connection, "_sock", None)
        if found is None:
            raise RedisConnectionError("closed while connecting")
        self._socket = found
        return found

    def _make_one(self) -> None:
        made = self._make()
        made.connect()  # type: ignore[no-untyped-call]
        self._late = made

    def _left_s(self, deadline_s: float) -> float:
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            raise RedisTimeoutError("no whole answer in time")
        return left_s

    def _replies(self, connected: socket.socket, number: int, deadline_s: float) -> list[bytes | None]:
        found: list[bytes | None] = []
        data, start = connected.recv(65_536), 0
        while len(found) < number:
            reply = _reply(data, start)
            if reply is not None:
                value, start = reply
                found.append(value)
                continue
            if not data or len(data) > MOST_BYTES:
                raise RedisConnectionError("closed, or no end of a reply")
            connected.settimeout(self._left_s(deadline_s))
            more = connected.recv(65_536)
            if not more:
                raise RedisConnectionError("closed within a reply")
            data += more
        if start != len(data):
            raise RedisConnectionError("more replies than questions")
        return found


def command(*words: bytes) -> bytes:
    """A command as it goes over the wire."""
    return b"*%d\r\n%b" % (
        len(words),
        b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]),
    )


def _reply(data: bytes, start: int) -> tuple[bytes | None, int] | None:
    """The value that begins at `start`, and where its reply ends; None while not all of it is there."""
    line = data.find(b"\r\n", start)
    if line < 0:
        return None
    kind, said, begin = data[start : start + 1], data[start + 1 : line], line + 2
    if kind == b"$" and said != b"-1":
        if not said.isdigit() or len(said) > 7:
            raise RedisConnectionError("not a reply")
        end = begin + int(said)
        return (data[begin:end], end + 2) if end + 2 <= len(data) else None
    if kind == b"$":
        return None, begin
    if kind in (b"+", b":"):  # OK, or a number
        return said, begin
    raise ResponseError(data[start + 1 : start + 60].decode("ascii", "replace"))
