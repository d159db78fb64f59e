"""Days of the month on which more is ordered, on shops whose orders are known day by day."""

from datetime import date, timedelta

import numpy as np
import pytest

from models.ranking.month import AROUND_DAYS, LEAST_DAYS, DayFactors, month_power
from tests.data.daily_orders import HOUR_S, Daily, after_pay, closed_on_sundays, ordered, seconds


def month_rise(ordered_s: np.ndarray, as_of_s: int, horizon_days: float) -> float:
    return DayFactors.of(ordered_s, as_of_s).rise(as_of_s, horizon_days)


def rise(daily: Daily, day: date, horizon_days: float, n_days: int = 800) -> float:
    return month_rise(ordered(daily, day, n_days), seconds(day), horizon_days)


def test_three_days_of_a_week_bring_thrice_as_much_as_usual() -> None:
    # in the 365 days from here on the 27th and 28th come twelve times each, the 29th eleven times
    year = (35 * 3 + 330) / 365
    found = [rise(after_pay, day, 7) for day in (date(2026, 10, 27), date(2026, 10, 6), date(2026, 10, 21))]
    np.testing.assert_allclose(np.exp(found), [13 / 7 / year, 1 / year, 9 / 7 / year], rtol=0.01)


def test_a_horizon_over_the_month_s_end_has_the_days_that_this_month_has() -> None:
    def at_the_end(day: date) -> int:
        return 500 if day.day == 31 else 100

    year = (7 * 5 + 358) / 365
    starts = [date(2026, 1, 28), date(2026, 2, 25), date(2026, 4, 28), date(2026, 8, 31)]
    found = [rise(at_the_end, day, 7) for day in starts]
    np.testing.assert_allclose(np.exp(found), np.array([11, 7, 7, 11]) / 7 / year, rtol=0.01)


def test_a_month_or_more_brings_what_a_month_does() -> None:
    assert rise(after_pay, date(2026, 10, 27), 365) == pytest.approx(0, abs=1e-9)
    assert abs(rise(after_pay, date(2026, 10, 27), 30)) < 0.02
    # four weeks have all three days, two of them, or none less
    assert np.exp(rise(after_pay, date(2026, 10, 27), 28)) == pytest.approx(34 / 28 / (435 / 365), rel=0.01)


@pytest.mark.parametrize("horizon_days", [1, 3, 7, 14])
def test_weekdays_and_growth_are_none_of_the_month_s(horizon_days: int) -> None:
    def growing(day: date) -> int:
        return round(closed_on_sundays(day) * 1.001 ** (day - date(2024, 1, 1)).days)

    for start in range(0, 31, 5):
        day = date(2026, 10, 1) + timedelta(days=start)
        assert abs(rise(growing, day, horizon_days)) < 0.01


def test_a_shop_in_another_zone_has_its_own_dates() -> None:
    """Its midnight is an hour before that of UTC, and its orders of the 27th begin on the 26th."""
    day = date(2026, 10, 27)
    here = ordered(after_pay, day, 800, hour=0) - HOUR_S
    wanted = month_rise(here + HOUR_S, seconds(day), 7)
    assert wanted > 0.4
    assert month_rise(here, seconds(day) - HOUR_S, 7) == wanted


def test_nothing_from_the_moment_on_is_looked_at() -> None:
    day, later = date(2026, 10, 13), date(2026, 11, 20)
    known = ordered(after_pay, later, 800)
    before = known[known < seconds(day)]
    assert month_rise(known, seconds(day), 7) == month_rise(before, seconds(day), 7) != 0


def test_of_less_than_two_months_nothing_is_said() -> None:
    day = date(2026, 10, 27)
    assert rise(after_pay, day, 7, LEAST_DAYS - 1) == 0
    assert rise(after_pay, day, 7, LEAST_DAYS) > 0.2
    assert month_rise(np.empty(0, np.int64), seconds(day), 7) == 0


def power(daily: Daily, n_days: int = 800, horizon_days: float = 7, day: date = date(2026, 10, 27)) -> float:
    return month_power(ordered(daily, day, n_days), seconds(day), horizon_days)


@pytest.mark.parametrize("horizon_days", [1, 7, 14])
def test_what_comes_each_month_is_believed(horizon_days: int) -> None:
    assert power(after_pay, horizon_days=horizon_days) > 0.9


def test_what_came_no_more_is_not_believed() -> None:
    def once(day: date) -> int:
        return after_pay(day) if day < date(2026, 7, 1) else 100

    assert power(once) < 0.1


def test_what_is_nowhere_and_what_cannot_be_tried_is_not_believed() -> None:
    assert power(lambda day: 100) == pytest.approx(0, abs=1e-6)
    assert power(after_pay, LEAST_DAYS + 4 * 7 - 1) == 0
    assert power(after_pay, LEAST_DAYS + AROUND_DAYS) > 0.5
    assert month_power(np.empty(0, np.int64), seconds(date(2026, 10, 27)), 7) == 0


def test_by_chance_alone_the_level_hardly_moves() -> None:
    """Of 40 shops with some 30 orders a day, each by its own lot: what moves where there is no pattern."""
    rng, moved = np.random.default_rng(3), []
    day = date(2026, 10, 27)
    for _ in range(40):
        known = ordered(lambda day: int(rng.poisson(closed_on_sundays(day) / 5)), day, 400)
        moved.append(month_power(known, seconds(day), 7) * month_rise(known, seconds(day), 7))
    assert np.abs(moved).max() < 0.02
    assert np.abs(moved).mean() < 0.005
