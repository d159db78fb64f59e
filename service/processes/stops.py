"""Signals to stop, heard by a thread of its own: the main thread would now and then miss them.

Python runs handlers in the main thread, and here that waits for a lock until it is told to stop. If SIGINT
and SIGTERM come together, as at a terminal, where everybody gets the first and workers the second of their
parent, it went on waiting in one of four cases.
"""

import os
import signal
import threading
from collections.abc import Callable

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stops:
    """Takes the first signal to stop of this process, and lets no other come.

    A terminal that closes (SIGHUP) is one, except for a process started with nohup, which ignores it.
    Made by the main thread before there are others, which have their mask of signals from it; made anew in a
    fork of such a process, which has the mask and not the thread.

    Args:
        is_child: its parent alone tells it to stop, by SIGTERM. At a terminal all processes get a signal at
            once, and a worker that ended by it before the parent took its own would be replaced.
    """

    def __init__(self, *, is_child: bool = False) -> None:
        self._changes = threading.Lock()
        self._stop: Callable[[], object] | None = None
        under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        taken = [signal.SIGTERM] if is_child else STOPS
        self._heard = [each for each in taken if each != signal.SIGHUP or not under_nohup]
        for each in self._heard:
            signal.signal(each, signal.SIG_DFL)
        threading.Thread(target=self._wait, name="stops", daemon=True).start()

    def call(self, stop: Callable[[], object]) -> None:
        """What to do, once, when told to stop; until this is said, that ends the process at once."""
        with self._changes:
            self._stop = stop

    def _wait(self) -> None:
        told = signal.sigwait(self._heard)
        with self._changes:
            stop = self._stop
            if stop is None:  # it has begun nothing yet
                signal.pthread_sigmask(signal.SIG_UNBLOCK, self._heard)
                os.kill(os.getpid(), told)
                return
        stop()
