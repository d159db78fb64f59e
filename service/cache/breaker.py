"""Stop asking a Redis that doesn't answer, or not soon: after that only a probe now and then asks."""

import time
from collections.abc import Callable
from random import SystemRandom

SYSTEMS_LOT = SystemRandom()  # a thread in the background draws: from Python's own that would disturb others
ERRORS = 5  # in a row, after which it opens
LOST_S = 0.05
PROBE_S = (1.0, 2.0)
"""Shortest and longest pause between two probes while it is open; each is drawn between them, so that the
workers of many machines don't probe at once."""


class Breaker:
    """A circuit breaker.

    Args:
        lost_s: time lost in a row, by errors and slow answers, after which it opens: callers wait behind each
            other, so one after another would wait for a server that hangs.
        clock: seconds, only ever growing.
        chance: numbers in [0, 1).
    """

    def __init__(
        self,
        lost_s: float = LOST_S,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = SYSTEMS_LOT.random,
    ) -> None:
        self._lost_s, self._clock, self._chance = lost_s, clock, chance
        self._in_a_row, self._lost_in_a_row_s = 0, 0.0
        self._next_probe: float | None = None

    @property
    def is_open(self) -> bool:
        return self._next_probe is not None

    def allows(self) -> bool:
        """May the caller ask now? While open, only the one that probes may."""
        if self._next_probe is None:
            return True
        if self._clock() < self._next_probe:
            return False
        self._plan_probe()
        return True

    def succeeded(self) -> bool:
        """Tell that an answer came. True if this closes the breaker."""
        closes = self._next_probe is not None
        self._in_a_row, self._lost_in_a_row_s, self._next_probe = 0, 0.0, None
        return closes

    def failed(self, took_s: float = 0.0) -> bool:
        """Tell that none came, and how long that took. True if this opens the breaker."""
        self._in_a_row += 1
        return self._lost(took_s)

    def slow(self, took_s: float) -> bool:
        """Tell that an answer came late. True if this opens the breaker."""
        return self._lost(took_s)

    def _lost(self, took_s: float) -> bool:
        self._lost_in_a_row_s += took_s
        may_go_on = self._in_a_row < ERRORS and self._lost_in_a_row_s < self._lost_s
        if self._next_probe is not None or may_go_on:
            return False
        self._plan_probe()
        return True

    def _plan_probe(self) -> None:
        shortest, longest = PROBE_S
        self._next_probe = self._clock() + shortest + (longest - shortest) * self._chance()
