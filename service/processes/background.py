"""Looks again and again, in a thread that ends with the process; a step that fails is logged and outlived."""

import threading
import time
from collections.abc import Callable

import structlog

from service.errors import RefusedError

SAY_AGAIN_S = 3600.0
log = structlog.get_logger()


class Outlived:
    """Steps of one name, whatever becomes of each. A fault is logged with its trace when it begins; while it
    lasts, once an hour how often it came, and so at its end."""

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._clock = name, clock
        self._kinds: set[type[Exception]] = set()  # of errors, since a step was last done
        self._times, self._said_s = 0, 0.0

    def take(self, step: Callable[[], None]) -> None:
        """Take this step now, in this thread."""
        try:
            step()
        except RefusedError:
            pass  # the door to the record has said why; what was known goes on
        except Exception as err:  # the worker must outlive whatever a record, a store or a file can hold
            self.failed(err)
        else:
            self.worked()

    def failed(self, err: Exception) -> None:
        """A step raised this, which is being handled."""
        self._times += 1
        now_s = self._clock()
        if type(err) not in self._kinds:
            self._kinds.add(type(err))
            log.exception("a step in the background failed", of=self.name)
        elif now_s >= self._said_s + SAY_AGAIN_S:
            log.error("a step in the background still fails", of=self.name, times=self._times)
        else:
            return
        self._said_s = now_s

    def worked(self) -> None:
        """A step was done."""
        if self._times:
            log.info("a step in the background works again", of=self.name, times=self._times)
            self._kinds.clear()
            self._times = 0


def now_and_every(seconds: float, step: Callable[[], None], name: str) -> None:
    """Take this step now, and go on as `every` does."""
    outlived = Outlived(name)
    outlived.take(step)
    _every(seconds, step, outlived)


def every(seconds: float, step: Callable[[], None], name: str) -> None:
    """Take this step after each pause of this many seconds."""
    _every(seconds, step, Outlived(name))


def _every(seconds: float, step: Callable[[], None], outlived: Outlived) -> None:
    def go_on() -> None:
        while True:
            time.sleep(seconds)
            outlived.take(step)

    threading.Thread(target=go_on, name=outlived.name, daemon=True).start()
