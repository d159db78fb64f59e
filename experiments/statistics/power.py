"""How many customers an effect needs to be seen, and which effect so many customers show."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf

from scipy.optimize import brentq
from scipy.stats import norm

from experiments.statistics.bounds import Crossing, bounds
from experiments.statistics.sequences import half_width

ALWAYS = 0
MOST_DRIFT = 20.0


@dataclass(frozen=True)
class Spread:
    """A metric of the shop as it is: its value, and of what customers have its variance and skewness."""

    value: float
    variance: float
    skewness: float = 0.0


@dataclass(frozen=True)
class Design:
    """Of an experiment, what its size depends on.

    Attributes:
        alpha: two-sided, of one arm's comparison.
        weights: of the arms, the control first; the smallest of the others decides.
        looks: planned, evenly; 1 for a metric that is looked at once; `ALWAYS` for a guardrail: its
            confidence sequence, where it is narrowest, shall lie within a margin.
    """

    alpha: float
    power: float
    weights: Sequence[float]
    looks: int = 1

    @property
    def _pair(self) -> float:
        """Variance of a difference for one customer of the whole experiment, over a customer's own."""
        return 1 / self.weights[0] + 1 / min(self.weights[1:])

    def needed_n(self, spread: Spread, relative: float) -> int | None:
        """Customers of all arms that show this relative effect; None where the metric is 0 or a constant."""
        if spread.value == 0 or spread.variance <= 0:
            return None
        drift = drift_of(self.alpha, self.power, self.looks)
        return ceil(spread.variance * self._pair * (drift / (relative * spread.value)) ** 2)

    def visible(self, spread: Spread, n: int) -> float | None:
        """The smallest relative effect that this many customers of all arms show."""
        if spread.value == 0 or spread.variance <= 0:
            return None
        drift = drift_of(self.alpha, self.power, self.looks)
        found = drift * (spread.variance * self._pair / n) ** 0.5 / abs(spread.value)
        return found if found < inf else None


@lru_cache(maxsize=64)
def drift_of(alpha: float, power: float, looks: int) -> float:
    """The expected statistic at the planned size at which the upper bound is crossed with this power."""
    if looks == ALWAYS:
        return half_width(1.0, 1, alpha, 1) + float(norm.isf(1 - power))
    if looks == 1:
        return float(norm.isf(alpha / 2) + norm.isf(1 - power))
    information = tuple(look / looks for look in range(1, looks + 1))
    limits = bounds(information, alpha)
    crossing = Crossing(information, limits, MOST_DRIFT)
    return float(brentq(lambda drift: crossing.under(drift)[0] - power, 0.0, MOST_DRIFT, xtol=1e-4))
