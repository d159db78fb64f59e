"""GET over one connection to Redis, within one time limit for all of it.

redis-py's limit is for each `recv`: a server that sends a byte now and then would hold a request for seconds.
"""

import socket
import time
from collections.abc import Callable

from redis import ConnectionError as RedisConnectionError
from redis import TimeoutError as RedisTimeoutError
from redis.connection import ConnectionInterface
from redis.exceptions import ResponseError

MOST_BYTES = 1 << 20  # no list is as long


class Reader:
    """Reads values. An error closes the connection, so that no late reply can answer another request.

    Args:
        connection: redis-py's, which says hello, authenticates and chooses the database.
        budget_s: for one `get` in all, in seconds, connecting included.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        connection: ConnectionInterface,
        budget_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._budget_s, self._clock = connection, budget_s, clock
        self._socket: socket.socket | None = None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if there is none.

        Raises:
            RedisError, OSError: no answer within the budget, or none that makes sense.
        """
        deadline_s = self._clock() + self._budget_s
        try:
            connected = self._socket or self._connect(deadline_s)
            connected.settimeout(self._left_s(deadline_s))
            connected.sendall(get_command(key))
            return self._reply(connected, deadline_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket = None
        self._connection.disconnect()  # type: ignore[no-untyped-call]

    def _connect(self, deadline_s: float) -> socket.socket:
        self._connection.connect()  # type: ignore[no-untyped-call]
        self._left_s(deadline_s)
        found: socket.socket | None = getattr(self._connection, "_sock", None)
        if found is None:
            raise RedisConnectionError("closed while connecting")
        self._socket = found
        return found

    def _left_s(self, deadline_s: float) -> float:
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            raise RedisTimeoutError("no whole answer in time")
        return left_s

    def _reply(self, connected: socket.socket, deadline_s: float) -> bytes | None:
        data = connected.recv(65_536)
        while (end := _end(data)) is None or len(data) < end:
            if not data or len(data) > MOST_BYTES:
                raise RedisConnectionError("closed, or no end of a reply")
            connected.settimeout(self._left_s(deadline_s))
            more = connected.recv(65_536)
            if not more:
                raise RedisConnectionError("closed within a reply")
            data += more
        if len(data) != end:
            raise RedisConnectionError("more than one reply")
        if data[:1] != b"$":
            raise ResponseError(data[1:60].decode("ascii", "replace"))
        return None if data[1:2] == b"-" else data[data.index(b"\r\n") + 2 : -2]


def get_command(key: bytes) -> bytes:
    """GET as it goes over the wire."""
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)


def _end(data: bytes) -> int | None:
    """Length of the reply that data begins with, None if that can't be told yet."""
    line = data.find(b"\r\n")
    if line < 0:
        return None
    if data[:1] != b"$":
        return line + 2  # an error, such as LOADING
    size = data[1:line]
    if size == b"-1":
        return line + 2
    if not size.isdigit() or len(size) > 7:
        raise RedisConnectionError("not a reply")
    return line + 2 + int(size) + 2
