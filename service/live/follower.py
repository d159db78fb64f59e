"""Follows the record's customers in the background, and at once after what this worker acknowledged."""

import threading
import time

import structlog

from service.background import every
from service.errors import RefusedError
from service.live.reader import LiveReader

PIECES_S = 0.1  # how long what is behind may be read in one turn
log = structlog.get_logger()


class LiveFollower:
    """One turn at a time, from whichever thread.

    Args:
        poll_s: how often to look, in seconds.
        wait_s: how long a request waits for its turn.
    """

    def __init__(self, reader: LiveReader, *, poll_s: float, wait_s: float) -> None:
        self._reader, self._poll_s, self._wait_s = reader, poll_s, wait_s
        self._turn = threading.Lock()

    def start(self) -> None:
        """Look now, then go on looking."""
        self._look_and_survive()
        every(self._poll_s, self._look_and_survive, "customers")

    def catch_up(self) -> None:
        """Know what was just committed before it is acknowledged; where that fails, the next turn does it."""
        if not self._turn.acquire(timeout=self._wait_s):
            return
        try:
            self._reader.look()
        except RefusedError:
            pass  # the door has said why
        finally:
            self._turn.release()

    def _look_and_survive(self) -> None:
        try:
            with self._turn:
                self._reader.look()
            until_s = time.monotonic() + PIECES_S
            while self._reader.is_behind and time.monotonic() < until_s:
                with self._turn:
                    self._reader.go_on()
        except RefusedError:
            pass  # the door has said why; what was known goes on
        except Exception:  # the worker must outlive whatever a record can hold
            log.exception("looking for what is new of customers failed")
