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

    def for_ranker(self, others_s: float, n_rankers: int) -> float:
        """Seconds for the fit of each ranker that is judged by the gate.

        Args:
            others_s: what the variants before it took; they are fitted once more on all.
            n_rankers: how many rankers the night has.
        """
        left_s = self.seconds - (self.clock() - self.started_s) - others_s
        return max(LEAST_S, SHARE * left_s / n_rankers)
