"""Granian's server with our rules for its workers: one that dies is replaced, one told to stop is told once.

Granian ends the service when the same worker dies again within 5.5 s, as if it couldn't start. A worker that
was killed did start: only several in a row that end right after their birth are a reason to give up, and then
whoever supervises the service sees it end.
"""

import signal
import time
from collections.abc import Callable
from typing import Any

import structlog
from granian import _signals
from granian.server.mp import MPServer, WorkerProcess

from service.processes.stops import Stops

EARLY_S = 2.0  # a worker that ended sooner than this hardly answered
KILLED = (-signal.SIGKILL, -signal.SIGTERM)
GIVE_UP = 5
PAUSE_S = 0.5
log = structlog.get_logger()


class Workers(MPServer):
    """The parent of the workers, and their server."""

    early_deaths = 0
    # SIGHUP is a signal to stop, see `Stops`; Granian would replace all workers by others like them.
    signal_handler_reload = None  # type: ignore[assignment]

    def _respawn_workers(
        self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0
    ) -> None:
        """Called by Granian with the places of those that ended."""
        ended = [self.wrks[place] for place in workers]
        failed = any(_failed_to_start(worker) for worker in ended)
        self.early_deaths = self.early_deaths + 1 if failed else 0
        codes = [worker.inner.exitcode for worker in ended]
        log.warning("a worker ended, starting another", codes=codes)
        if failed:
            time.sleep(PAUSE_S)
        super()._respawn_workers(workers, spawn_target, target_loader, delay)
        if self.early_deaths < GIVE_UP:
            self.respawned_wrks.clear()  # what Granian judges by

    def _stop_workers(self) -> None:
        """Called by Granian when the service ends.

        Its own looks once after it waited. A thread for each worker waits too, and on a busy machine is still
        about to note the end that it heard of: the worker seemed alive, and was called killed.
        """
        workers: list[Any] = self.wrks
        for worker in workers:
            worker.terminate()
        last_s = time.monotonic() + (self.workers_kill_timeout or 0)
        while (left := [each for each in workers if each.is_alive()]) and time.monotonic() < last_s:
            time.sleep(0.01)
        for worker in left:
            log.warning("a worker didn't stop in time and was killed", worker=worker.idx + 1)
            worker.kill()
            worker.join()
        workers.clear()


def _failed_to_start(worker: WorkerProcess) -> bool:
    """Whether it ended early and by itself."""
    return time.monotonic() - worker.birth < EARLY_S and worker.inner.exitcode not in KILLED


def listen_with(stops: Stops) -> None:
    """Have this process, a worker that starts, end as Granian does once it listens, and be told so once.

    Granian hands a signal on through a channel that holds one, and waits while that is full without letting
    go of the interpreter: a worker told a third time before it ended would stand still for good.
    """
    listen: Callable[[], Any] = _signals.set_sync_signals

    def listen_once() -> Any:
        event = listen()
        stops.call(event.set)
        return event

    _signals.set_sync_signals = listen_once
