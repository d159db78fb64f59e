"""Work in a thread of its own, so that whoever asks for it waits for a bounded time, whatever hangs.

A server whose host is gone, or whose process is stopped, answers nothing, not even an error: no setting of a
driver ends that wait soon. Here the caller goes away in time; the thread stays until the server moves again
or the connection is cut.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from models.errors import NextbestError


class TooLateError(NextbestError):
    """Work isn't done in time; it may still be done later."""


class Bounded:
    """One thread that works one thing at a time. While it hangs, callers are refused at once.

    Args:
        wait_s: how long a caller waits.
        name: of the thread.
    """

    def __init__(self, wait_s: float, name: str) -> None:
        self._wait_s = wait_s
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._turn = threading.Lock()
        self._given_up: Future[Any] | None = None
        threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def hangs(self) -> bool:
        """Whether somebody gave up waiting for what still runs."""
        return self._given_up is not None and not self._given_up.done()

    def begin(self, work: Callable[[], Any]) -> None:
        """Let work be done without waiting for it; what it raises is nobody's."""
        self._jobs.put((work, Future()))

    def do[T](self, work: Callable[[], T]) -> T:
        """What the work returns or raises.

        Raises:
            TooLateError: it takes too long.
        """
        if self.hangs or not self._turn.acquire(timeout=self._wait_s):
            raise TooLateError("it still works on what was asked before")
        try:
            future: Future[T] = Future()
            self._jobs.put((work, future))
            try:
                return future.result(self._wait_s)
            except TimeoutError:
                if future.done():  # it is the work's own error, or the work ended just now
                    return future.result()
                self._given_up = future
                raise TooLateError(f"no answer within {self._wait_s * 1000:.0f} ms") from None
        finally:
            self._turn.release()

    def _work(self) -> None:
        while True:
            work, future = self._jobs.get()
            try:
                future.set_result(work())
            except BaseException as err:  # it belongs to the caller, and this thread goes on
                future.set_exception(err)
