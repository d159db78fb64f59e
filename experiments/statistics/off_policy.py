"""What another policy would have earned, from answers whose places were drawn with known chances.

Each answer counts as often as the other policy would have given it. Where that policy is far from the one
that answered, few answers carry all the weight and nothing can be said: then nothing is.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from experiments.errors import TooFarError
from experiments.statistics.effects import Z
from models.arrays import DoubleArray

LEAST_N, LEAST_SHARE = 100.0, 0.05  # effective customers that a value needs, and their share of all


@dataclass(frozen=True)
class Value:
    """The other policy's mean reward for one answer.

    Attributes:
        low, high: 95 % interval over customers.
        effective_n: how many customers of the other policy these are worth: a customer may see the same thing
            all day, so answers would count what isn't known.
    """

    value: float
    low: float
    high: float
    effective_n: float


def effective_n(weights: DoubleArray) -> float:
    """(sum of weights)^2 over the sum of their squares; 0 without any weight."""
    squares = float((weights * weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def snips(
    rewards: DoubleArray, propensities: DoubleArray, targets: DoubleArray, customers: NDArray[np.int64]
) -> Value:
    """Self-normalised inverse propensities.

    Args:
        rewards: of each answer.
        propensities: chance with which it was drawn, above 0.
        targets: chance that the other policy would have drawn it.
        customers: number of each answer's customer; answers of one aren't independent.
    Raises:
        TooFarError: the policies are too far apart.
    Source: Swaminathan, Joachims 2015.
    """
    weights = targets / propensities
    n = _checked(weights, customers)
    value = float((weights * rewards).sum() / weights.sum())
    return _around(value, weights * (rewards - value) / weights.mean(), customers, n)


def doubly_robust(
    rewards: DoubleArray,
    propensities: DoubleArray,
    targets: DoubleArray,
    customers: NDArray[np.int64],
    *,
    guessed: DoubleArray,
    guessed_target: DoubleArray,
) -> Value:
    """A guess of the reward, set right by what was seen where it was drawn: right if either is.

    Args:
        guessed: what a model expects of each answer as it was given.
        guessed_target: what it expects of the other policy there, on average over what that might draw.
    Raises:
        TooFarError: the policies are too far apart.
    Source: Dudik, Langford, Li 2011.
    """
    weights = targets / propensities
    n = _checked(weights, customers)
    parts = guessed_target + weights * (rewards - guessed)
    value = float(parts.mean())
    return _around(value, parts - value, customers, n)


def doubly_robust_gain(
    rewards: DoubleArray,
    propensities: DoubleArray,
    targets: DoubleArray,
    base: DoubleArray,
    customers: NDArray[np.int64],
    *,
    guessed: DoubleArray,
    guessed_target: DoubleArray,
    guessed_base: DoubleArray,
) -> Value:
    """What the other policy earns more than a third one, from the same answers: where both would do the same
    nothing differs, and nothing is added to the interval.

    Args:
        base: chance that the third policy would have drawn each answer.
        guessed_base: as `guessed_target`, of the third policy.
    Returns:
        a difference; the effective number is that of the policy which has the fewer.
    Raises:
        TooFarError: one of the two is too far apart from the one that answered.
    """
    n = min(_checked(policy / propensities, customers) for policy in (targets, base))
    weights = (targets - base) / propensities
    parts = guessed_target - guessed_base + weights * (rewards - guessed)
    value = float(parts.mean())
    return _around(value, parts - value, customers, n)


def _checked(weights: DoubleArray, customers: NDArray[np.int64]) -> float:
    sums = _by_customer(weights, customers)
    n = effective_n(sums)
    if n < LEAST_N or n < LEAST_SHARE * len(sums):
        raise TooFarError(n, len(sums))
    return n


def _around(value: float, apart: DoubleArray, customers: NDArray[np.int64], n: float) -> Value:
    """With its interval, from what each customer's answers add to it together."""
    sums = _by_customer(apart, customers)
    half = Z * sqrt(float((sums * sums).sum())) / len(apart)
    return Value(value, value - half, value + half, n)


def _by_customer(values: DoubleArray, customers: NDArray[np.int64]) -> DoubleArray:
    _, number = np.unique(customers, return_inverse=True)
    return np.bincount(number, weights=values)
