"""SIGINT and SIGTERM as a wish: work that can be left is left, what must be finished is finished first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StoppedError(Exception):
    """Somebody asked for the end while work that can be left was going on."""


class Stop:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self.is_asked = False
        self._may_leave = False

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Take both signals; as they were before when it ends."""
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Work that a signal ends at once.

        Raises:
            StoppedError: one came, now or earlier.
        """
        self._may_leave = True
        try:
            if self.is_asked:
                raise StoppedError
            yield
        finally:
            self._may_leave = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True
        if self._may_leave:
            self._may_leave = False
            raise StoppedError
