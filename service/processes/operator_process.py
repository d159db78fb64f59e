"""The operator's listener as a process of its own beside the workers: it neither slows nor ends them.

Its app runs under the same server as theirs. What it shows of the workers it reads from the folder in which
all of them count.
"""

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.context import ForkProcess

import structlog

from service.processes.background import Outlived

WAIT_S = 10  # for a fork that can't be had either
log = structlog.get_logger()


class OperatorKeeper:
    """Keeps the process of the operator's listener running as long as this process lives.

    Args:
        serve: serves until SIGTERM, in the process that is forked for it.
    """

    LOOK_S = 1.0

    def __init__(self, serve: Callable[[], None]) -> None:
        self._serve, self._stopped, self._forked = serve, threading.Event(), threading.Event()
        self._process: ForkProcess | None = None
        # The process dies with the thread that forks it: this one, which lasts as long as our process.
        self._thread = threading.Thread(target=self._keep, name="operator-keeper", daemon=True)

    def start(self) -> None:
        """Fork while the caller waits: what it might hold at that moment, such as the lock of an import,
        would be held in the child for good."""
        self._thread.start()
        self._forked.wait(WAIT_S)

    def stop(self, wait_s: float) -> None:
        """End the process; kill it if it takes longer than `wait_s`."""
        self._stopped.set()
        self._thread.join(self.LOOK_S + 5)
        if self._process:
            self._process.terminate()
            self._process.join(wait_s)
            self._process.kill()
            self._process.join()

    def _keep(self) -> None:
        outlived = Outlived("operator-keeper")
        while not self._stopped.is_set():
            outlived.take(self._look)
            self._stopped.wait(self.LOOK_S)

    def _look(self) -> None:
        if self._process and not self._process.is_alive():
            log.warning("the operator's listener ended, starting another", code=self._process.exitcode)
            self._process = None
        if self._process is None:
            process = multiprocessing.get_context("fork").Process(target=self._serve, name="operator")
            process.start()
            self._process = process
            self._forked.set()
