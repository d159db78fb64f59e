"""Levels of horizons, by the month and by the year, on shops whose orders are known day by day."""

from datetime import date

import numpy as np

from models.arrays import DAY_S
from models.ranking.levels import levels
from models.ranking.month import DayFactors, month_power
from models.ranking.year import YearFactors, year_power
from tests.data.daily_orders import after_pay, history_with, ordered, seconds


def test_levels_are_rises_of_month_and_year_as_far_as_they_are_believed() -> None:
    def daily(day: date) -> int:
        return after_pay(day) // 10 * (2 if day.month == 10 else 1)

    day = date(2026, 10, 27)
    known, now_s = ordered(daily, day, 1100), seconds(day)
    days_from_now = [-365, -364 - 70, -35, -7, 0]
    found = levels(history_with(known, now_s), [now_s + each * DAY_S for each in days_from_now], 7)
    of_month = month_power(known, now_s, 7)
    of_year = year_power(known, now_s, 7, of_month)
    assert min(of_month, of_year) > 0.5
    month, year = DayFactors.of(known, now_s), YearFactors.of(known, now_s, 7, of_month)
    by_month = np.array([month.rise(now_s + each * DAY_S, 7) for each in days_from_now])
    by_year = np.array([year.rise(each) for each in days_from_now])
    np.testing.assert_allclose(found, of_month * by_month + of_year * by_year)
    # five of seven days a year ago were October's, and the same of the coming week
    assert min(by_year[0], by_year[-1], by_year[-2]) > 0.2
    assert by_month[-1] > 0.4
    assert max(by_year[1], by_month[-2]) < 0


def test_orders_as_ever_have_no_level() -> None:
    day = date(2026, 10, 27)
    flat = history_with(ordered(lambda each: 10, day, 1100), seconds(day))
    np.testing.assert_allclose(levels(flat, [flat.as_of_s - 7 * DAY_S, flat.as_of_s], 7), 0, atol=0.01)


def test_a_year_s_history_has_the_month_s_levels_alone() -> None:
    day = date(2026, 10, 27)
    known, now_s = ordered(after_pay, day, 400), seconds(day)
    starts_s = [now_s - 7 * DAY_S, now_s]
    rises = np.array([DayFactors.of(known, now_s).rise(start_s, 7) for start_s in starts_s])
    found = levels(history_with(known, now_s), starts_s, 7)
    np.testing.assert_array_equal(found, month_power(known, now_s, 7) * rises)
    assert found[0] < -0.1 < 0.4 < found[1]
