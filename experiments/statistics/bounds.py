"""How far a statistic must go before one may stop, when one looks again and again.

A group-sequential test spends its error as information comes in: `spending` says how much of alpha may be
gone by then, and each bound is set so that this much is. Looks need not be planned or equally far apart.
The distribution of the statistic among the ways that haven't stopped is carried from look to look on a grid
(Armitage, McPherson, Rowe 1969; Lan, DeMets 1983). Information is a share of the planned. The last look may
have more than that: all of alpha is gone by then, and how it hangs together with the looks before follows
from what there really is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from models.arrays import DoubleArray

FARTHEST = 8.0  # a bound beyond it can't be reached: 1.2e-15 of the normal's mass
GRID = 0.25  # distance of the grid's points, in standard deviations of the smallest step between two looks
FAR = 10.0  # standard deviations of a step, beyond which there is 1e-23 of it
PART = 64  # points
LEAST_STEP = 1e-4  # information that is new; the grid can't see less


def spent(information: float, alpha: float) -> float:
    """How much of a two-sided alpha may be gone at this information.

    Source: Lan, DeMets 1983, as of O'Brien, Fleming: 4 (1 - Phi(z_{alpha/4} / sqrt t)).
    """
    at = min(max(information, 0.0), 1.0)
    if at == 0:
        return 0.0
    return float(min(alpha, 4 * norm.sf(norm.isf(alpha / 4) / np.sqrt(at))))


@lru_cache(maxsize=4096)
def bounds(information: tuple[float, ...], alpha: float) -> tuple[float, ...]:
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
        gone = spent(at, alpha)
        bound = walk.bound(gone - before, float(step))
        if np.isfinite(bound):
            before = gone
        walk.pass_look(bound, float(step))
        found.append(bound)
    return tuple(found)


class Crossing:
    """How likely bounds are crossed, under any drift: the ways are carried once, for all of them.

    Args:
        most: the farthest drift that is asked for.
    """

    def __init__(self, information: Sequence[float], limits: Sequence[float], most: float = 0.0) -> None:
        steps = np.diff((0.0, *information))
        walk = _Walk(steps, FARTHEST + most)
        self._looks: list[tuple[_Ways, float, float]] = []
        for limit, step in zip(limits, steps, strict=True):
            self._looks.append((walk.ways, float(limit), float(step)))
            walk.pass_look(limit, float(step))

    def under(self, drift: float = 0.0) -> tuple[float, float]:
        """How likely the statistic ever crosses its upper, and its lower, bound.

        Args:
            drift: the expected statistic at information 1.
        """
        sides = [ways.under(drift).outside(limit, step, drift) for ways, limit, step in self._looks]
        return sum(above for above, _ in sides), sum(below for _, below in sides)


@dataclass(frozen=True, eq=False)
class _Ways:
    """Those that haven't stopped at a look: where their scores are, on a grid, and how likely."""

    information: float
    at: DoubleArray
    mass: DoubleArray

    def under(self, drift: float) -> "_Ways":
        """The same under a drift, if these are without one: each is likelier by exp(drift s - drift^2 t / 2),
        where s is its score and t the information, whatever came before."""
        likelier = np.exp(drift * self.at - drift * drift * self.information / 2)
        return _Ways(self.information, self.at, self.mass * likelier)

    def outside(self, limit: float, step: float, drift: float = 0.0) -> tuple[float, float]:
        """Mass above and below a limit on the statistic at the next look."""
        edge = limit * np.sqrt(self.information + step)
        sd, mean = np.sqrt(step), self.at + drift * step
        if not np.isfinite(edge):
            return 0.0, 0.0
        return float(self.mass @ ndtr((mean - edge) / sd)), float(self.mass @ ndtr((-edge - mean) / sd))


class _Walk:
    """The score process without a drift among the ways that haven't stopped, one look at a time.

    The score at information t is the statistic times sqrt(t); its steps are independent, normal, with
    variance and, under a drift, mean in proportion to the information that is new.

    Args:
        farthest: of a statistic, where a look has no bound.
    """

    def __init__(self, steps: DoubleArray, farthest: float = FARTHEST) -> None:
        self._farthest, self._apart = farthest, GRID * np.sqrt(steps.min(initial=1.0))
        self.ways = _Ways(0.0, np.zeros(1), np.ones(1))

    def bound(self, error: float, step: float) -> float:
        """The limit at which the next look spends this much."""
        if error <= 0 or sum(self.ways.outside(FARTHEST, step)) >= error:
            return np.inf

        def missing(limit: float) -> float:
            return sum(self.ways.outside(limit, step)) - error

        return float(brentq(missing, 0.0, FARTHEST, xtol=1e-8)) if missing(0.0) > 0 else 0.0

    def pass_look(self, limit: float, step: float) -> None:
        """What is left within the limit after the next look."""
        before, sd = self.ways, np.sqrt(step)
        information = before.information + step
        edge = min(limit, self._farthest) * np.sqrt(information)
        n = 2 * int(np.clip(np.ceil(edge / self._apart), 50, 2000)) + 1
        at, weights = _simpson(-edge, edge, n)
        density = np.zeros(n)
        # In parts: a whole matrix of both grids needn't lie in memory, and most of it is 0.
        for start in range(0, len(before.at), PART):
            part = before.at[start : start + PART]
            near = slice(*np.searchsorted(at, (part[0] - FAR * sd, part[-1] + FAR * sd)))
            apart = (at[near, None] - part) / sd
            density[near] += np.exp(-0.5 * apart * apart) @ before.mass[start : start + PART]
        self.ways = _Ways(information, at, density * weights / (sd * np.sqrt(2 * np.pi)))


def _simpson(low: float, high: float, n: int) -> tuple[DoubleArray, DoubleArray]:
    """Points and weights of Simpson's rule on an odd number of points."""
    at = np.linspace(low, high, n)
    weights = np.full(n, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return at, weights * (high - low) / (n - 1) / 3
