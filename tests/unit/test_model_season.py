"""The same weeks of last year, counted by hand."""

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from models.history.pairs import Pairs
from models.numerics.shrinkage import shrunk_rates
from models.season import Season, SeasonOptions, learned_power, season_rise, season_share
from tests.data.scores import DAY_S, history_of

OPTIONS = SeasonOptions(horizon_days=10.0, spread=0.5)  # days around the window: deviation 5
# as of day 400 the window of last year is days 35 to 45
LINES = [(0, 0, 35, 0), (0, 1, 44, 1), (1, 1, 40, 2), (1, 2, 50, 3), (2, 3, 30, 4)]
LINES += [(2, 4, 390, 5), (0, 5, 10, 6)]
HISTORY = history_of(LINES, n_customers=3, n_products=7, as_of_day=400)


def test_the_share_is_of_last_year_s_customers_near_the_window() -> None:
    near = exp(-0.5)  # 5 days before and after it
    wanted = np.array([1, 2, near, near, 0, 0, 0]) / 3  # days 10 and 390 are too far away
    np.testing.assert_allclose(season_share(HISTORY, OPTIONS), wanted, rtol=1e-5)


def test_everyone_gets_the_share_and_nan_for_what_was_not_bought_then() -> None:
    scores = Season(OPTIONS).fit(HISTORY).score(np.array([2, 0], np.int32))
    assert np.isfinite(scores[0]).tolist() == [True] * 4 + [False] * 3
    np.testing.assert_array_equal(scores[0], scores[1])


def test_who_bought_a_product_in_many_orders_counts_once() -> None:
    often = [(0, 0, 40, 10 + number) for number in range(100)]
    history = history_of([*LINES, *often], n_customers=3, n_products=7, as_of_day=400)
    np.testing.assert_allclose(season_share(history, OPTIONS), season_share(HISTORY, OPTIONS))


def test_a_history_that_begins_within_the_window_has_no_season() -> None:
    later = [line for line in LINES if line[2] > 35]
    scores = Season(OPTIONS).fit(history_of(later, n_customers=3, n_products=7, as_of_day=400))
    assert np.isnan(scores.score(np.array([0], np.int32))).all()


def bought_on(*days: dict[int, int]) -> list[tuple[int, int, float, int]]:
    """Product 0, 1, ... by so many customers on these days, each of whom buys nothing else."""
    lines: list[tuple[int, int, float, int]] = []
    for product, on in enumerate(days):
        for day, n_customers in on.items():
            some = range(len(lines), len(lines) + n_customers)
            lines += [(number, product, day, number) for number in some]
    return lines


def rise_of(lines: list[tuple[int, int, float, int]], *category_row: int) -> np.ndarray:
    history = history_of(lines, n_customers=200, n_products=len(category_row), as_of_day=400)
    catalogue = Catalogue.of(np.array(category_row, np.int32))
    return season_rise(replace(history, catalogue=catalogue), OPTIONS)


def test_the_rise_is_the_share_of_buyers_after_this_day_a_year_ago_over_that_before() -> None:
    """The horizons are days 25 to 35 and 35 to 45; days around each count less."""
    lines = bought_on({5: 10, 26: 2, 44: 20}, {5: 10, 26: 20, 44: 2})
    lines += [(12, 0, 45, 900)]  # who bought on day 44 does so again, and counts once
    near = exp(-0.5 * 1.8**2)  # 26 and 44 are 9 days from the other horizon
    before, after = np.array([2 + 20 * near, 20 + 2 * near]), np.array([20 + 2 * near, 2 + 20 * near])
    before[0] += exp(-0.5 * 2**2)  # day 45 is 10 from the horizon before
    ever, one = np.array([32.0, 32.0]), [np.zeros(2, np.int64)]
    wanted = [shrunk_rates(each, ever * (each.sum() / 64), one) for each in (after, before)]
    found = rise_of(lines, -1, -1)
    np.testing.assert_allclose(found, np.log(wanted[0] / wanted[1]), rtol=1e-5)
    assert found[0] > 0.5
    assert found[1] < -0.5


def test_what_was_not_sold_a_year_ago_rises_as_its_category_does() -> None:
    of_old = [{5: 4, 26: 1, 44: 9}] * 4 + [{5: 4, 26: 9, 44: 1}] * 4
    late = {44: 20, 100: 5}  # it came within that horizon: many took it up since it was new
    found = rise_of(bought_on(*of_old, late, late), *([0] * 4), *([1] * 4), 0, 1)
    np.testing.assert_allclose(found[:8], np.repeat(found[8:], 4), rtol=0.2)
    assert found[8] > 0.5
    assert found[9] < -0.5


def test_a_history_without_the_horizon_before_that_day_has_no_rise() -> None:
    assert rise_of(bought_on({5: 10, 26: 1, 44: 9}, {5: 10, 26: 9, 44: 1}), -1, -1).all()
    assert not rise_of(bought_on({26: 11, 44: 9}, {26: 19, 44: 1}), -1, -1).any()
    assert not rise_of(bought_on({5: 10, 51: 9}, {5: 10, 51: 1}), -1, -1).any()  # the shop was closed


def test_what_was_liked_more_a_year_ago_than_since_is_no_season() -> None:
    lot = np.random.default_rng(0)
    then, since = np.repeat([9, 1], 20), np.repeat([1, 9], 20)  # of 20 products each, in 10 days
    bought = [(day, lot.poisson(rate)) for day in range(1, 80, 10) for rate in [then]]
    bought += [(day, lot.poisson(since)) for day in range(201, 400, 10)]
    of_days = [(day + 4.0, product) for day, number in bought for product in np.repeat(np.arange(40), number)]
    lines = [(place, product, day, place) for place, (day, product) in enumerate(of_days)]
    history = history_of(lines, n_customers=len(lines), n_products=40, as_of_day=400)
    assert season_rise(history, OPTIONS).std() < 0.05


def weeks_of(weights: np.ndarray) -> Interactions:
    """Each week 100 purchases by as many customers, of products by that week's weights (weeks x products)."""
    lot = np.random.default_rng(0)
    sold = [lot.choice(weights.shape[1], 100, p=week / week.sum()) for week in weights]
    lines = [
        (100 * week + place, int(product), 7 * week + place % 7 + 0.5, 100 * week + place)
        for week, products in enumerate(sold)
        for place, product in enumerate(products)
    ]
    n_weeks, n_products = weights.shape
    return history_of(lines, n_customers=100 * n_weeks, n_products=n_products, as_of_day=7 * n_weeks)


def power_in(history: Interactions) -> float:
    return learned_power(history, season_rise(history, SeasonOptions()), SeasonOptions())


def test_rises_that_come_true_each_year_are_believed_and_those_of_a_weekly_menu_are_not() -> None:
    year = 0.2 + 8 * (np.arange(40) // 2 == np.arange(52)[:, None] % 20)  # two products have their week
    menus = 0.2 + 8 * (np.random.default_rng(1).random((72, 40)) < 2 / 40)
    assert power_in(weeks_of(np.concatenate([year, year[:20]]))) >= 0.8
    history = weeks_of(menus)
    assert power_in(history) <= 0.3
    rise = season_rise(history, SeasonOptions())
    assert rise.std() > 0.5
    np.testing.assert_allclose(Season().fit(history).rise_, rise * np.float32(power_in(history)))


def test_a_rise_that_no_horizon_can_try_is_believed_as_it_was() -> None:
    once = bought_on({5: 10, 26: 1, 44: 9}, {5: 10, 26: 9, 44: 1})
    history = history_of(once, n_customers=60, n_products=2, as_of_day=400)
    rise = season_rise(history, OPTIONS)
    assert learned_power(history, rise, OPTIONS) == 1.0
    np.testing.assert_array_equal(Season(OPTIONS).fit(history).rise_, rise)


def test_a_feast_that_comes_is_believed_though_before_it_all_spoke_against_rises() -> None:
    """The night fits with the options of the fit for the gate, of a horizon before."""
    weights = np.ones((62, 40))
    for week in range(2, 10):
        weights[week, 4 * week : 4 * week + 4] = 3  # menus that didn't come again
    weights[10, :4] = 16  # a year before the week that comes
    history = weeks_of(weights)
    earlier = history.before(history.as_of_s - 7 * DAY_S)
    assert power_in(earlier) == 0
    gates = Season().fit(earlier)
    assert not gates.rise_.any()
    assert Season(gates.options_).fit(history).rise_[:4].mean() > 0.1
    assert gates.fit(history).rise_[:4].mean() > 0.1  # a fit forgets the one before


def test_to_learn_the_power_only_the_months_that_count_are_gone_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each horizon that was tried went through all years: six seconds for two million purchases."""
    seen: list[int] = []
    pairs_of = Pairs.of
    monkeypatch.setattr(Pairs, "of", lambda history: seen.append(len(history)) or pairs_of(history))
    assert Season().fit(weeks_of(np.ones((156, 5)))).rise_.shape == (5,)
    assert seen
    assert max(seen) <= 20 * 100  # purchases of the weeks around this day a year ago, or of the last ones
