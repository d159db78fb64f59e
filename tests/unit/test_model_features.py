"""What the ranker weighs, each family of figures worked out by hand on four orders."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import DAY_S
from models.history.catalogue import EVER, Catalogue
from models.history.interactions import Interactions
from models.history.promotions import Promotions
from models.ranking.features import Features, look_up, names
from tests.data.scores import history_of
from tests.data.shops import grocer

# customer 0 buys products 0 and 1 16 days ago, 0 again 8 days ago, 1 and 2 4 days ago;
# customer 1 buys product 0 8 days ago; customer 2 and product 3 are unknown
LINES = [(0, 0, 16, 0), (0, 1, 16, 0), (0, 0, 24, 1), (0, 1, 28, 2), (0, 2, 28, 2), (1, 0, 24, 3)]
CATALOGUE = Catalogue.of(
    np.array([0, 0, 1, -1], np.int32),
    brand_row=np.array([0, -1, 0, -1], np.int32),
    price=np.array([2, 8, np.nan, 0], np.float32),
)
HISTORY = replace(history_of(LINES, n_customers=3, n_products=4, as_of_day=32), catalogue=CATALOGUE)
FEATURES = Features(HISTORY, horizon_days=4)
LN_2 = np.log(2)


def w(age_days: float, half_life_days: float) -> float:
    return float(2 ** (-age_days / half_life_days))


def figures(customer: int, product: int) -> dict[str, float]:
    row = FEATURES.of(np.array([customer]), np.array([product]))[0]
    return dict(zip(names(), row.tolist(), strict=True))


def assert_figures(found: dict[str, float], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5, nan_ok=True), name


def test_names_are_distinct_and_one_for_each_column() -> None:
    assert len(set(names())) == len(names())
    assert FEATURES.of(np.array([0, 1]), np.array([0, 3])).shape == (2, len(names()))
    assert FEATURES.of(np.empty(0, np.int32), np.empty(0, np.int32)).shape == (0, len(names()))


def test_own_shares_of_orders_fade_with_four_half_lives() -> None:
    """Half-lives of 4, 16 and 64 days and none; half an order without the product is added."""
    expected = {}
    for name, days in (("1", 4.0), ("4", 16.0), ("16", 64.0), ("all", np.inf)):
        orders = w(16, days) + w(8, days) + w(4, days) + 0.5
        expected[f"product: own share_{name}"] = (w(16, days) + w(8, days)) / orders
        expected[f"category: own share_{name}"] = (orders - 0.5) / orders
    assert_figures(figures(0, 0), expected)


def test_own_orders_fade_also_by_how_many_came_after() -> None:
    """Customer 0 made three orders; product 0 is in the two before the last, product 2 in the last alone."""
    assert_figures(
        figures(0, 0),
        {
            "product: own fading_9": (0.9 + 0.81) / (1 + 0.9 + 0.81),
            "product: own fading_7": (0.7 + 0.49) / (1 + 0.7 + 0.49),
        },
    )
    assert_figures(figures(0, 2), {"product: own fading_9": 1 / (1 + 0.9 + 0.81)})


def test_what_is_put_forward_now_in_the_coming_horizon_and_in_the_last_four() -> None:
    day_s = HISTORY.as_of_s - 32 * DAY_S
    lines = [(0, 30, 34, 0.5), (1, 20, 28, 1.0), (1, 31, 40, 0.5), (1, 33, 40, 1.0), (2, 2, 15, 1.0)]
    product, start, end, reach = (np.array(column) for column in zip(*lines, strict=True))
    starts_s, ends_s = day_s + start * DAY_S, day_s + end * DAY_S
    promotions = Promotions(product.astype(np.int32), starts_s, ends_s, reach.astype(np.float32))
    catalogue = replace(CATALOGUE, promotions=promotions.before(HISTORY.as_of_s))
    features = Features(replace(HISTORY, catalogue=catalogue), horizon_days=4)
    found = features.of(np.zeros(4, np.int32), np.arange(4))
    at = [names().index(f"product: promoted_{name}") for name in ("now", "next", "lately")]
    expected = [[0.5, 0.5 * 2 / 4, 0.5 * 2 / 16], [0.5, 0.5, (8 + 0.5) / 16], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(found[:, at], expected, rtol=1e-6)


def test_of_a_shop_without_promotions_nothing_is_said_of_them() -> None:
    found = figures(0, 0)
    assert all(np.isnan(found[f"product: promoted_{name}"]) for name in ("now", "next", "lately"))


def test_how_long_a_product_is_available_is_said_where_the_shop_tells() -> None:
    available_s = np.array([HISTORY.as_of_s - 20 * DAY_S, EVER, EVER, HISTORY.as_of_s + DAY_S // 2])
    catalogue = replace(CATALOGUE, available_s=available_s)
    features = Features(replace(HISTORY, catalogue=catalogue), horizon_days=4)
    found = features.of(np.zeros(4, np.int32), np.arange(4))[:, names().index("product: available_age")]
    np.testing.assert_array_equal(found, np.array([20, np.nan, np.nan, -0.5], np.float32))


def test_how_long_a_product_is_available_tells_nothing_of_its_later_purchases() -> None:
    """Product 0 was sold long before it is said to be available; before that nobody could know."""
    first_s = int(HISTORY.at_s[HISTORY.product_row == 0].min())
    available_s, sold_since_s = np.full(4, HISTORY.as_of_s - DAY_S), np.full(4, first_s)
    catalogue = replace(CATALOGUE, available_s=available_s, sold_since_s=sold_since_s)
    whole = replace(HISTORY, catalogue=catalogue)
    at = names().index("product: available_age")

    def age(history: Interactions) -> float:
        return float(Features(history, horizon_days=4).of(np.array([0]), np.array([0]))[0, at])

    assert age(whole) == (HISTORY.as_of_s - first_s) / DAY_S > 1
    assert np.isnan(age(whole.before(first_s)))


def test_own_times_and_intervals_of_a_product() -> None:
    assert_figures(
        figures(0, 0),
        {
            "product: own times": 2,
            "product: own last_age": 8,
            "product: own interval": 8,
            "product: own due_ratio": 1,
            "product: own orders_since": 1,
            "product: own last_age_in_gaps": 8 / 6,
        },
    )
    assert_figures(
        figures(0, 1),
        {
            "product: own last_age": 4,
            "product: own interval": 12,
            "product: own due_ratio": 4 / 12,
            "product: own orders_since": 0,
        },
    )


def test_an_order_counts_once_for_its_category_and_for_its_brand() -> None:
    expected = {"times": 3, "last_age": 4, "interval": 6, "due_ratio": 4 / 6, "orders_since": 0}
    found = figures(0, 0)
    assert_figures(found, {f"category: own {name}": value for name, value in expected.items()})
    assert_figures(found, {f"brand: own {name}": value for name, value in expected.items()})


def test_what_was_bought_once_has_no_interval_and_one_order_no_gap() -> None:
    assert_figures(
        figures(1, 0),
        {
            "product: own times": 1,
            "product: own last_age": 8,
            "product: own interval": np.nan,
            "product: own due_ratio": np.nan,
            "product: own last_age_in_gaps": np.nan,
            "customer: gap": np.nan,
            "customer: last_age_in_gaps": np.nan,
        },
    )


def test_a_customer_s_rhythm_baskets_and_novelty() -> None:
    """First purchases: both of the first order, product 2 of the last."""
    novelty = {
        f"customer: novelty_{name}": (2 * w(16, days) + w(4, days))
        / (2 * w(16, days) + w(8, days) + 2 * w(4, days))
        for name, days in (("4", 16.0), ("16", 64.0))
    }
    assert_figures(
        figures(0, 3),
        {
            "customer: orders": 3,
            "customer: orders_1": w(16, 4) + w(8, 4) + w(4, 4),
            "customer: orders_4": w(16, 16) + w(8, 16) + w(4, 16),
            "customer: known_age": 16,
            "customer: last_age": 4,
            "customer: gap": 6,
            "customer: last_age_in_gaps": 4 / 6,
            "customer: basket_size": 5 / 3,
            "customer: distinct_share": 3 / 5,
            "customer: mean_price": (2 * LN_2 + 2 * 3 * LN_2) / 4,
            **novelty,
        },
    )


def test_a_product_s_share_rise_buyers_and_take_up() -> None:
    share = {
        name: (w(16, days) + 2 * w(8, days)) / (w(16, days) + 2 * w(8, days) + w(4, days))
        for name, days in (("1", 4.0), ("4", 16.0), ("16", 64.0), ("all", np.inf))
    }
    orders = {"1": w(16, 4) + 2 * w(8, 4) + w(4, 4), "4": w(16, 16) + 2 * w(8, 16) + w(4, 16)}
    assert_figures(
        figures(2, 0),
        {
            **{f"product: share_{name}": value for name, value in share.items()},
            "product: rise_1_4": share["1"] / share["4"],
            "product: rise_4_16": share["4"] / share["16"],
            "product: buyers": 2,
            "product: repeat_rate": (1 + 1) / (2 + 10),
            "product: first_time_share": (w(16, 16) + w(8, 16)) / (w(16, 16) + 2 * w(8, 16)),
            "product: adopted_1": (w(16, 4) + w(8, 4)) / orders["1"],
            "product: adopted_4": (w(16, 16) + w(8, 16)) / orders["4"],
            "product: first_age": 16,
            "product: last_age": 8,
            "product: interval": 8,
            "product: price": LN_2,
        },
    )


def test_categories_and_brands_have_their_share_in_the_shop() -> None:
    """All four orders hold category 0 and brand 0, one holds category 1."""
    assert_figures(
        figures(2, 1),
        {"category: shop share_1": 1, "category: shop share_all": 1, "category: shop rise_1_4": 1},
    )
    share = {
        name: w(4, days) / (w(16, days) + 2 * w(8, days) + w(4, days))
        for name, days in (("1", 4.0), ("4", 16.0))
    }
    assert_figures(
        figures(2, 2),
        {
            "category: shop share_1": share["1"],
            "category: shop share_all": 1 / 4,
            "category: shop rise_1_4": share["1"] / share["4"],
            "brand: shop share_all": 1,
        },
    )


def test_a_pair_s_price_and_shares_against_its_category() -> None:
    found = figures(0, 1)
    assert_figures(
        found,
        {
            "pair: price_ratio": 3 * LN_2 - 2 * LN_2,
            "pair: share_of_category": found["product: own share_16"] / found["category: own share_16"],
            "pair: share_of_category_in_shop": found["product: share_4"],  # every order holds the category
            "pair: taste_lift": found["category: own share_16"],  # as above
        },
    )


def test_nothing_is_said_where_nothing_is_known() -> None:
    """Customer 2 bought nothing; product 3 was not bought, has no category and no price."""
    found = figures(2, 3)
    known = {name for name, value in found.items() if not np.isnan(value)}
    assert known == {
        *("customer: orders", "customer: orders_1", "customer: orders_4"),
        *(f"product: share_{name}" for name in ("1", "4", "16", "all")),
        *("product: buyers", "product: repeat_rate", "product: adopted_1", "product: adopted_4"),
        *("product: share_latest", "product: adopted_latest"),
    }
    counts = {name for name in known if found[name] != 0}
    assert counts == {"product: repeat_rate"}
    assert found["product: repeat_rate"] == pytest.approx(1 / 10)


def test_without_categories_and_brands_their_figures_are_all_unknown() -> None:
    bare = replace(HISTORY, catalogue=Catalogue.of(np.full(4, -1, np.int32)))
    table = Features(bare, 4).of(HISTORY.customer_row, HISTORY.product_row)
    of_groups = [place for place, name in enumerate(names()) if name.startswith(("category", "brand"))]
    assert np.isnan(table[:, of_groups]).all()
    assert not np.isnan(table[:, names().index("product: own times")]).any()


def test_lines_of_one_order_at_several_times_are_one_order() -> None:
    lines = [(0, 0, 10.0, 0), (0, 1, 10.5, 0), (0, 0, 12.0, 1)]
    features = Features(history_of(lines, n_customers=1, n_products=2, as_of_day=20), 7)
    row = features.of(np.array([0]), np.array([1]))[0]
    found = dict(zip(names(), row.tolist(), strict=True))
    assert_figures(found, {"customer: orders": 2, "customer: gap": 2, "product: own orders_since": 1})


def test_a_key_that_is_not_there_is_unknown() -> None:
    table = np.array([[1.0], [2.0]], np.float32)
    found = look_up(np.array([3, 7]), table, np.array([7, -1, 5, 3, 9]))
    np.testing.assert_array_equal(found[:, 0], [2, np.nan, np.nan, 1, np.nan])


@pytest.mark.parametrize("as_of_day", [20, 45, 70])
def test_what_is_bought_later_changes_no_figure(as_of_day: int) -> None:
    whole = grocer().interactions()
    moment = int(whole.at_s.min()) + as_of_day * DAY_S
    early = whole.only(whole.at_s < moment)
    customer, product = np.divmod(np.arange(whole.n_customers * whole.n_products), whole.n_products)
    np.testing.assert_array_equal(
        Features(whole.before(moment), 7).of(customer, product),
        Features(replace(early, as_of_s=moment), 7).of(customer, product),
    )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 4)), max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_shares_are_shares_and_a_product_is_never_ahead_of_its_category(
    orders: list[tuple[int, int]], entries: list[tuple[int, int]]
) -> None:
    """Orders as customer and day, entries as order and product."""
    lines = [
        (orders[order][0], product, float(orders[order][1]), order)
        for order, product in entries
        if order < len(orders)
    ]
    history = history_of(lines, n_customers=4, n_products=5, as_of_day=61)
    history = _with_categories(history)
    customer, product = np.divmod(np.arange(20), 5)
    found = dict(zip(names(), Features(history, 7).of(customer, product).T, strict=True))
    for name, column in found.items():
        if ": own share" in name or ": share_" in name or "shop share" in name:
            assert not (column < 0).any(), name
            assert not (column > 1 + 1e-5).any(), name
    for memory in ("1", "4", "16", "all"):
        own, whole = found[f"product: own share_{memory}"], found[f"category: own share_{memory}"]
        assert not (own > whole + 1e-5).any()
        assert not (found[f"product: share_{memory}"] > found[f"category: shop share_{memory}"] + 1e-5).any()
    has_bought = found["product: own times"] > 0
    owned = history.matrix().toarray()[customer, product]
    np.testing.assert_array_equal(has_bought, owned > 0)
    np.testing.assert_array_equal(found["product: own times"][has_bought], owned[has_bought])


def _with_categories(history: Interactions) -> Interactions:
    return replace(history, catalogue=Catalogue.of(np.array([0, 0, 1, 1, 0], np.int32)))


def test_those_who_are_asked_about_have_the_figures_that_they_have_among_all() -> None:
    some = np.array([0, 2])
    asked = np.isin(HISTORY.customer_row, some)
    pairs = HISTORY.customer_row[asked], HISTORY.product_row[asked]
    few = Features(HISTORY, 4, some)
    np.testing.assert_array_equal(few.of(*pairs), FEATURES.of(*pairs))
    assert [len(level.key) for level in few.levels] < [len(level.key) for level in FEATURES.levels]
