"""`nbo-serve run` as a process of its own, on a free port, and what it left behind."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from service.processes.private_folder import private_folder

START_S = 150  # a machine that is busy elsewhere, and a large version


@dataclass
class Running:
    """A service that was started. `log` is the file of its lines."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(
        self, path: str, timeout_s: float = 5, headers: dict[str, str] | None = None
    ) -> requests.Response:
        return requests.get(self.url + path, timeout=timeout_s, headers=headers)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def redis(self) -> list[psutil.Process]:
        """The Redis that it started, if it did."""
        return [child for child in self.processes() if _name_and_words(child)[:1] == ["redis-server"]]

    def workers(self) -> list[psutil.Process]:
        """Its other children; not the Python that is about to become its Redis."""
        told = [(child, _name_and_words(child)) for child in self.processes()]
        return [child for child, words in told if words and not any("redis-server" in word for word in words)]

    def listeners(self) -> set[int]:
        """Workers that callers reach, by process id: one that was started takes a second until then."""
        return {worker.pid for worker in self.workers() if _listens(worker, self.port)}

    def processes(self) -> list[psutil.Process]:
        """Its children that run."""
        return [child for child in psutil.Process(self.process.pid).children() if runs(child)]


def _name_and_words(process: psutil.Process) -> list[str]:
    """Its name and the words of its command; none of one that has ended meanwhile."""
    try:
        return [process.name(), *process.cmdline()]
    except psutil.NoSuchProcess:
        return []


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


def runs(process: psutil.Process) -> bool:
    """Not ended, and not a zombie that nobody has waited for yet."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running_service(
    store: Path, log: Path, *, workers: int = 1, inside: Sequence[str] = (), **environment: str
) -> Iterator[Running]:
    """Start the service and wait until it is live, the operator's listener too; end it with SIGTERM.

    Redis keeps everybody's list, so that a fault of it is felt.

    Args:
        inside: a command that runs the one that follows it, in its own process.
    """
    port = free_port()
    command = [*inside, sys.executable, "-c", "from service.cli import main; main()", "run"]
    command += ["--store", str(store), "--port", str(port), "--workers", str(workers)]
    given = {"redis_lists": "all", **environment}
    environment = {f"NEXTBEST_{name.upper()}": value for name, value in given.items()}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **environment})
        running = Running(process, f"http://127.0.0.1:{port}", log)
        try:
            until(lambda: is_live(running), START_S)
            if "operator_port" in given:
                address = given.get("operator_host", "127.0.0.1"), int(given["operator_port"])
                until(lambda: is_open(*address), START_S)
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            shutil.rmtree(private_folder(store), ignore_errors=True)


def is_live(running: Running) -> bool:
    assert running.process.poll() is None, running.log.read_text()
    try:
        return running.get("/health/live").ok
    except requests.ConnectionError:
        return False


def is_open(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


def until(holds: Callable[[], bool], within_s: float, *, look_s: float = 0.05) -> float:
    """Wait until something holds, looking each `look_s`; how long it took. Fails after `within_s`."""
    start_s = time.monotonic()
    while not holds():
        assert time.monotonic() - start_s < within_s, f"not within {within_s} s"
        time.sleep(look_s)
    return time.monotonic() - start_s


def free_port() -> int:
    """A port that nobody listens on, and that is given to no other test while this process runs.

    One of those that the system gives away by chance could be somebody else's before it is listened on.
    """
    while True:
        port, claim = random.randrange(10_000, 30_000), socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0nextbest-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
        else:
            claim.detach()  # held until this process ends
            return port
