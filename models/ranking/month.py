"""How much more is ordered on some days of the month than on others, as from a payday on."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.arrays import DAY_S, AnyArray, DoubleArray, LongArray
from models.numerics.shrinkage import shrunk_rates, shrunk_slope

LEAST_DAYS = 62  # of a history in which each day of the month came twice
AROUND_DAYS = 35  # whole weeks that hold a month: their mean is what is usual around a day
ROUNDS = 10  # of fitting weekdays and numbers in turn
TRIED = 12  # last horizons, in which is looked how far what the day of the month said came true
LEAST_TRIED = 5  # which hold a month


@dataclass(frozen=True, eq=False)
class DayFactors:
    """What a day brings over what is usual around it: a factor of its weekday times one of its number.

    Days are 24 hours, counted from now; each has the date in UTC of its middle.

    Attributes:
        by_weekday: shape (7,), from Thursday.
        by_number: shape (31,), of the day in the month.
    """

    by_weekday: DoubleArray
    by_number: DoubleArray

    @classmethod
    def of(cls, ordered_s: LongArray, as_of_s: int) -> Self:
        """Learned from what was ordered before; all 1 if fewer than LEAST_DAYS are known.

        Factors are drawn to 1 as far as they differ by no more than chance.

        Args:
            ordered_s: when each order was made, Unix seconds, rising; from `as_of_s` on isn't looked at.
            as_of_s: now.
        Source: iterative proportional fitting, Deming and Stephan 1940.
        """
        by_weekday, by_number = np.ones(7), np.ones(31)
        orders = daily_orders(ordered_s, as_of_s)
        n_days = len(orders)
        if n_days < LEAST_DAYS:
            return cls(by_weekday, by_number)
        weekday, number = _kinds(as_of_s - n_days * DAY_S, n_days)
        sold = _around(orders)
        for _ in range(ROUNDS):
            usual = sold / _around(by_weekday[weekday] * by_number[number])
            by_weekday = _factors(orders, usual * by_number[number], weekday, 7)
            by_number = _factors(orders, usual * by_weekday[weekday], number, 31)
        return cls(by_weekday, by_number)

    def rise(self, start_s: int, horizon_days: float) -> float:
        """The log of what a horizon's days bring by their numbers over what a year's do, on average."""
        weekday, number = _kinds(start_s, 365)
        weights, brought = self.by_weekday[weekday], self.by_number[number]
        n_days = int(np.ceil(horizon_days))
        horizon = np.average(brought[:n_days], weights=weights[:n_days])
        return float(np.log(horizon / np.average(brought, weights=weights)))

    def daily(self, start_s: int, n_days: int, power: float) -> DoubleArray:
        """What each day from a moment on brings, that of its number to this power."""
        weekday, number = _kinds(start_s, n_days)
        return self.by_weekday[weekday] * self.by_number[number] ** power


def daily_orders(ordered_s: LongArray, as_of_s: int) -> LongArray:
    """How many orders were made on each day, the last one ending now; from that of the first order on.

    Args: as of `DayFactors.of`.
    """
    ago = (as_of_s - 1 - ordered_s[: np.searchsorted(ordered_s, as_of_s)]) // DAY_S
    return np.bincount(ago)[::-1]


def month_power(ordered_s: LongArray, as_of_s: int, horizon_days: float) -> float:
    """How far rises by the days of the month came true in the last horizons, from 0 to 1.

    The slope of the log of what was ordered in each on its rise as it was known before. Horizons are taken in
    whole weeks, so that weekdays don't matter. Fewer than LEAST_TRIED tell nothing: 0.

    Args: as of `DayFactors.of`.
    """
    weeks_days = 7 * int(np.ceil(horizon_days / 7))
    starts_s = [as_of_s - number * weeks_days * DAY_S for number in range(1, TRIED + 1)]
    first_s = ordered_s[0] if len(ordered_s) else as_of_s
    starts_s = [start_s for start_s in starts_s if start_s - first_s > (LEAST_DAYS - 1) * DAY_S]
    if len(starts_s) < LEAST_TRIED:
        return 0.0
    rise = np.array([DayFactors.of(ordered_s, start_s).rise(start_s, weeks_days) for start_s in starts_s])
    ordered = -np.diff(np.searchsorted(ordered_s, [as_of_s, *starts_s]))
    return shrunk_slope(rise, np.log(ordered + 1))


def _kinds(start_s: int, n_days: int) -> tuple[LongArray, LongArray]:
    """The weekday and the number in the month of days from a moment on, each from 0."""
    dates = np.datetime64((start_s + DAY_S // 2) // DAY_S, "D") + np.arange(n_days)
    return dates.astype(np.int64) % 7, (dates - dates.astype("datetime64[M]")).astype(np.int64)


def _around(daily: AnyArray) -> DoubleArray:
    """The sum of the AROUND_DAYS around each day, of those that are known."""
    return np.convolve(daily, np.ones(AROUND_DAYS), "same")


def _factors(orders: LongArray, expected: DoubleArray, kind: LongArray, n_kinds: int) -> DoubleArray:
    """What each kind of day brought over what was expected."""
    return shrunk_rates(np.bincount(kind, orders, n_kinds), np.bincount(kind, expected, n_kinds))
