"""How much more is ordered at some times of the year than at others, as before a feast or a term."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.arrays import DAY_S, AnyArray, DoubleArray, LongArray
from models.numerics.shrinkage import shrunk_rates, shrunk_slope
from models.ranking.month import DayFactors, daily_orders

YEAR_DAYS = 364  # whole weeks
HALF_DAYS = YEAR_DAYS // 2  # the year around a day is what is usual then, so that growth cancels
BEFORE = 4  # horizons, to which the next is compared where it is looked what came true
LEAST_TRIED = 5


@dataclass(frozen=True, eq=False)
class YearFactors:
    """What a horizon brings over what is usual in the year around it, by the day on which it begins.

    Attributes:
        by_day: shape (YEAR_DAYS,), from now on.
    """

    by_day: DoubleArray

    @classmethod
    def of(cls, ordered_s: LongArray, as_of_s: int, horizon_days: float, of_month: float = 0.0) -> Self:
        """Learned from what was ordered in all horizons from these days on in earlier years, taken together.

        Earlier years are the nearest whole weeks ago, so that weekdays are the same. A horizon counts when
        the half year from its beginning is known. Factors are drawn to 1 as far as they differ by no more
        than chance; all are 1 if fewer than `least_days` are known.

        Args:
            ordered_s: when each order was made, Unix seconds, rising; from `as_of_s` on isn't looked at.
            as_of_s: now.
            horizon_days: length of the horizons.
            of_month: power of what days of the month bring, which isn't the year's.
        """
        orders = daily_orders(ordered_s, as_of_s)
        n_days = len(orders)
        if n_days < least_days(horizon_days):
            return cls(np.ones(YEAR_DAYS))
        alike = DayFactors.of(ordered_s, as_of_s).daily(as_of_s - n_days * DAY_S, n_days, of_month)
        usual = _sums(orders, -HALF_DAYS, HALF_DAYS) / _sums(alike, -HALF_DAYS, HALF_DAYS) * alike
        length = int(np.ceil(horizon_days))
        came, expected = _sums(orders, 0, length), _sums(usual, 0, length)
        years = n_days + np.arange(YEAR_DAYS) - _years_days(n_days)[:, None]
        is_known = (years >= 0) & (years + max(length, HALF_DAYS) <= n_days)
        place, day = np.nonzero(is_known)[1], years[is_known]
        events, rate = (np.bincount(place, each[day], YEAR_DAYS) for each in (came, expected))
        return cls(shrunk_rates(events, rate))

    def rise(self, day: int) -> float:
        """The log of what a horizon brings that begins so many days from now, or before it if negative."""
        return float(np.log(self.by_day[day % YEAR_DAYS]))


def year_power(ordered_s: LongArray, as_of_s: int, horizon_days: float, of_month: float = 0.0) -> float:
    """How far rises by the time of the year came true in the horizons of the last year, from 0 to 1.

    Both what was told of each, as it was known before, and what was ordered are taken over that of the
    BEFORE horizons before it: from these the next is learned, and growth is the same everywhere. Horizons are
    taken in the nearest whole weeks. Fewer than LEAST_TRIED tell nothing: 0.

    Args: as of `YearFactors.of`.
    """
    weeks_days = 7 * max(round(horizon_days / 7), 1)
    first_s = ordered_s[0] if len(ordered_s) else as_of_s
    told, came = [], []
    for ago_days in range(weeks_days, YEAR_DAYS + 1, weeks_days):
        start_s = as_of_s - ago_days * DAY_S
        if start_s - first_s <= (least_days(weeks_days) - 1) * DAY_S:
            break
        factors = YearFactors.of(ordered_s, start_s, weeks_days, of_month)
        days = DayFactors.of(ordered_s, start_s)
        starts = np.arange(0, -BEFORE - 1, -1) * weeks_days
        begins_s = start_s + starts * DAY_S
        by_year = factors.by_day[starts % YEAR_DAYS]
        by_month = np.exp(of_month * np.array([days.rise(each, weeks_days) for each in begins_s.tolist()]))
        ends_s = begins_s + weeks_days * DAY_S
        ordered = np.searchsorted(ordered_s, ends_s) - np.searchsorted(ordered_s, begins_s)
        told.append(_log_over_rest(by_year))
        came.append(_log_over_rest(ordered + 1) - _log_over_rest(by_month))
    return shrunk_slope(np.array(told), np.array(came)) if len(told) >= LEAST_TRIED else 0.0


def least_days(horizon_days: float) -> float:
    """Of a history that tells what last year brought: a year, and what is compared with before it."""
    return YEAR_DAYS + max(BEFORE * horizon_days, HALF_DAYS / 2)


def _years_days(most_days: int) -> LongArray:
    """How many days ago the same days of earlier years were, those within `most_days` and one year more."""
    years = np.arange(1, most_days // YEAR_DAYS + 2)
    return np.rint(years * 365.25 / 7).astype(np.int64) * 7


def _sums(daily: AnyArray, first: int, end: int) -> DoubleArray:
    """The sum from so many days after each day up to others, of those that are known."""
    total, day = np.concatenate([[0.0], np.cumsum(daily)]), np.arange(len(daily))
    upto, since = (np.clip(day + shift, 0, len(daily)) for shift in (end, first))
    between: DoubleArray = total[upto] - total[since]
    return between


def _log_over_rest(values: AnyArray) -> float:
    """The log of the first over the mean of the others."""
    return float(np.log(values[0] / values[1:].mean()))
