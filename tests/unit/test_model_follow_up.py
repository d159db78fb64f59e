"""What orders that follow another are for, on shops that were made up."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import DAY_S
from models.history import follow_up
from models.history.catalogue import Catalogue
from models.history.follow_up import _orders, category_left, follow_up_lift
from models.history.interactions import Interactions

type Line = tuple[int, float, Sequence[int]]  # customer, day, products of an order


def history(
    orders: Sequence[Line], category_row: Sequence[int], n_customers: int | None = None
) -> Interactions:
    lines = [
        (customer, product, number, int(day * DAY_S))
        for number, (customer, day, products) in enumerate(orders)
        for product in products
    ]
    columns = [np.array(column) for column in zip(*lines, strict=True)] or [np.empty(0, np.int64)] * 4
    n = n_customers or max([1, *(customer + 1 for customer, *_ in orders)])
    return Interactions.build(
        columns[0].astype(np.int32),
        columns[1].astype(np.int32),
        columns[2].astype(np.int32),
        columns[3].astype(np.int64),
        catalogue=Catalogue.of(np.array(category_row, np.int32)),
        as_of_s=1000 * DAY_S,
        n_customers=n,
    )


def big_and_small(n_customers: int = 300) -> list[Line]:
    """Every second week everybody buys a lot, two days later milk (0), and each third of them eggs (1)."""
    orders: list[Line] = []
    for customer in range(n_customers):
        for week in range(0, 12, 2):
            start = 7.0 * week + customer % 5
            orders.append((customer, start, [0, 1, 2, 3, 4]))
            orders.append((customer, start + 2, [0, 1] if customer % 3 == 0 else [0]))
    return orders


def test_what_somebody_comes_back_for_counts_more_than_what_fills_the_large_orders() -> None:
    lift = follow_up_lift(history(big_and_small(), [0, 0, 0, 1, -1]), 7.0)
    # 12 orders of each customer have milk, 6 of them alone: nothing else is bought in them by most
    assert lift[0] > 1.2 > lift[1] > lift[2]
    assert (lift[2:] < 0.6).all()


def test_a_shop_where_nobody_comes_back_learns_nothing() -> None:
    orders: list[Line] = [(customer, customer % 90, [customer % 7]) for customer in range(500)]
    assert follow_up_lift(history(orders, [0] * 7), 7.0).tolist() == [1.0] * 7
    assert follow_up_lift(history([], [0] * 7, 3), 7.0).tolist() == [1.0] * 7


def test_what_differs_by_chance_alone_has_hardly_any_lift() -> None:
    lot = np.random.default_rng(5)
    chances = lot.dirichlet(np.full(200, 0.3))
    orders: list[Line] = [
        (customer, float(day), lot.choice(200, 3, replace=False, p=chances))
        for customer in range(400)
        for day in lot.choice(200, 12, replace=False)
    ]
    lift = follow_up_lift(history(orders, [product % 10 for product in range(200)]), 7.0)
    assert np.abs(np.log(lift)).max() < 0.1


def test_of_a_large_shop_customers_are_learned_from_by_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    every = history(big_and_small(600), [0, 0, 0, 1, -1])
    whole = follow_up_lift(every, 7.0)
    monkeypatch.setattr(follow_up, "MOST_ENTRIES", len(every) // 3)
    some, again = follow_up_lift(every, 7.0), follow_up_lift(every, 7.0)
    assert some == pytest.approx(whole, rel=0.1, abs=0.01)
    assert (some != whole).any()
    np.testing.assert_array_equal(some, again)


ORDERS = st.lists(
    st.tuples(
        st.integers(0, 4), st.floats(0, 90), st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True)
    ),
    max_size=40,
)


@given(
    orders=ORDERS, horizon=st.floats(0.5, 60), category=st.lists(st.integers(-1, 2), min_size=6, max_size=6)
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_history_lifts_are_above_0(
    orders: list[Line], horizon: float, category: list[int]
) -> None:
    lift = follow_up_lift(history(orders, category), horizon)
    assert (lift.shape, lift.dtype) == ((6,), np.float32)
    assert np.isfinite(lift).all()
    assert (lift > 0).all()


def days_in_a_row(chances: Sequence[float], n_customers: int = 400, seed: int = 3) -> list[Line]:
    """Each customer orders on 20 pairs of days in a row, of three of five categories, then of two.

    Args:
        chances: of each category, to be in the second order of a pair if it was in the first, against 3 in 5.
    """
    lot = np.random.default_rng(seed)
    orders: list[Line] = []
    for customer in range(n_customers):
        for pair in range(20):
            first = lot.permutation(5)[:3]
            weight = np.ones(5)
            weight[first] = np.array(chances)[first]
            second = lot.choice(5, 2, replace=False, p=weight / weight.sum())
            orders += [(customer, 30.0 * pair, first), (customer, 30.0 * pair + 1, second)]
    return orders


def test_a_category_that_is_not_needed_again_so_soon_has_little_left() -> None:
    never = days_in_a_row([0, 1, 1, 1, 1])
    left = category_left(history(never, range(5)), 7.0)
    # it is in about half of a customer's other orders, and in none that follows one with it
    assert left[0] < 0.1
    assert (left[1:] > 0.9).all()
    assert category_left(history(days_in_a_row([1] * 5), range(5)), 7.0) == pytest.approx(1, abs=0.05)


def test_what_is_bought_the_more_for_it_has_all_left() -> None:
    left = category_left(history(days_in_a_row([9, 1, 1, 1, 1]), range(5)), 7.0)
    assert left[0] == 1


def test_that_all_orders_that_follow_are_small_says_nothing_of_a_category() -> None:
    lot = np.random.default_rng(4)
    orders: list[Line] = [
        (customer, 30.0 * pair + later, lot.choice(50, 2 if later else 20, replace=False))
        for customer in range(300)
        for pair in range(10)
        for later in (0, 1)
    ]
    assert category_left(history(orders, range(50)), 7.0) == pytest.approx(1, abs=0.1)


def test_orders_that_follow_later_and_products_without_a_category_don_t_count() -> None:
    never = [(customer, 2 * day, products) for customer, day, products in days_in_a_row([0, 1, 1, 1, 1], 50)]
    assert category_left(history(never, range(5)), 7.0).tolist() == [1.0] * 5  # two days are too late
    assert category_left(history(never, [-1] * 5), 7.0).tolist() == []
    assert category_left(history([], [0, 1], 3), 7.0).tolist() == [1.0] * 2


def test_one_customer_counts_once_for_a_category() -> None:
    """A hundred customers need nothing twice; one who orders it every day doesn't change that."""
    many = days_in_a_row([0] * 5, 100)
    daily: list[Line] = [(100, float(day), [0]) for day in range(900)]
    assert category_left(history(many + daily, range(5)), 7.0)[0] < 0.15


def third_as_often(n_orders: int, first_customer: int, categories: Sequence[int]) -> list[Line]:
    """Of ten categories each order is of one, and the one before is chosen a third as often as the others."""
    lot = np.random.default_rng(5)
    orders: list[Line] = []
    for customer in range(24_000 // n_orders):
        first = 0
        for number in range(n_orders):
            weight = np.ones(10)
            if number % 2:
                weight[first] = 1 / 3
            first = lot.choice(10, p=weight / weight.sum())
            day = 30.0 * (number // 2) + number % 2
            orders.append((first_customer + customer, day, [categories[first]]))
    return orders


THIRD = 10 / (9 + 1 / 3) / 3


@pytest.mark.parametrize("n_orders", [3, 4, 8])
def test_few_orders_tell_as_much_as_many(n_orders: int) -> None:
    """The order that follows is none of the others, and customers count who had few of a category by lot."""
    left = category_left(history(third_as_often(n_orders, 0, range(10)), range(10)), 7.0)
    assert left.mean() == pytest.approx(THIRD, abs=0.06)


def test_categories_of_rare_customers_are_counted_by_their_own_orders() -> None:
    """Ten are bought by who has three orders, ten by who has eight."""
    orders = third_as_often(3, 0, range(10)) + third_as_often(8, 8000, range(10, 20))
    left = category_left(history(orders, range(20)), 7.0)
    assert [left[:10].mean(), left[10:].mean()] == pytest.approx([THIRD, THIRD], abs=0.06)


def test_of_an_order_each_product_counts_what_it_adds_to_a_list_of_ten() -> None:
    orders: list[Line] = [(0, 8, [0]), (0, 1, [0, 1]), (1, 9, range(10)), (1, 30, range(12)), (0, 15.1, [2])]
    order, weight, follows = _orders(history(orders, [0] * 12), 7.0)
    at = [1 / np.log2(place + 1) for place in range(1, 11)]
    assert order.tolist() == [1, 1, 0, 4, *[2] * 10, *[3] * 12]  # of each customer in the order of time
    np.testing.assert_allclose(weight, [1, 1 / sum(at[:2]), 1 / sum(at), 1 / sum(at), 1])
    assert follows.tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("later_days", [1, 7])
def test_a_day_is_a_day_whatever_age_is_rounded_to(later_days: int) -> None:
    """64 days and a second before the end, and 63: in float32 they are more than a day apart."""
    orders: list[Line] = []
    for customer in range(300):
        orders += [(customer, 300, [0, 1]), (customer, 936, [0, 1]), (customer, 936 + later_days, [1])]
    whole = history(orders, range(2))
    later = replace(whole, as_of_s=whole.as_of_s + 1)
    for count, horizon_days in ((category_left, 7.0 * later_days), (follow_up_lift, float(later_days))):
        found = count(later, horizon_days)
        np.testing.assert_array_equal(found, count(whole, horizon_days))
        assert found[0] < 0.5
