"""Past windows: when they begin, whose pairs are in them, and that nothing later is."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from models.arrays import DAY_S
from models.due import Due
from models.history.interactions import Interactions
from models.numerics.boosting import TreeOptions
from models.popular import Popular, PopularOptions
from models.ranking.lessons import Lessons
from models.ranking.sources import Limits
from models.ranking.view import feature_names
from models.ranking.windows import (
    LEAST_CUSTOMERS,
    Drawn,
    Window,
    WindowOptions,
    drawn,
    evened,
    objection_to,
    window,
    window_starts,
)
from models.repeat import Repeat, RepeatOptions
from tests.data.scores import history_of
from tests.data.shops import START_S, Shop, market

STARTS_S = START_S + 77 * DAY_S  # the last week of the shop's twelve
SOURCES = {
    "popular": Popular(PopularOptions(half_life_days=28.0)),
    "repeat": Repeat(RepeatOptions(half_life_days=28.0, due_power=0.0)),
}


def starts(
    days_known: int, *, horizon_days: float = 7, count: int = 6, closed: range = range(0)
) -> list[float]:
    """How many days before now the windows of a history of this length begin, in which as many customers as
    it takes buy every day but for those, counted back, on which the shop was closed."""
    as_of_day = 2000
    open_on = [day for day in range(days_known, 0, -1) if day not in closed]
    lines = [
        (customer, 0, float(as_of_day - day), day * LEAST_CUSTOMERS + customer)
        for day in open_on
        for customer in range(LEAST_CUSTOMERS)
    ]
    history = history_of(lines, n_customers=LEAST_CUSTOMERS, n_products=1, as_of_day=as_of_day)
    return [as_of_day - start / DAY_S for start in window_starts(history, horizon_days, count)]


def test_without_last_year_windows_are_the_latest_ones_first() -> None:
    assert starts(300) == [7, 14, 21, 28, 35, 42]


def test_a_shop_that_was_closed_learns_from_before() -> None:
    assert starts(300, closed=range(8, 101)) == [
        7,
        105,
        112,
        119,
        126,
        133,
    ]  # of 99 to 105 days ago five were open


def test_last_year_s_season_is_every_third_window_where_the_history_reaches() -> None:
    assert starts(700) == [7, 14, 365, 21, 28, 372]
    assert starts(700, count=9) == [7, 14, 365, 21, 28, 372, 35, 42, 358]
    assert starts(700, count=15)[2::3] == [365, 372, 358, 379, 351]


def test_a_season_window_needs_a_horizon_before_it_as_any_other() -> None:
    assert starts(372) == [7, 14, 365, 21, 28, 35]  # 372 days ago is when the history begins
    assert starts(371) == [7, 14, 21, 28, 35, 42]
    assert starts(379) == [7, 14, 365, 21, 28, 372]


def test_a_window_needs_a_horizon_of_history_before_it() -> None:
    assert starts(28) == [7, 14, 21]
    assert starts(27) == [7, 14]
    assert starts(14) == [7]
    assert starts(13) == []


def test_long_horizons_leave_few_windows_and_none_that_are_nearly_the_same() -> None:
    """90 days: last year's begin 365 and 455 days ago, 5 from 360 and 450, which are left out."""
    assert starts(1000, horizon_days=90) == [90, 180, 365, 270, 455, 540]
    assert starts(1000, horizon_days=90, count=1) == [90]
    assert starts(1000, count=0) == []


def test_what_is_just_enough_to_learn_from_is_enough() -> None:
    def told(n_windows: int, n_customers: int, n_bought: int) -> str:
        each: Any = SimpleNamespace(n_customers=n_customers, is_bought=np.ones(n_bought, np.bool_))
        return objection_to([each] * n_windows)

    assert told(2, 100, 250) == ""
    for few in ((1, 200, 500), (2, 99, 250), (2, 100, 249)):
        assert told(*few).endswith("takes at least 2 windows, 200 customers and 500 purchases")


def test_an_empty_history_has_no_window() -> None:
    assert window_starts(history_of([], n_customers=1, n_products=1, as_of_day=50), 7, 6) == []


@given(st.integers(1, 900), st.floats(1, 200), st.integers(1, 12))
@settings(deadline=None)
def test_windows_are_over_by_now_known_before_and_apart(days: int, horizon: float, count: int) -> None:
    found = starts(days, horizon_days=horizon, count=count)
    assert len(found) <= count
    second = 1.5 / DAY_S  # windows begin at whole seconds, and floats are not exact
    for place, start in enumerate(found):
        assert start >= horizon - second
        assert start <= days - horizon + second
        assert all(abs(start - other) >= horizon / 2 - second for other in found[:place])


def history_with(n_here: int, n_absent: int, n_new: int = 0) -> Interactions:
    """Customers known by day 50: the first come again on day 55, the last of all are new that day."""
    n = n_here + n_absent
    lines = [(c, 0, 40.0, c) for c in range(n)]
    lines += [(c, 1, 55.0, 1000 + c) for c in [*range(n_here), *range(n, n + n_new)]]
    return history_of(lines, n_customers=n + n_new + 1, n_products=2, as_of_day=60)


def draw_or_none(history: Interactions, limit: int, seed: int = 0) -> Drawn | None:
    return drawn(history, 50 * DAY_S, 57 * DAY_S, limit, seed)


def draw(history: Interactions, limit: int, seed: int = 0) -> Drawn:
    found = draw_or_none(history, limit, seed)
    assert found is not None
    return found


def test_customers_are_those_known_before_and_each_stands_for_some() -> None:
    found = draw(history_with(30, 24, n_new=5), 1000)
    assert found.rows.tolist()[:30] == list(range(30))
    assert found.has_come.tolist() == [True] * 30 + [False] * 24
    assert (found.rows[30:] < 54).all()  # neither the new ones nor the one without purchases
    assert (found.weight == 1).all()


def test_where_few_came_three_who_stayed_away_are_drawn_for_each_with_fewer_pairs() -> None:
    """A third as many with all their pairs would be 10: 90 have a ninth of theirs each, so as many in all."""
    found = draw(history_with(30, 180, n_new=5), 1000)
    assert found.has_come.tolist() == [True] * 30 + [False] * 90
    np.testing.assert_allclose(found.weight, [1] * 30 + [2] * 90, rtol=1e-6)
    np.testing.assert_allclose(found.part, [1] * 30 + [1 / 9] * 90, rtol=1e-6)


def test_where_many_came_a_third_as_many_who_stayed_away_are_drawn_with_all_their_pairs() -> None:
    found = draw(history_with(100, 900), 60)
    assert (found.has_come.sum(), (~found.has_come).sum()) == (60, 20)
    assert (found.part == 1).all()
    part_way = draw(history_with(60, 900), 90)  # 120 customers have room
    assert (part_way.has_come.sum(), (~part_way.has_come).sum()) == (60, 60)
    np.testing.assert_allclose(part_way.part[~part_way.has_come], 1 / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("n_here", "n_absent", "limit"), [(30, 24, 21), (200, 900, 60), (50, 3, 30), (25, 0, 25)]
)
def test_at_most_limit_came_and_weights_keep_the_shares_of_all(
    n_here: int, n_absent: int, limit: int
) -> None:
    found = draw(history_with(n_here, n_absent), limit)
    assert found.has_come.sum() == min(limit, n_here)
    assert len(found.rows) <= max(limit, LEAST_CUSTOMERS) * 4 / 3
    assert (found.weight[found.has_come] == 1).all()
    share = found.has_come.sum() / found.weight.sum()
    assert share == pytest.approx(n_here / (n_here + n_absent), rel=1e-5)
    assert (np.diff(found.rows) > 0).all()
    np.testing.assert_array_equal(found.has_come, found.rows < n_here)


def test_the_lot_follows_the_seed() -> None:
    history = history_with(200, 100)
    assert draw(history, 50, 1).rows.tolist() == draw(history, 50, 1).rows.tolist()
    assert draw(history, 50, 1).rows.tolist() != draw(history, 50, 2).rows.tolist()


def test_fewer_than_twenty_who_came_tell_nothing() -> None:
    assert draw_or_none(history_with(19, 50), 1000) is None
    assert draw_or_none(history_with(20, 50), 1000) is not None


def made(
    shop: Shop,
    *,
    negatives: int = 10_000,
    likely: int = 0,
    max_customers: int = 1000,
    max_bought: int = 10**6,
    seed: int = 0,
) -> Window:
    limits = Limits(100, 20, 1000)
    options = WindowOptions(7.0, limits, max_customers, max_bought, negatives, likely, seed)
    found = window(shop.interactions(), STARTS_S, SOURCES, options)
    assert found is not None
    return found


def test_a_window_tells_what_was_bought_by_whom_who_was_known() -> None:
    """Every own product of a customer who came is in it: bought where a line of the week says so."""
    shop, found = market(), made(market())
    known, week = shop.at_s < STARTS_S, shop.at_s >= STARTS_S
    came = np.intersect1d(shop.customer_row[known], shop.customer_row[week])
    assert found.n_customers == len(came)
    np.testing.assert_array_equal(found.has_come, np.isin(found.customer_row, came))
    own = {
        (c, p)
        for c, p in zip(shop.customer_row[known].tolist(), shop.product_row[known].tolist(), strict=True)
    }
    bought = {
        (c, p) for c, p in zip(shop.customer_row[week].tolist(), shop.product_row[week].tolist(), strict=True)
    }
    here = set(found.customer_row.tolist())
    assert found.is_own.sum() == sum(c in here for c, _ in own)
    assert (found.is_own & found.is_bought).sum() == sum(c in here for c, _ in own & bought)
    assert not found.is_bought[~found.has_come].any()
    assert (found.share == 1).all()
    assert found.as_of_s == STARTS_S
    assert found.n_bought == sum(c in here for c, _ in bought)


def test_where_each_buys_much_fewer_customers_are_drawn() -> None:
    whole, part = made(market()), made(market(), max_bought=300)
    assert whole.n_bought > 450
    assert part.n_bought == pytest.approx(300, rel=0.15)
    assert part.n_customers / whole.n_customers == pytest.approx(part.n_bought / whole.n_bought, rel=0.1)


def test_all_that_was_bought_is_kept_and_about_so_many_others() -> None:
    whole, thin = made(market()), made(market(), negatives=6)
    assert thin.is_bought.sum() == whole.is_bought.sum() > 100
    of_each = np.bincount(whole.customer_row)
    np.testing.assert_allclose(thin.share, 6 / of_each[thin.customer_row], rtol=1e-6)
    negatives = ~thin.is_bought
    expected = (6 / of_each[whole.customer_row])[~whole.is_bought].sum()
    assert negatives.sum() == pytest.approx(expected, rel=0.1)
    assert (1 / thin.share[negatives]).sum() == pytest.approx((~whole.is_bought).sum(), rel=0.1)


def test_the_many_who_stayed_away_have_as_many_pairs_as_a_third_of_those_who_came() -> None:
    """Of 24 who came, 8 would have 6 each. A pair stands for those that were left out: by its share
    for as many as of somebody who came, and for the rest by its weight."""
    shop = market()
    few = shop.lines(np.flatnonzero((shop.at_s < STARTS_S) | (shop.customer_row < 25)))
    whole, thin = made(few), made(few, negatives=6)
    away = ~thin.has_come
    n_away = len(np.unique(whole.customer_row[~whole.has_come]))
    assert n_away == 3 * whole.n_customers
    assert away.sum() == pytest.approx(6 * whole.n_customers / 3, rel=0.3)
    stands_for = thin.weight[away] / thin.share[away]
    assert stands_for.sum() == pytest.approx(whole.weight[~whole.has_come].sum(), rel=0.5)
    of_each = np.bincount(whole.customer_row)
    np.testing.assert_allclose(thin.share, 6 / of_each[thin.customer_row], rtol=1e-6)


def test_trees_expect_as_much_as_was_bought_where_customers_own_much_and_many_stay_away() -> None:
    """400 customers have 60 products each. Four of ten come, and take most of the 20 that they had in three
    orders, few of the others."""
    lot = np.random.default_rng(0)
    lines = [
        (c, p, 20.0 + 7 * order, 3 * c + order)
        for c in range(400)
        for order in range(3)
        for p in range(20 if order else 60)
    ]
    often = np.where(np.arange(60) < 20, 0.9, 0.2)
    lines += [
        (c, p, 55.0, 2000 + c)
        for c in np.flatnonzero(lot.random(400) < 0.4)
        for p in np.flatnonzero(lot.random(60) < often)
    ]
    history = history_of(lines, n_customers=400, n_products=60, as_of_day=60)
    options = WindowOptions(7.0, Limits(100, 20, 1000), 1000, 10**6, 6, 0, 0)
    whole, thin = (
        window(history, 50 * DAY_S, SOURCES, replace(options, negatives=each)) for each in (1000, 6)
    )
    assert whole is not None
    assert thin is not None
    trees = Lessons([thin], 0).chance(TreeOptions(n_trees=30, min_pairs=20))
    chance = expit(trees.sums(whole.features))
    expected = (whole.weight * chance).sum()
    assert expected == pytest.approx(whole.is_bought.sum(), rel=0.1)


def test_of_own_products_that_were_not_bought_the_likely_ones_are_drawn_as_well() -> None:
    """With the even lot's share and theirs, both are seen as often as they are."""
    whole, even, both = made(market()), made(market(), negatives=2), made(market(), negatives=2, likely=4)
    assert len(even) < len(both) < len(whole)
    whole, even, both = (each.only(each.has_come) for each in (whole, even, both))
    assert (both.is_bought.sum(), both.is_own[both.is_even].sum()) == (
        whole.is_bought.sum(),
        even.is_own.sum(),
    )
    assert both.is_even[~both.is_own].all()
    others = ~both.is_bought & both.is_own
    assert (1 / both.share[others]).sum() == pytest.approx((~whole.is_bought & whole.is_own).sum(), rel=0.15)
    expected = both.features[:, feature_names(SOURCES).index("score: repeat")]
    assert expected[others & ~both.is_even].mean() > 1.2 * expected[others & both.is_even].mean()


def test_where_no_source_expects_anything_own_products_are_alike() -> None:
    options = WindowOptions(7.0, Limits(100, 20, 1000), 1000, 10**6, 1, 3, 0)
    found = window(market().interactions(), STARTS_S, {"due": Due()}, options)
    assert found is not None
    whole = window(market().interactions(), STARTS_S, {"due": Due()}, replace(options, negatives=1000))
    assert whole is not None
    others = np.bincount(whole.customer_row, minlength=1000)[found.customer_row]
    np.testing.assert_allclose(found.share, np.minimum(3 / np.maximum(others, 1e-9), 1), rtol=1e-5)


def test_fewer_customers_count_as_many_of_those_who_came_and_who_stayed_away() -> None:
    whole, some = made(market()), made(market(), max_customers=60)
    assert some.n_customers == 60
    n_known = len(np.unique(market().customer_row[market().at_s < STARTS_S]))
    for each in (whole, some):
        of_each = dict(zip(each.customer_row.tolist(), each.weight.tolist(), strict=True))
        assert sum(of_each.values()) == pytest.approx(n_known * each.n_customers / whole.n_customers, 1e-5)
        assert (each.weight[each.has_come] == 1).all()


def counted(bought: list[int]) -> list[float]:
    """What each of some customers counts who bought so many of their 100 candidates."""
    customer_row = np.repeat(np.arange(len(bought), dtype=np.int32), 100)
    is_bought = np.concatenate([np.arange(100) < many for many in bought])
    weight = evened(customer_row, is_bought).reshape(-1, 100)
    assert (weight == weight[:, :1]).all()
    return weight[:, 0].tolist()


def test_who_bought_a_lot_counts_as_a_twentieth_of_what_was_bought() -> None:
    """38 customers bought one product each: one who bought 80 counts as 2, two of them as 38 / 18 each."""
    assert counted([1] * 38 + [80]) == pytest.approx([1.0] * 38 + [2 / 80])
    assert counted([80] + [1] * 38 + [60]) == pytest.approx([38 / 18 / 80] + [1.0] * 38 + [38 / 18 / 60])
    assert counted([2] * 40 + [4]) == [1.0] * 41
    assert counted([0, 0]) == [1.0, 1.0]
    assert counted([9, 3, 0]) == pytest.approx([1 / 3, 1.0, 1.0])


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_nobody_counts_more_than_a_twentieth_where_twenty_bought(bought: list[int]) -> None:
    total = np.multiply(counted(bought), bought)
    enough = min(LEAST_CUSTOMERS, np.count_nonzero(bought))
    assert total.max() * enough <= total.sum() * (1 + 1e-5)
    assert (total.sum() > 0) == (enough > 0)
    assert (total <= np.array(bought) * (1 + 1e-6)).all()


def test_only_keeps_every_field_of_a_pair() -> None:
    found = made(market())
    new = found.only(~found.is_own)
    assert len(new) == (~found.is_own).sum() > 0
    assert not new.is_own.any()
    np.testing.assert_array_equal(new.features, found.features[~found.is_own])
    np.testing.assert_array_equal(new.weight, found.weight[~found.is_own])


@pytest.mark.parametrize("step", [1, 7, 30])
def test_what_is_bought_from_its_start_on_changes_no_candidate_and_no_feature(step: int) -> None:
    shop = market()
    later = np.where(shop.at_s >= STARTS_S, (shop.product_row + step) % 120, shop.product_row)
    changed = Shop(
        shop.customer_row,
        later.astype(np.int32),
        shop.order_row,
        shop.at_s,
        shop.category_row,
        shop.n_customers,
    )
    one, other = made(shop), made(changed)
    np.testing.assert_array_equal(one.customer_row, other.customer_row)
    np.testing.assert_array_equal(one.is_own, other.is_own)
    np.testing.assert_array_equal(one.features, other.features)
    assert (one.is_bought != other.is_bought).any()


def test_the_same_seed_makes_the_same_window() -> None:
    one, again, other = (made(market(), negatives=5, max_customers=80, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.features, again.features)
    np.testing.assert_array_equal(one.customer_row, again.customer_row)
    assert one.customer_row.tolist() != other.customer_row.tolist()


def test_a_window_in_which_too_few_came_is_none() -> None:
    shop = market()
    few = shop.lines(np.flatnonzero((shop.at_s < STARTS_S) | (shop.customer_row < 19)))
    options = WindowOptions(7.0, Limits(5, 5, 1000), 100, 10**6, 10, 0, 0)
    assert window(few.interactions(), STARTS_S, {"popular": Popular()}, options) is None
