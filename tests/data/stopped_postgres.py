"""The tests' Postgres with all of its processes stopped: connections are taken, and nobody answers."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """The server is stopped as long as the block lasts."""
    processes = _processes(url)
    try:
        _send(processes, signal.SIGSTOP)
        yield
    finally:
        _send(processes, signal.SIGCONT)


def _processes(url: str) -> list[psutil.Process]:
    """The server behind a URL with a socket in its data folder, and all of its children."""
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    server = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    return [server, *server.children(recursive=True)]


def _send(processes: list[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a helper of the server, which comes and goes
            process.send_signal(what)
