"""Decay and popularity, counted by hand."""

import numpy as np
import pytest

from models.history.pairs import Pairs
from models.numerics.decay import decay, half_life_grid
from models.popular import Popular, PopularOptions, buyers_share
from tests.data.scores import history_of

# orders of ages 7, 14 and 14 days: with a half-life of a week they weigh 1/2, 1/4 and 1/4
LINES = [(0, 0, 93, 0), (0, 1, 93, 0), (0, 0, 86, 1), (1, 2, 86, 2)]
HISTORY = history_of(LINES, n_customers=3, n_products=4, as_of_day=100)


def test_a_weight_halves_with_each_half_life() -> None:
    weights = decay(np.array([0, 7, 14, 3.5], np.float32), 7.0)
    np.testing.assert_allclose(weights, [1, 0.5, 0.25, 2**-0.5], rtol=1e-6)
    assert weights.dtype == np.float32


@pytest.mark.parametrize(
    ("span_days", "grid"),
    [(0, [7]), (7, [7]), (7.1, [7, 14]), (84, [7, 14, 28, 56, 112]), (365, [7, 14, 28, 56, 112, 224, 448])],
)
def test_half_lives_to_try_double_from_a_week_to_beyond_the_span(span_days: float, grid: list[float]) -> None:
    assert half_life_grid(span_days) == grid


def test_popularity_is_the_share_of_customers_by_their_decayed_orders() -> None:
    np.testing.assert_allclose(buyers_share(Pairs.of(HISTORY), 7.0), [0.375, 0.25, 0.125, 0], rtol=1e-6)


def test_however_often_a_customer_buys_a_product_they_count_once() -> None:
    lines = [(0, 0, 99.9, order) for order in range(500)] + [(1, 1, 99.9, 500), (2, 1, 99.9, 501)]
    history = history_of(lines, n_customers=4, n_products=2, as_of_day=100)
    share = buyers_share(Pairs.of(history), 1000.0)
    np.testing.assert_allclose(share, [1 / 3, 2 / 3], rtol=1e-3)


def test_everyone_gets_the_same_scores_and_nan_where_nobody_bought() -> None:
    model = Popular(PopularOptions(half_life_days=7.0)).fit(HISTORY)
    np.testing.assert_allclose(model.score(np.array([2, 0], np.int32)), [[0.375, 0.25, 0.125, np.nan]] * 2)


def test_the_order_breaks_ties_by_product_row() -> None:
    lines = [(0, 3, 90, 0), (0, 1, 90, 0), (0, 2, 95, 1), (1, 4, 95, 2)]
    history = history_of(lines, n_customers=2, n_products=6, as_of_day=100)
    order = Popular(PopularOptions(half_life_days=7.0)).fit(history).order()
    assert order.tolist() == [2, 4, 1, 3]
    assert order.dtype == np.int32


def test_what_was_bought_long_ago_stays_above_what_never_was() -> None:
    history = history_of([(0, 0, 0, 0), (0, 1, 19_999, 1)], n_customers=1, n_products=3, as_of_day=20_000)
    share = buyers_share(Pairs.of(history), 7.0)
    assert share[0] > 0
    assert share[2] == 0
    assert Popular(PopularOptions(half_life_days=7.0)).fit(history).order().tolist() == [1, 0]


def shop_with_a_fashion(days: int) -> list[tuple[int, int, float, int]]:
    """30 customers a day; the product in fashion changes every week."""
    return [(c, day // 7, day + c / 100, day * 30 + c) for day in range(days) for c in range(30)]


def test_a_shop_of_fashions_learns_a_short_half_life_and_a_steady_one_a_long() -> None:
    fashion = history_of(shop_with_a_fashion(84), n_customers=30, n_products=12, as_of_day=84)
    rng = np.random.default_rng(0)
    steady_lines = [
        (c, int(rng.integers(40)), day + c / 100, day * 30 + c) for day in range(0, 84, 3) for c in range(30)
    ]
    steady = history_of(steady_lines, n_customers=30, n_products=40, as_of_day=84)
    assert Popular().fit(fashion).options_.half_life_days == 1.75  # a quarter of the horizon
    assert Popular().fit(steady).options_.half_life_days >= 56.0


def shop_of_events(days: int) -> list[tuple[int, int, float, int]]:
    """30 customers a day; each day another event begins, is sold for ten days, and is over."""
    rng = np.random.default_rng(0)
    return [
        (c, max(day - int(rng.integers(10)), 0), day + c / 100, day * 30 + c)
        for day in range(days)
        for c in range(30)
    ]


def test_where_products_are_over_within_days_the_first_places_are_of_those_that_still_sell() -> None:
    events = history_of(shop_of_events(60), n_customers=30, n_products=60, as_of_day=60)
    model = Popular().fit(events)
    assert model.options_.half_life_days == 1.75
    assert set(model.order()[:6].tolist()) <= set(range(50, 60))
