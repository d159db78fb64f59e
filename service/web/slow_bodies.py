"""Cuts off callers who announce a body and don't send it.

A worker answers with one thread, and the server gives it no time limit to read a body with: whoever stops in
the middle of one would hold up everybody else for as long as the connection lives.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv6Address, ip_address

import structlog

from service.processes.background import every
from service.web.own_sockets import INTERNET, own_sockets

PATIENCE_S = 2.0  # with a body of which nothing comes any more
LOOK_S = 0.5
ENDS_S = 0.2  # in which the worker sees that a connection ended
NAME = "nextbest.slow_bodies"  # among an app's extensions
LAST_DATA_RECEIVED = slice(52, 56)  # of Linux' struct tcp_info: milliseconds ago
log = structlog.get_logger()


class SlowBodies:
    """How long this worker's thread has been waiting for a body, and whose.

    Args:
        port: that the worker listens on.
        longest_s: that a body may take in all, also one of which now and then a byte comes.
    """

    def __init__(self, port: int, longest_s: float) -> None:
        self._port, self._longest_s = port, longest_s
        self._waiting: tuple[str, float, threading.Event] | None = None

    def start(self) -> None:
        """Look now and then, from now on."""
        every(LOOK_S, self.look, NAME)

    @contextmanager
    def waiting_for(self, address: str) -> Iterator[None]:
        """The worker waits for a body from this address as long as this block lasts."""
        over = threading.Event()
        self._waiting = address, time.monotonic(), over
        try:
            yield
        finally:
            self._waiting = None
            over.set()

    def look(self) -> None:
        """End connections from the address that is waited for too long, until the waiting has an end.

        Which of them has the body the server doesn't tell. Those go first that said nothing for longest:
        but for the one they are idle, and who asked meanwhile is answered. Of one that dribbles all go.
        """
        waiting = self._waiting
        if waiting is None:
            return
        address, since_s, over = waiting
        waited_s = time.monotonic() - since_s
        if waited_s < PATIENCE_S:
            return
        least_s, ended = 0.0 if waited_s >= self._longest_s else PATIENCE_S, 0
        with ExitStack() as opened:
            found = own_sockets(lambda one: _is_from(one, self._port, address))
            connections = [opened.enter_context(one) for one in found]
            for connection in sorted(connections, key=_silent_s, reverse=True):
                if over.is_set() or _silent_s(connection) < least_s:
                    break
                with suppress(OSError):  # it is gone by now
                    connection.shutdown(socket.SHUT_RDWR)
                ended += 1
                over.wait(ENDS_S)
        if ended:
            log.warning("a body did not come, connections from its address were ended", connections=ended)


def _is_from(connection: socket.socket, port: int, address: str) -> bool:
    """Whether an address opened it to a port."""
    if connection.family not in INTERNET:
        return False
    try:
        peer = connection.getpeername()[0]
    except OSError:  # of one that listens
        return False
    return connection.getsockname()[1] == port and _plain(peer) == _plain(address)


def _plain(address: str) -> str:
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _silent_s(connection: socket.socket) -> float:
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_RECEIVED.stop)
    return int.from_bytes(facts[LAST_DATA_RECEIVED], "little") / 1000
