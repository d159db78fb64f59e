"""Intervals that hold at every look at once: of a difference, and of the sample's ratio."""

from collections.abc import Sequence
from math import inf, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare


def half_width(variance: float, n: float, alpha: float, planned_n: float) -> float:
    """Half the width of a confidence sequence around a difference, narrowest at the planned size.

    Args:
        variance: of the estimated difference, now.
        n: customers whose window is over, now.
        alpha: two-sided: how likely it ever misses the truth, whenever one looks.
        planned_n: where it shall be narrowest.
    Returns:
        infinite without customers.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021, asymptotic confidence sequences.
    """
    if n <= 0:
        return inf
    r2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned_n
    return sqrt(variance * n) * sqrt(2 * (n * r2 + 1) * log(sqrt(n * r2 + 1) / alpha) / (n * n * r2))


def ratio_evidence(arms: NDArray[np.int32], weights: Sequence[float]) -> float:
    """The p-value, valid however often one looks, that customers fall to the arms by these weights.

    Every customer is a look: it is the least that was reached on the way.

    Args:
        arms: of each customer in the order of first exposure, numbers of weights.
    Returns:
        1 without customers.
    Source: Lindon, Malek 2022, with a uniform prior over the weights.
    """
    if not len(arms):
        return 1.0
    before = np.empty(len(arms))  # of each customer, how many came to the same arm earlier
    for arm in range(len(weights)):
        mine = np.flatnonzero(arms == arm)
        before[mine] = np.arange(len(mine))
    chance = (1 + before) / (len(weights) + np.arange(len(arms)))  # by what was seen so far
    log_odds = np.cumsum(np.log(chance / np.asarray(weights)[arms]))
    return float(min(1.0, np.exp(-log_odds.max())))


def ratio_p(counts: Sequence[int], weights: Sequence[float]) -> float:
    """The chi-square test's p-value of the same, for one look only; 1 without customers."""
    total = sum(counts)
    return float(chisquare(counts, [total * weight for weight in weights]).pvalue) if total else 1.0
