"""Exponential decay: how much an old purchase still counts, and which half-life predicts this shop best."""

import numpy as np

from models.arrays import FloatArray

# By so many decayed orders of a product at most a customer counts in what is learned for others: few reach
# it, and whoever invents orders goes no further. On a grocer's year it cost nothing, and 4 did.
MOST_ORDERS = 10.0
SHORTEST_DAYS = 7.0  # of the usual half-lives
LEAST_WEIGHT = 1e-30  # what is old counts more than what never was


def decay(age_days: FloatArray, half_life_days: float) -> FloatArray:
    """Weight of an event of this age, in (0, 1], float32: halved each `half_life_days`."""
    return np.exp2(-age_days / np.float32(half_life_days)).astype(np.float32)


def lasting_decay(age_days: FloatArray, half_life_days: float) -> FloatArray:
    """The same, never below LEAST_WEIGHT: single precision would make it 0 after 149 half-lives."""
    return np.maximum(decay(age_days, half_life_days), LEAST_WEIGHT)


def half_life_grid(span_days: float) -> list[float]:
    """Half-lives worth trying on such a history, in days: powers of two from a week to beyond its end."""
    grid = [SHORTEST_DAYS]
    while grid[-1] < span_days:
        grid.append(grid[-1] * 2)
    return grid


def shorter_half_lives(horizon_days: float) -> list[float]:
    """Those below the usual ones that are worth trying where what sells changes within days, rising."""
    return [days for days in (horizon_days / 4, horizon_days / 2) if days < SHORTEST_DAYS]
