"""Turns callers away before Flask while more of them wait outside than this worker lets in.

A worker holds so many connections, each with one request at most: whoever is inside waits for those and no
longer. Connections beyond them wait in the kernel, and the listening socket says how many. While many do, a
caller now and then gets a 503, and its connection is closed, so that the next one comes in.
"""

import json
import random
import socket
import time
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Protocol

import structlog

from service.access.cors import readable
from service.web.own_sockets import INTERNET, own_sockets
from service.web.problems import PROBLEM_JSON, PROBLEMS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WAITING = 32  # connections outside that are a burst, not an overload
LASTS_S = 0.05  # of so many for so long
LOOK_S = 0.002  # a look takes 1 us
GAP_S = 0.0015  # between two that are turned away: a new connection for each costs as much as an answer
BACKLOG = 384
"""Connections that wait in the kernel. By the gap above the last of them comes in after 0.6 s: one that waits
longer than its caller is answered all the same, for nobody, and where answers are slow those took a good part
of the work. Beyond them the kernel doesn't answer, and whoever asks for health is one of them: fewer places,
or a longer gap, and a probe had not come in after 5 s, since the others try again each second."""
RETRY_S = (1, 3)
NEVER_TURNED_AWAY = ("/health/", "/customers/")  # consent and erasure: few ask, and must be heard
log = structlog.get_logger()


class RequestCounter(Protocol):
    """Who counts answers."""

    def request(self, route: str, status: int, elapsed_s: float) -> None: ...


class Shedding:
    """A WSGI app around another one. Health is always answered, and so is what customers want of their data.

    Args:
        waiting: how many connections wait to be let in.
        clock: seconds that never run backwards.
        origins: whose pages' scripts may read that they were turned away.
        chance: numbers in [0, 1), so that those turned away don't all come back at once.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        counter: RequestCounter,
        waiting: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        origins: Container[str] = (),
    ) -> None:
        self._app, self._counter, self._waiting, self._origins = app, counter, waiting, origins
        self._clock, self._chance = clock, chance
        self._next_look_s = self._next_turn_away_s = 0.0
        self._since_s: float | None = None
        self._next_line_s = 0.0
        self._is_overloaded = False
        self._body = _body()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        now_s = self._clock()
        if now_s >= self._next_look_s:
            self._look(now_s)
        if (
            self._is_overloaded
            and now_s >= self._next_turn_away_s
            and not environ["PATH_INFO"].startswith(NEVER_TURNED_AWAY)
            and environ["REQUEST_METHOD"] != "OPTIONS"  # a browser that gets no 2xx there asks nothing else
        ):
            self._next_turn_away_s = now_s + GAP_S
            return self._turn_away(environ, start_response)
        return self._app(environ, start_response)

    def _look(self, now_s: float) -> None:
        self._next_look_s = now_s + LOOK_S
        waiting = self._waiting()
        if waiting <= WAITING:
            self._since_s, self._is_overloaded = None, False
            return
        if self._since_s is None:
            self._since_s = now_s
        self._is_overloaded = now_s - self._since_s >= LASTS_S
        if self._is_overloaded and now_s >= self._next_line_s:
            self._next_line_s = now_s + 60
            log.warning("more callers than can be answered, turning some away", waiting=waiting)

    def _turn_away(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self._counter.request("overload", 503, 0.0)
        first, last = RETRY_S
        headers = [
            ("Content-Type", PROBLEM_JSON),
            ("Content-Length", str(len(self._body))),
            ("Retry-After", str(first + int((last - first + 1) * self._chance()))),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ]
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None:
            headers = readable(headers, origin, self._origins)
        start_response("503 Service Unavailable", headers)
        return [self._body]


class AcceptQueue:
    """How many connections wait to be accepted by this process on a port; 0 where that can't be known.

    The server opens the socket after it made the app: it is looked for when first asked.
    """

    UNACKED = slice(24, 28)  # of Linux' struct tcp_info: of a listening socket, connections that wait

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._is_looked_for = False

    def __call__(self) -> int:
        if self._socket is None:
            self._look_for()
        if self._socket is None:
            return 0
        facts = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        return int.from_bytes(facts[self.UNACKED], "little")

    def _look_for(self) -> None:
        if self._is_looked_for:
            return
        self._is_looked_for = True
        self._socket = next(own_sockets(lambda found: _listens(found, self._port)), None)
        if self._socket is None:
            log.warning("can't see how many callers wait, turning nobody away")


def _listens(found: socket.socket, port: int) -> bool:
    if found.family not in INTERNET or found.type != socket.SOCK_STREAM:
        return False
    is_listening = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return bool(is_listening) and found.getsockname()[1] == port


def _body() -> bytes:
    status, title = PROBLEMS["overloaded"]
    problem = {"type": "urn:nextbest:problem:overloaded", "title": title, "status": status}
    return json.dumps(problem | {"detail": "ask again after Retry-After seconds"}).encode()
