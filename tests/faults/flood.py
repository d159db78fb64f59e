"""An open-loop flood: requests leave at their time, whether or not earlier ones were answered.

A process of its own, which prints one JSON line: `python -m tests.faults.flood --port P --rate R PATH`.
"""

import argparse
import errno
import heapq
import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Flood:
    """Sends one request after another over as many connections as that takes, up to `most`.

    A request that has no answer within `timeout_s` is given up, and its connection closed.
    """

    port: int
    request: bytes
    rate_per_s: float
    seconds: float
    most: int
    timeout_s: float
    counts: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._free: deque[socket.socket] = deque()
        self._sent: dict[socket.socket, float] = {}
        self._parts: dict[socket.socket, bytes] = {}
        self._connecting: set[socket.socket] = set()
        self._deadlines: list[tuple[float, int, socket.socket]] = []
        self._number = 0

    def run(self) -> dict[str, object]:
        start_s = time.monotonic()
        due_s, end_s = start_s, start_s + self.seconds
        while (now_s := time.monotonic()) < end_s:
            while due_s <= now_s:
                self._ask(due_s)
                due_s += 1 / self.rate_per_s
            self._hear(max(0.0, min(due_s - time.monotonic(), 0.05)))
            self._give_up()
        while self._sent and time.monotonic() < end_s + self.timeout_s:
            self._hear(0.05)
            self._give_up()
        for connection in [*self._sent, *self._free]:
            connection.close()
        took_s = sorted(self.took_s) or [0.0]
        percentiles = {f"p{p}_ms": round(took_s[int(len(took_s) * p / 100)] * 1000, 1) for p in (50, 99)}
        asked = round(self.seconds * self.rate_per_s)
        return {"asked": asked, "seconds": self.seconds, **self.counts, **percentiles}

    def _ask(self, due_s: float) -> None:
        connection = self._free.popleft() if self._free else self._open()
        if connection is None:
            self.counts["no_connection_left"] += 1
            return
        self._sent[connection] = due_s
        if connection not in self._connecting:
            self._send(connection)
        self._number += 1
        heapq.heappush(self._deadlines, (due_s + self.timeout_s, self._number, connection))

    def _send(self, connection: socket.socket) -> None:
        try:
            connection.send(self.request)
        except OSError:
            self.counts["cut"] += 1
            self._drop(connection)

    def _open(self) -> socket.socket | None:
        if len(self._sent) + len(self._free) >= self.most:
            return None
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connection.connect_ex(("127.0.0.1", self.port)) == errno.EINPROGRESS:
            self._connecting.add(connection)
            self._selector.register(connection, selectors.EVENT_WRITE)
        else:
            self._selector.register(connection, selectors.EVENT_READ)
        return connection

    def _hear(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            if connection in self._connecting:
                self._connecting.remove(connection)
                self._selector.modify(connection, selectors.EVENT_READ)
                self._send(connection)
                continue
            try:
                answer = connection.recv(65_536)
            except BlockingIOError:
                continue
            except OSError:
                answer = b""
            if not answer:
                self.counts["cut"] += connection in self._sent
                self._drop(connection)
                continue
            answer = self._parts.pop(connection, b"") + answer
            if not _is_whole(answer):
                self._parts[connection] = answer
                continue
            self._count(answer, self._sent.pop(connection))
            if b"onnection: close" in answer:
                self._drop(connection)
            else:
                self._free.append(connection)

    def _count(self, answer: bytes, due_s: float) -> None:
        status = answer[9:12].decode()
        self.counts[status] += 1
        if status == "503" and b"retry-after: " not in answer.lower():
            self.counts["503_without_retry_after"] += 1
        if status == "200":
            self.took_s.append(time.monotonic() - due_s)

    def _give_up(self) -> None:
        now_s = time.monotonic()
        while self._deadlines and self._deadlines[0][0] < now_s:
            deadline_s, _, connection = heapq.heappop(self._deadlines)
            if self._sent.get(connection) == deadline_s - self.timeout_s:
                del self._sent[connection]
                self.counts["timed_out"] += 1
                self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._sent.pop(connection, None)
        self._parts.pop(connection, None)
        self._connecting.discard(connection)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection)
        if connection in self._free:
            self._free.remove(connection)
        connection.close()


def _is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    return bool(blank) and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])


def flood(port: int, path: str, rate_per_s: float, seconds: float, most: int = 1500) -> dict[str, float]:
    """What a flood from a process of its own came to."""
    words = [sys.executable, "-m", "tests.faults.flood", "--port", port, "--rate", rate_per_s]
    words += ["--seconds", seconds, "--most", most, path]
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("path")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--rate", type=float, required=True)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--most", type=int, default=1500)
    arguments.add_argument("--timeout", type=float, default=1)
    given = arguments.parse_args()
    request = f"GET {given.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    found = Flood(given.port, request, given.rate, min(given.seconds, 120), given.most, given.timeout)
    print(json.dumps(found.run()))


if __name__ == "__main__":
    main()
