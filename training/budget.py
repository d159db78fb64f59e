"""How much of a night's time a ranker may take: it alone can do with less, by learning from fewer windows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

SHARE = 0.6  # of the time left; the rest is for scoring, the second fit, and the lists of all customers
LEAST_S = 1.0  # 0 would mean no limit


@dataclass(frozen=True)
class Budget:
    """Seconds that a night should take as a whole.

    Attributes:
        seconds: from `started_s` on.
        started_s: when it began, by `clock`.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic
    started_s: float = field(default_factory=time.monotonic)

    def for_ranker(self, n_rankers: int) -> float:
        """Seconds for the fit of each of so many rankers, which the gate judges.

        The variants before them are fitted once more as well, which takes little: their options are learned.
        """
        left_s = self.seconds - (self.clock() - self.started_s)
        return max(LEAST_S, SHARE * left_s / n_rankers)
