"""Commands over one connection to Redis, in one round trip and within one time limit for all of it.

redis-py's limit is for each `recv`: a server that sends a byte now and then would hold a request for seconds.
"""

import socket
import struct
import time
from collections.abc import Callable, Sequence
from math import ceil
from ssl import SSLSocket

from redis import ConnectionError as RedisConnectionError
from redis import RedisError
from redis import TimeoutError as RedisTimeoutError
from redis.connection import ConnectionInterface
from redis.exceptions import ResponseError

from storage.bounded import Bounded, TooLateError

MOST_BYTES = 1 << 20  # no reply is as long
VALUE = ord("$")  # a reply that is one begins with it


class Wire:
    """Asks and tells. An error closes the connection, and so does whoever says something before replies were
    read: no late reply can answer another request.

    Args:
        connection: makes redis-py's, which says hello, authenticates and chooses the database. That is done
            in another thread: no limit of redis-py's holds for a name server, or for all that is said first.
        budget_s: for one round trip in all, in seconds, connecting included.
    """

    def __init__(self, connection: Callable[[], ConnectionInterface], budget_s: float) -> None:
        self._make, self._budget_s = connection, budget_s
        self._connecting = Bounded(budget_s, "redis-connect")
        self._connection: ConnectionInterface | None = None
        self._late: ConnectionInterface | None = None  # one that nobody waited for until it stood
        self._socket: socket.socket | None = None
        self._limit_s = 0.0  # of the socket
        self._awaited, self._until_s = 0, 0.0  # replies to what was said that weren't read yet; until when

    def ask(self, keys: Sequence[bytes]) -> None:
        """Ask for the value of each key, which `values` reads.

        Raises:
            RedisError, OSError: it couldn't be sent within the budget.
        """
        asked = b"".join([b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys])
        self._say(asked, len(keys))

    def values(self) -> list[bytes | None]:
        """The value of each key that was asked for, None if there is none.

        Raises:
            RedisError, OSError: no answer within the budget, or none that makes sense.
        """
        return self._hear(_values)

    def tell(self, commands: bytes, number: int) -> None:
        """Send this many commands, to each of which Redis says one line. Raises as both of these."""
        self._say(commands, number)
        self._hear(_lines)

    def _say(self, said: bytes, number: int) -> None:
        """Send what has this many replies, which `_hear` reads."""
        if self._awaited:  # replies that nobody read
            self.close()
        self._until_s, left_s = time.monotonic() + self._budget_s, self._budget_s
        try:
            connected = self._socket
            if connected is None:
                connected, left_s = self._connect(self._until_s), self._left_s(self._until_s)
            self._limit(connected, left_s)
            self._awaited = number
            connected.sendall(said)
        except BaseException as err:
            self._give_up(err)
            raise

    def _hear[T](self, read: Callable[[bytes, int], T | None]) -> T:
        """Read the replies to what was said."""
        data = b""
        try:
            connected = self._socket
            if connected is None or not self._awaited:
                raise RedisConnectionError("nothing was asked")
            while True:
                more = connected.recv(65_536)
                data += more
                found = read(data, self._awaited)
                if found is not None:
                    self._awaited = 0
                    return found
                if not more or len(data) > MOST_BYTES:
                    raise RedisConnectionError("closed, or no end of a reply")
                self._limit(connected, self._left_s(self._until_s))
        except BaseException as err:
            self._give_up(err)
            raise

    def _limit(self, connected: socket.socket, limit_s: float) -> None:
        """Let nothing that the socket does last longer. The kernel sees to it: under a `settimeout` of
        Python's a `poll` goes before all that is sent and read."""
        if limit_s == self._limit_s:
            return
        self._limit_s = limit_s
        if isinstance(connected, SSLSocket):  # it would try again, whatever the kernel says
            connected.settimeout(limit_s)
            return
        connected.settimeout(None)
        limit = struct.pack("ll", *divmod(ceil(limit_s * 1e6), 1_000_000))  # a `timeval`; 0 were no limit
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connected.setsockopt(socket.SOL_SOCKET, option, limit)

    def _give_up(self, err: BaseException) -> None:
        """Close the connection. Raises RedisTimeoutError where an error says that there was no time left."""
        self.close()
        if isinstance(err, BlockingIOError | TimeoutError):  # the kernel's limit, or Python's
            raise RedisTimeoutError("no whole answer in time") from err

    def close(self) -> None:
        before, self._connection, self._socket = self._connection, None, None
        self._limit_s, self._awaited = 0.0, 0
        if before is not None:
            before.disconnect()  # type: ignore[no-untyped-call]

    def _connect(self, deadline_s: float) -> socket.socket:
        if self._late is None:
            try:
                self._connecting.do(self._make_one)
            except TooLateError as err:
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
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise RedisTimeoutError("no whole answer in time")
        return left_s


def command(*words: bytes) -> bytes:
    """A command as it goes over the wire."""
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def _values(data: bytes, number: int) -> list[bytes | None] | None:
    """The values of this many replies, each of which says its length first; None while not all are there."""
    found: list[bytes | None] = []
    start = 0
    while len(found) < number:
        line = data.find(b"\r\n", start)
        if line < 0:
            return None
        if data[start] != VALUE:
            raise _refused(data[start:line])
        said, start = data[start + 1 : line], line + 2
        if said == b"-1":
            found.append(None)
            continue
        if not said.isdigit() or len(said) > 7:
            raise RedisConnectionError("not a reply")
        end = start + int(said)
        if end + 2 > len(data):
            return None
        found.append(data[start:end])
        start = end + 2
    if start != len(data):
        raise RedisConnectionError("more replies than questions")
    return found


def _lines(data: bytes, number: int) -> list[bytes] | None:
    """So many replies of one line; None while not all are there."""
    *lines, rest = data.split(b"\r\n")
    if len(lines) < number:
        return None
    refused = [line for line in lines if not line.startswith((b"+", b":"))]
    if refused:
        raise _refused(refused[0])
    if len(lines) > number or rest:
        raise RedisConnectionError("more replies than questions")
    return lines


def _refused(line: bytes) -> RedisError:
    if line[:1] != b"-":
        return RedisConnectionError("not a reply")
    return ResponseError(line[1:60].decode("ascii", "replace"))
