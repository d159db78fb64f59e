"""Times of the year at which more is ordered, on shops whose orders are known day by day."""

from datetime import date

import numpy as np
import pytest

from models.ranking.year import YEAR_DAYS, YearFactors, least_days, year_power
from tests.data.daily_orders import Daily, after_pay, closed_on_sundays, ordered, seconds

SOME_YEARS = 1000
USUAL = (365 * 100 + 42 * 200) / 365  # orders a day in the year below, on average


def before_feast(day: date) -> int:
    """A hundred orders a day, thrice as many in the six weeks up to December 19th."""
    return 300 if date(day.year, 11, 8) <= day <= date(day.year, 12, 19) else 100


def factors(daily: Daily, day: date, horizon_days: float, n_days: int = SOME_YEARS) -> np.ndarray:
    return YearFactors.of(ordered(daily, day, n_days), seconds(day), horizon_days).by_day


def power(daily: Daily, day: date, horizon_days: float = 7, n_days: int = SOME_YEARS) -> float:
    return year_power(ordered(daily, day, n_days), seconds(day), horizon_days)


@pytest.mark.parametrize("n_days", [500, SOME_YEARS])
def test_the_same_days_of_last_year_brought_thrice_as_much(n_days: int) -> None:
    found = factors(before_feast, date(2026, 11, 15), 14, n_days)
    assert found[0] == pytest.approx(300 / USUAL, rel=0.03)
    # two weeks before the feast's weeks, and ten weeks after the beginning of them
    np.testing.assert_allclose(found[[-28, 63]], 100 / USUAL, rtol=0.1)
    # 364 days are less than a year
    assert found[-14] == pytest.approx((300 * 6 + 100 * 8) / 14 / USUAL, rel=0.15)


def test_all_earlier_years_are_taken_together() -> None:
    def once(day: date) -> int:
        return before_feast(day) if day.year == 2024 else 100

    # 300 of 123 and 100 of 100 a day: (300 + 100) / (123 + 100)
    assert factors(once, date(2026, 11, 15), 14)[0] == pytest.approx(400 / 223, rel=0.03)


@pytest.mark.parametrize("horizon_days", [1, 7, 30])
def test_weekdays_and_growth_are_none_of_the_year_s(horizon_days: int) -> None:
    """It doubles each year, and is closed on Sundays."""

    def growing(day: date) -> int:
        return round(10 * closed_on_sundays(day) * 2 ** ((day - date(2026, 1, 1)).days / 365))

    found = np.log(factors(growing, date(2026, 10, 6), horizon_days, 1000))
    assert np.ptp(found[-250:]) < 0.1
    assert np.ptp(found[[0, *range(-56, 0)]]) < 0.05


def test_paydays_are_none_of_the_year_s_as_far_as_they_are_the_month_s() -> None:
    day = date(2026, 10, 27)
    known = ordered(after_pay, day, SOME_YEARS)
    without = np.log(YearFactors.of(known, seconds(day), 7, of_month=0).by_day)
    apart = np.log(YearFactors.of(known, seconds(day), 7, of_month=1).by_day)
    assert np.ptp(without) > 0.3
    assert np.ptp(apart) < 0.05
    assert year_power(known, seconds(day), 7, of_month=1) < 0.5


def test_nothing_from_the_moment_on_is_looked_at() -> None:
    day, later = date(2026, 11, 10), date(2027, 2, 1)
    known = ordered(before_feast, later, SOME_YEARS)
    before = known[known < seconds(day)]
    found = [YearFactors.of(each, seconds(day), 7).by_day for each in (known, before)]
    np.testing.assert_array_equal(*found)
    assert found[0][0] > 2
    believed = [year_power(each, seconds(day), 7) for each in (known, before)]
    assert believed[0] == believed[1] > 0.5


@pytest.mark.parametrize("horizon_days", [7, 30])
def test_of_a_year_alone_nothing_is_said(horizon_days: float) -> None:
    day, least = date(2026, 11, 15), int(least_days(horizon_days))
    assert factors(before_feast, day, horizon_days, least - 1).tolist() == [1] * YEAR_DAYS
    assert factors(before_feast, day, horizon_days, least)[0] > 2
    assert YearFactors.of(np.empty(0, np.int64), seconds(day), 7).rise(0) == 0


@pytest.mark.parametrize("horizon_days", [1, 7, 14, 30])
def test_what_comes_each_year_is_believed(horizon_days: int) -> None:
    assert power(before_feast, date(2026, 11, 15), horizon_days) > 0.8


def test_growth_doesn_t_hide_what_comes_each_year() -> None:
    """It doubles each year, and a year ago in just these weeks thrice as much was bought."""

    def growing(day: date) -> int:
        return round(before_feast(day) * 2 ** ((day - date(2026, 1, 1)).days / 365))

    day = date(2026, 11, 15)
    assert power(growing, day) > 0.8
    assert factors(growing, day, 14)[0] == pytest.approx(300 / USUAL, rel=0.1)


def test_what_did_not_come_again_is_not_believed() -> None:
    def once(day: date) -> int:
        return before_feast(day) if day.year == 2025 else 100

    day = date(2027, 1, 20)
    assert factors(once, date(2026, 11, 15), 7)[0] > 1.7
    assert power(before_feast, day) > 0.8
    assert power(once, day) < 0.1


def test_what_cannot_be_tried_is_not_believed() -> None:
    day = date(2027, 1, 4)
    n_days = int(least_days(7)) + 5 * 7
    assert power(before_feast, day, 7, n_days - 1) == 0
    assert power(before_feast, day, 7, n_days) > 0.5
    assert year_power(np.empty(0, np.int64), seconds(day), 7) == 0


def test_by_chance_alone_the_level_hardly_moves() -> None:
    """Of 15 shops that grow, of 30 orders a day by lot: the next week against those before."""
    rng, moved = np.random.default_rng(3), []
    day = date(2026, 10, 27)

    def by_lot(each: date) -> int:
        return int(rng.poisson(closed_on_sundays(each) / 5 * 1.001 ** (each - day).days))

    for _ in range(15):
        known = ordered(by_lot, day, 600)
        year = YearFactors.of(known, seconds(day), 7)
        against = [year.rise(-7 * number) for number in range(1, 9)]
        moved.append(year_power(known, seconds(day), 7) * (year.rise(0) - np.mean(against)))
    assert np.abs(moved).max() < 0.05
    assert np.abs(moved).mean() < 0.01


def test_a_shop_that_was_new_a_year_ago_has_no_season() -> None:
    """A few orders were tried long before; what grew then doesn't grow again."""

    def opened(day: date) -> int:
        return 100 if day >= date(2025, 9, 1) else day.day == 1

    known = ordered(opened, date(2026, 10, 27), SOME_YEARS)
    assert year_power(known, seconds(date(2026, 10, 27)), 7) < 0.1
