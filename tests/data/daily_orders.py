"""Orders of shops that are known day by day: so many on each, all at one hour."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np

from models.arrays import DAY_S, LongArray
from models.history.interactions import Interactions
from tests.data.scores import history_of

Daily = Callable[[date], int]
HOUR_S = DAY_S // 24


def seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def ordered(daily: Daily, day: date, n_days: int, hour: int = 12) -> LongArray:
    """When orders were made on the days before `day`, Unix seconds, rising."""
    days = [day - timedelta(days=number) for number in range(n_days, 0, -1)]
    return np.repeat([seconds(each) + hour * HOUR_S for each in days], [daily(each) for each in days])


def history_with(ordered_s: LongArray, as_of_s: int) -> Interactions:
    """One customer's orders of one product each; the first has a second one."""
    lines = [(0, 0, each / DAY_S, number) for number, each in enumerate(ordered_s.tolist())]
    lines += [(0, 1, lines[0][2], 0)]
    return history_of(lines, n_customers=1, n_products=2, as_of_day=as_of_s // DAY_S)


def after_pay(day: date) -> int:
    """A hundred orders a day, thrice as many on three days of each month."""
    return 300 if 27 <= day.day <= 29 else 100


def closed_on_sundays(day: date) -> int:
    return (100, 110, 120, 130, 200, 250, 0)[day.weekday()]
