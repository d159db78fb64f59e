"""How much more is ordered in some horizons than in others, by the days of the month and the time of year."""

from collections.abc import Sequence

import numpy as np

from models.arrays import DAY_S, DoubleArray
from models.history.interactions import Interactions
from models.ranking.month import DayFactors, month_power
from models.ranking.year import YearFactors, year_power


def levels(interactions: Interactions, starts_s: Sequence[int], horizon_days: float) -> DoubleArray:
    """How much more than usual is to be expected of some horizons, as logs.

    Each is the rise of `DayFactors` times one power, plus that of `YearFactors` times another: how far such
    rises came true in the last horizons. They are 0 where these say nothing of what was ordered.

    Args:
        interactions: what is known now.
        starts_s: where the horizons begin, Unix seconds; whole days from now.
        horizon_days: length of each.
    Returns:
        shape (len(starts_s),).
    """
    ordered_s, now_s = np.sort(interactions.at_s[interactions.first_of_order]), interactions.as_of_s
    of_month = month_power(ordered_s, now_s, horizon_days)
    of_year = year_power(ordered_s, now_s, horizon_days, of_month)
    days, year = DayFactors.of(ordered_s, now_s), YearFactors.of(ordered_s, now_s, horizon_days, of_month)
    return np.array(
        [
            of_month * days.rise(start_s, horizon_days) + of_year * year.rise((start_s - now_s) // DAY_S)
            for start_s in starts_s
        ]
    )
