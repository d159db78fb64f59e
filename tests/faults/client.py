"""Clients that keep account of every request: answered, refused, failed, or sent without a whole answer."""

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from tests.faults.marked_shop import is_own

PAUSE_S = 0.05  # after a request without an answer: a killed process takes a moment to be gone
VERSION = re.compile(rb'"version": "([^"]+)"')


class Outcome(StrEnum):
    """What a request came to."""

    OK = "ok"
    REFUSED = "refused"  # 503
    FAILED = "failed"  # any other status, or no connection
    UNKNOWN = "unknown"  # it was sent, and no whole answer came


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `status` is 0 if nothing did."""

    outcome: Outcome
    status: int = 0
    head: bytes = b""
    body: bytes = b""


class Connection:
    """Asks one request after another, on one connection as long as that lasts."""

    def __init__(self, port: int, timeout_s: float = 5.0, headers: str = "") -> None:
        self._port, self._timeout_s = port, timeout_s
        self._tail = f" HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}".encode()
        self._socket: socket.socket | None = None

    def ask(self, path: str) -> Reply:
        """GET a path once; nothing is tried twice."""
        return self._send(b"GET " + path.encode() + self._tail + b"\r\n")

    def post(self, path: str, body: bytes) -> Reply:
        """POST JSON once."""
        head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        return self._send(b"POST " + path.encode() + self._tail + head + body)

    def _send(self, request: bytes) -> Reply:
        if self._socket is None:
            try:
                self._socket = socket.create_connection(("127.0.0.1", self._port), self._timeout_s)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                return Reply(Outcome.FAILED)
        try:
            self._socket.sendall(request)
            return self._reply(self._socket)
        except (OSError, ValueError):
            self.close()
            return Reply(Outcome.UNKNOWN)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _reply(self, connected: socket.socket) -> Reply:
        data = connected.recv(65_536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += _more(connected)
        head = data[:end].lower()
        length = head.split(b"content-length: ")[1].split(b"\r\n")[0]
        while len(data) < end + 4 + int(length):
            data += _more(connected)
        if b"connection: close" in head:
            self.close()
        status = int(data[9:12])
        kinds = {2: Outcome.OK, 5: Outcome.REFUSED if status == 503 else Outcome.FAILED}
        return Reply(kinds.get(status // 100, Outcome.FAILED), status, data[:end], data[end + 4 :])


def _more(connected: socket.socket) -> bytes:
    more = connected.recv(65_536)
    if not more:
        raise ConnectionError("closed within an answer")
    return more


@dataclass
class Account:
    """What the requests of one client or of several came to.

    Attributes:
        wrong: answers that aren't the asked customer's own list.
        took: (when it began, how many seconds it took) of each request that was answered.
        versions: as this client saw them, each time another than before.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    took: list[tuple[float, float]] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    fails: list[tuple[float, Reply]] = field(default_factory=list)

    @property
    def invoked(self) -> int:
        return sum(self.outcomes.values())

    def p99_ms(self, begin_s: float = 0, end_s: float = float("inf")) -> float:
        """99th percentile in a stretch of time, in milliseconds."""
        took = sorted(took_s for at_s, took_s in self.took if begin_s <= at_s < end_s)
        return took[int(len(took) * 0.99)] * 1000


class Load:
    """Clients in threads, each with one connection, from `start` until `stop` or so many answers each.

    Args:
        customers: asked for in turn; their answers must be their own (see `marked_shop`).
        gap_s: pause of each client between two requests.
        most: requests of each client.
        headers: of each request, each with its line end.
    """

    def __init__(
        self,
        port: int,
        customers: Sequence[str],
        *,
        clients: int = 2,
        gap_s: float = 0.0,
        most: int = 10_000_000,
        is_marked: bool = True,
        headers: str = "",
    ) -> None:
        self._port, self._customers, self._gap_s, self._most = port, customers, gap_s, most
        self._headers = headers
        self._is_marked, self._stop = is_marked, threading.Event()
        self._accounts = [Account() for _ in range(clients)]
        self._threads = [
            threading.Thread(target=self._ask, args=(place,), daemon=True) for place in range(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def forget(self) -> None:
        """Drop how long answers took, of which an hour has many."""
        for account in self._accounts:
            account.took.clear()

    def stop(self) -> Account:
        self._stop.set()
        return self.wait()

    def wait(self) -> Account:
        for thread in self._threads:
            thread.join(600)
        whole = Account()
        for account in self._accounts:
            whole.outcomes += account.outcomes
            whole.wrong += account.wrong
            whole.took += account.took
            whole.fails += account.fails
        return whole

    @property
    def invoked(self) -> int:
        return sum(account.invoked for account in self._accounts)

    @property
    def versions(self) -> list[list[str]]:
        """What each connection saw, in order."""
        return [account.versions for account in self._accounts]

    def _ask(self, place: int) -> None:
        account, connection = self._accounts[place], Connection(self._port, headers=self._headers)
        customers = [*self._customers[place:], *self._customers[:place]]
        for number in range(self._most):
            if self._stop.is_set():
                break
            customer = customers[number % len(customers)]
            start_s = time.monotonic()
            reply = connection.ask(f"/recommend/{customer}")
            self._keep(account, customer, reply, start_s)
            if self._gap_s or reply.outcome is not Outcome.OK:
                time.sleep(self._gap_s if reply.outcome is Outcome.OK else PAUSE_S)
        connection.close()

    def _keep(self, account: Account, customer: str, reply: Reply, start_s: float) -> None:
        account.outcomes[reply.outcome] += 1
        if reply.outcome is not Outcome.OK:
            account.fails.append((start_s, reply))
            return
        account.took.append((start_s, time.monotonic() - start_s))
        if self._is_marked and not is_own(customer, reply.body):
            account.wrong.append(f"{customer}: {reply.body[:200]!r}")
        found = VERSION.search(reply.body)
        assert found
        version = found[1].decode()
        if not account.versions or account.versions[-1] != version:
            account.versions.append(version)


@contextmanager
def load(port: int, customers: Sequence[str], **options: object) -> Iterator[Load]:
    """Load as long as the block lasts; `stop` it inside to see what it came to."""
    running = Load(port, customers, **options)  # type: ignore[arg-type]
    running.start()
    try:
        yield running
    finally:
        running.stop()
