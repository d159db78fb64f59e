"""What was looked at before: each look at a primary metric spends a part of alpha, once; one a day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Protocol

from experiments.statistics.bounds import bounds, spent
from models.arrays import DAY_MS

NEWS = 0.001  # of the planned information: with less of it another look would see the same


@dataclass(frozen=True)
class Look:
    """One look at the primary metric of one arm.

    Attributes:
        at_ms: when, Unix milliseconds.
        information: customers whose window was over, as a share of those planned; 1 or more at the last look.
        statistic: standardised; above 0 is the good direction.
        bound: beyond which one may stop; infinite early on.
        spent: of alpha, up to and with this look.
        difference, error: the effect and its standard error; infinite of a look that knew none.
    """

    experiment_id: str
    version: int
    metric: str
    arm: str
    at_ms: int
    information: float
    statistic: float
    bound: float = inf
    spent: float = 0.0
    difference: float = 0.0
    error: float = inf


class Ledger(Protocol):
    """Where looks are kept: only what is kept makes a repeated report cost nothing."""

    def looks(self, experiment_id: str, version: int) -> Sequence[Look]:
        """All looks at a version of an experiment, in any order."""

    def add(self, looks: Sequence[Look]) -> None:
        """Keep looks that aren't there yet: one by experiment, version, metric, arm and day."""


class LedgerInMemory:
    """A ledger that ends with the process."""

    def __init__(self) -> None:
        self._looks: dict[tuple[str, int, str, str, int], Look] = {}

    def looks(self, experiment_id: str, version: int) -> Sequence[Look]:
        return [
            look
            for look in self._looks.values()
            if (look.experiment_id, look.version) == (experiment_id, version)
        ]

    def all(self) -> Sequence[Look]:
        """The looks of all experiments."""
        return list(self._looks.values())

    def add(self, looks: Sequence[Look]) -> None:
        for look in looks:
            key = (look.experiment_id, look.version, look.metric, look.arm, look.at_ms // DAY_MS)
            self._looks.setdefault(key, look)


def rounded(information: float) -> float:
    """Information as a ledger holds it: 1 where it is all but there."""
    return 1.0 if 1 - NEWS < information < 1 else information


def next_look(before: Sequence[Look], new: Look, alpha: float) -> tuple[Look | None, bool]:
    """The look that counts now, and whether it is a new one.

    Args:
        before: earlier looks at the same metric and arm.
        new: what is seen now; its bound and what it spends are worked out here.
    Returns:
        the look of the same day, or where there is too little news for another, the last that saw as much;
        None where all that were taken have seen more: what they saw isn't known yet.
    """
    past = sorted(before, key=lambda look: look.information)
    today = [look for look in past if look.at_ms // DAY_MS == new.at_ms // DAY_MS]
    if today:
        return today[-1], False
    is_over = bool(past) and past[-1].information >= 1
    if past and (is_over or new.information < past[-1].information + NEWS):
        seen = [look for look in past if look.information <= new.information + NEWS]
        return (seen[-1] if seen else None), False
    limit = bounds((*(look.information for look in past), new.information), alpha)[-1]
    used = spent(new.information, alpha) if isfinite(limit) else past[-1].spent if past else 0.0
    return replace(new, bound=limit, spent=used), True
