"""How far a statistic must go before one may stop, when one looks again and again.

A group-sequential test spends its error as information comes in: `spending` says how much of alpha may be
gone by then, and each bound is set so that this much is. Looks need not be planned or equally far apart.
The distribution of the statistic among the ways that haven't stopped is carried from look to look on a grid
(Armitage, McPherson, Rowe 1969; Lan, DeMets 1983). Information is a share of the planned. The last look may
have more than that: all of alpha is gone by then, and how it hangs together with the looks before follows
from what there really is.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

type Floats = NDArray[np.float64]
type Spending = Literal["obrien_fleming", "pocock"]

FARTHEST = 8.0  # a bound beyond it can't be reached: 1.2e-15 of the normal's mass
GRID = 0.25  # distance of the grid's points, in standard deviations of the smallest step between two looks
LEAST_STEP = 1e-4  # information that is new; the grid can't see less


def spent(information: float, alpha: float, kind: Spending = "obrien_fleming") -> float:
    """How much of a two-sided alpha may be gone at this information.

    Source: Lan, DeMets 1983: 4 (1 - Phi(z_{alpha/4} / sqrt t)) and alpha ln(1 + (e - 1) t).
    """
    at = min(max(information, 0.0), 1.0)
    if at == 0:
        return 0.0
    if kind == "pocock":
        return float(alpha * np.log1p((np.e - 1) * at))
    return float(min(alpha, 4 * norm.sf(norm.isf(alpha / 4) / np.sqrt(at))))


@lru_cache(maxsize=4096)
def bounds(
    information: tuple[float, ...], alpha: float, kind: Spending = "obrien_fleming"
) -> tuple[float, ...]:
    """The two-sided bound of each look on the absolute standardised statistic.

    Args:
        information: of each look, rising.
    Returns:
        as many, infinite where nothing that matters may be spent yet.
    Raises:
        ValueError: information doesn't rise, or goes on after the planned one.
    """
    steps = np.diff((0.0, *information))
    if (steps < LEAST_STEP).any() or (len(information) > 1 and information[-2] >= 1):
        raise ValueError(f"information must rise, and end with the planned one: {information}")
    found: list[float] = []
    before = 0.0
    walk = _Walk(steps)
    for at, step in zip(information, steps, strict=True):
        gone = spent(at, alpha, kind)
        bound = walk.bound(gone - before, float(step))
        if np.isfinite(bound):
            before = gone
        walk.pass_look(bound, float(step))
        found.append(bound)
    return tuple(found)


def crossing(
    information: Sequence[float], limits: Sequence[float], drift: float = 0.0
) -> tuple[float, float]:
    """How likely the statistic ever crosses its upper, and its lower, bound.

    Args:
        drift: the expected statistic at information 1.
    """
    steps = np.diff((0.0, *information))
    walk = _Walk(steps, drift)
    above = below = 0.0
    for limit, step in zip(limits, steps, strict=True):
        up, down = walk.outside(limit, float(step))
        above, below = above + up, below + down
        walk.pass_look(limit, float(step))
    return above, below


class _Walk:
    """The score process among the ways that haven't stopped: a density on a grid, one look at a time.

    The score at information t is the statistic times sqrt(t); its steps are independent, normal, with
    variance and, under a drift, mean in proportion to the information that is new.
    """

    def __init__(self, steps: Floats, drift: float = 0.0) -> None:
        self._drift, self._information = drift, 0.0
        self._apart = GRID * np.sqrt(steps.min(initial=1.0))
        self._at: Floats = np.zeros(1)
        self._mass: Floats = np.ones(1)

    def outside(self, limit: float, step: float) -> tuple[float, float]:
        """Mass above and below a limit on the statistic at the next look."""
        edge = limit * np.sqrt(self._information + step)
        sd, mean = np.sqrt(step), self._at + self._drift * step
        if not np.isfinite(edge):
            return 0.0, 0.0
        return float(self._mass @ ndtr((mean - edge) / sd)), float(self._mass @ ndtr((-edge - mean) / sd))

    def bound(self, error: float, step: float) -> float:
        """The limit at which the next look spends this much."""
        if error <= 0 or sum(self.outside(FARTHEST, step)) >= error:
            return np.inf

        def missing(limit: float) -> float:
            return sum(self.outside(limit, step)) - error

        return float(brentq(missing, 0.0, FARTHEST, xtol=1e-8)) if missing(0.0) > 0 else 0.0

    def pass_look(self, limit: float, step: float) -> None:
        """What is left within the limit after the next look."""
        information, sd = self._information + step, np.sqrt(step)
        mean = self._at + self._drift * step
        edge = min(limit, FARTHEST + abs(self._drift)) * np.sqrt(information)
        n = 2 * int(np.clip(np.ceil(edge / self._apart), 50, 2000)) + 1
        at, weights = _simpson(-edge, edge, n)
        density = np.zeros(n)
        # In parts: a whole matrix of both grids needn't lie in memory.
        for part in range(0, len(mean), 256):
            apart = (at[:, None] - mean[None, part : part + 256]) / sd
            density += np.exp(-0.5 * apart * apart) @ self._mass[part : part + 256]
        self._at, self._mass = at, density * weights / (sd * np.sqrt(2 * np.pi))
        self._information = information


def _simpson(low: float, high: float, n: int) -> tuple[Floats, Floats]:
    """Points and weights of Simpson's rule on an odd number of points."""
    at = np.linspace(low, high, n)
    weights = np.full(n, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return at, weights * (high - low) / (n - 1) / 3
