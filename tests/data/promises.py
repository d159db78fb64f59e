"""Promises of one worker over a record of their own, and what watches them."""

from collections.abc import Callable, Sequence

from service.offers.promises import Promises
from service.record import NOT_READ
from storage.record.budgets import Budget, left_of
from storage.record.live import Since
from storage.record.promised import kept_of
from storage.record.record import Record
from tests.data.offer_shop import Clock
from tests.data.records import Door


class Outcomes(list[str]):
    """What became of promises, one after another."""

    def promise(self, outcome: str) -> None:
        self.append(outcome)


def promises_of(
    record: Record,
    budgets: Sequence[Budget],
    clock: Clock,
    life_s: float = 100,
    outcomes: Outcomes | None = None,
) -> Promises:
    return Promises(Door(record), lambda: budgets, "worker", life_s=life_s, counters=outcomes, clock=clock)


def left(record: Record, budget: Budget, clock: Clock) -> int:
    with record.reading() as connection:
        return left_of(connection, budget, kept_of(connection, budget.offer_id), int(clock() * 1000))


ANNA = {"anna": (0.5, 0.1)}
SIXTEEN = Budget("milk 10 off", 16, 0, Since(0, 0))


class Counting(Door):
    """Counts what is done behind it."""

    done = 0

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        self.done += 1
        return super().do(work)

    def counted(self) -> int:
        """Since the last time."""
        found, self.done = self.done, 0
        return found
