"""A load generator: open loop, where requests leave at their time whether or not earlier ones were answered,
and closed loop, where each connection asks again once it has its answer.

Why not a known one: docs of tests/benchmarks/README.md.
"""

import ctypes
import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from models.arrays import FloatArray

LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
OVERTIME_S = 5.0  # for answers that are still to come when an open loop's time is over
type Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as bytes, and what the body of its answer must begin with."""

    request: bytes
    body_begins: bytes = b""


def get(path: str, headers: Sequence[str] = (), body_begins: str = "") -> Asked:
    """GET as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return Asked("\r\n".join(lines).encode(), body_begins.encode())


@dataclass(slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        seconds: from the first request to the last answer.
        due_s: when each answer's question was due, by the clock of the run.
        waited_ms: of each answer; in an open loop from when its request was due, so that whoever had to wait
            to be asked counts too (Tene's "coordinated omission").
        wrong: answers without status 200, or that begin otherwise than they must.
        missing: requests that were never answered.
    """

    seconds: float = 0.0
    due_s: list[float] = field(default_factory=list)
    waited_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    missing: int = 0

    @property
    def per_s(self) -> float:
        return len(self.waited_ms) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """So long or less waited that share of all who asked; infinite for who never got an answer."""
        waited_ms = [*self.waited_ms, *repeat(float("inf"), self.missing)]
        return float(np.percentile(waited_ms, share, method="inverted_cdf"))


class _Connection:
    """One connection; `asked` and `due_s` are of the request that is under way on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = b""
        self.asked, self.due_s = Asked(b""), 0.0

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, asked: Asked, due_s: float) -> None:
        self.asked, self.due_s = asked, due_s
        self.socket.sendall(asked.request)

    def answer(self) -> bytes | None:
        """What came, once it is whole; to be called when there is something to read."""
        more = self.socket.recv(65_536)
        if not more:
            raise SystemExit("the server closed a connection")
        self._heard += more
        end = self._heard.find(b"\r\n\r\n")
        length = LENGTH.search(self._heard, 0, end) if end >= 0 else None
        if length is None or len(self._heard) < end + 4 + int(length[1]):
            return None
        whole, self._heard = self._heard, b""
        return whole


def open_loop(
    port: int,
    questions: Iterator[Asked],
    due_s: FloatArray,
    *,
    most: int = 64,
    clock: Clock = time.perf_counter,
) -> Outcome:
    """Ask at given moments.

    Args:
        questions: as many as moments, or more.
        due_s: when each is to be asked, in seconds from now, rising.
        most: connections; more are opened up to it when all wait for an answer.
    """
    outcome, busy = Outcome(), list[_Connection]()
    idle = deque([_Connection(port)])
    start_s = clock()
    due, place = (due_s + start_s).tolist(), 0
    end_s = due[-1] + OVERTIME_S
    while place < len(due) or busy:
        now_s = clock()
        if now_s > end_s:
            break
        while place < len(due) and due[place] <= now_s and (idle or len(busy) < most):
            connection = idle.popleft() if idle else _Connection(port)
            connection.send(next(questions), due[place])
            busy.append(connection)
            place += 1
        next_s = due[place] if place < len(due) and (idle or len(busy) < most) else end_s
        for connection in _readable(busy, max(0.0, next_s - clock())):
            if _take(connection, outcome, clock):
                busy.remove(connection)
                idle.append(connection)
    outcome.seconds = clock() - start_s
    outcome.missing = len(due) - place + len(busy)
    _close([*idle, *busy])
    return outcome


class _Watched(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("found", ctypes.c_short))


class _Span(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


_PPOLL = ctypes.CDLL(None).ppoll


def _readable(connections: Sequence[_Connection], seconds: float) -> list[_Connection]:
    """Those with something to read, or that were closed; none after so long.

    By ppoll, which Python hasn't: its poll and epoll can't wait for less than a millisecond, and select knows
    no descriptor above 1,023.
    """
    rows = [(connection.fileno(), select.POLLIN, 0) for connection in connections]
    watched, whole_s = (_Watched * len(rows))(*rows), int(seconds)
    span = _Span(whole_s, int((seconds - whole_s) * 1e9))
    _PPOLL(watched, ctypes.c_ulong(len(rows)), ctypes.byref(span), None)  # a signal's -1 finds none
    return [connection for connection, one in zip(connections, watched, strict=True) if one.found]


def closed_loop(
    port: int,
    questions: Iterator[Asked],
    seconds: float,
    *,
    connections: int,
    clock: Clock = time.perf_counter,
) -> Outcome:
    """Ask on so many connections at once for so long; each answer is followed by the next question."""
    outcome = Outcome()
    every = [_Connection(port) for _ in range(connections)]
    start_s = clock()
    for connection in every:
        connection.send(next(questions), clock())
    with select.epoll() as poll:
        by_fd = {connection.fileno(): connection for connection in every}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        while clock() - start_s < seconds:
            for fd, _ in poll.poll(0.1):
                if _take(by_fd[fd], outcome, clock):
                    by_fd[fd].send(next(questions), clock())
    outcome.seconds = clock() - start_s
    _close(every)
    return outcome


def poisson(rate_per_s: float, seconds: float, rng: np.random.Generator) -> FloatArray:
    """Moments of so many callers who know nothing of each other: any moment is as likely as any other."""
    return np.sort(rng.uniform(0, seconds, round(rate_per_s * seconds)))


def _take(connection: _Connection, outcome: Outcome, clock: Clock) -> bool:
    """Whether the answer to a question is whole now; then it is counted."""
    answer = connection.answer()
    if answer is None:
        return False
    outcome.due_s.append(connection.due_s)
    outcome.waited_ms.append((clock() - connection.due_s) * 1000)
    body = answer.find(b"\r\n\r\n") + 4
    if not answer.startswith(b"HTTP/1.1 200") or not answer.startswith(connection.asked.body_begins, body):
        outcome.wrong += 1
    return True


def _close(connections: Sequence[_Connection]) -> None:
    for connection in connections:
        connection.socket.close()
