"""Which experiments run, as the record says, within seconds in every worker."""

import structlog

from experiments.assignment import Plan
from service.background import now_and_every
from service.live.reader import Door
from service.trials.reading import plan_of
from storage.record.changes import clock_now
from storage.record.experiments import Running, running
from storage.record.record import Record

POLL_S = 1.0
log = structlog.get_logger()


class PlanFollower:
    """Follows the record. `current` is empty until it was read once: then everybody gets the champion."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._seen: int | None = None
        self.current = Plan()

    def start(self) -> None:
        """Look now, then go on looking."""
        now_and_every(POLL_S, self.look, "experiments")

    def look(self) -> None:
        """Take in what changed since the last look.

        Raises:
            RefusedError: the record can't be used now; what ran goes on.
        """

        def read(record: Record) -> tuple[int, Running | None]:
            with record.reading() as connection:
                now = clock_now(connection)
                return now, running(connection) if now != self._seen else None

        now, found = self._door.do(read)
        if found is not None:
            plan = plan_of(found)
            if plan != self.current:
                self.current = plan
                log.info("experiments taken", running=[entry.experiment_id for entry in plan.entries])
        self._seen = now
