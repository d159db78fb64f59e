"""Which experiments run, as the record says, within seconds in every worker."""

import time
from collections.abc import Callable
from math import inf

import structlog

from experiments.assignment import Plan
from service.processes.background import now_and_every
from service.record import Door
from service.trials.reading import plan_of
from storage.record.changes import clock_now
from storage.record.experiments import Running, running
from storage.record.record import Record

POLL_S = 1.0
log = structlog.get_logger()


class PlanFollower:
    """Follows the record. `current` is empty until it was read once: then everybody gets the champion."""

    def __init__(self, door: Door, clock: Callable[[], float] = time.time) -> None:
        self._door, self._clock = door, clock
        self._seen: int | None = None
        self._found = Running((), 0.0, "")
        self._next_ms = inf  # when the next scheduled experiment begins
        self.current = Plan()

    def start(self) -> None:
        """Look now, then go on looking."""
        now_and_every(POLL_S, self.look, "experiments")

    def look(self) -> None:
        """Take in what changed since the last look, and what begins by now.

        Raises:
            RefusedError: the record can't be used now; what ran goes on, and what is scheduled begins.
        """
        if int(self._clock() * 1000) >= self._next_ms:
            self._take()

        def read(record: Record) -> tuple[int, Running | None]:
            with record.reading() as connection:
                now = clock_now(connection)
                return now, running(connection) if now != self._seen else None

        now, found = self._door.do(read)
        if found is not None:
            self._found = found
            self._take()
        self._seen = now

    def _take(self) -> None:
        """Go by what was read of the record, as of now."""
        now_ms = int(self._clock() * 1000)
        ahead = [one.started_ms for one in self._found.experiments if one.is_scheduled(now_ms)]
        self._next_ms = min(ahead, default=inf)
        plan = plan_of(self._found, now_ms)
        if plan != self.current:
            self.current = plan
            log.info("experiments taken", running=[entry.experiment_id for entry in plan.entries])
