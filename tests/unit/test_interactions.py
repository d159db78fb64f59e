"""Purchase lines become entries: one for each order and product, seen from one moment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.arrays import DAY_S
from models.history.interactions import Interactions
from tests.data.scores import history_of

line = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 9), st.integers(0, 2))


def entries(interactions: Interactions) -> list[tuple[int, int, float, int]]:
    return [
        (int(customer), int(product), float(at / DAY_S), int(order))
        for customer, product, at, order in zip(
            interactions.customer_row,
            interactions.product_row,
            interactions.at_s,
            interactions.order_row,
            strict=True,
        )
    ]


def test_lines_of_one_order_and_product_become_one_entry_at_the_first_time() -> None:
    history = history_of(
        [(1, 0, 5, 7), (0, 2, 4, 3), (0, 2, 3.5, 3), (0, 1, 3.5, 3), (0, 2, 2, 2)],
        n_customers=2,
        n_products=3,
        as_of_day=10,
    )
    assert entries(history) == [(0, 2, 2.0, 2), (0, 1, 3.5, 3), (0, 2, 3.5, 3), (1, 0, 5.0, 7)]
    assert history.age_days.tolist() == [8.0, 6.5, 6.5, 5.0]
    assert history.age_days.dtype == np.float32
    assert history.span_days == 8.0


def test_the_moment_itself_is_not_seen() -> None:
    lines = [(0, 0, 9.999, 0), (0, 1, 10, 1), (0, 2, 11, 2)]
    history = history_of(lines, n_customers=1, n_products=3, as_of_day=10)
    assert history.product_row.tolist() == [0]


def test_before_is_the_history_as_it_was_known_then() -> None:
    lines = [(0, 0, 1, 0), (0, 1, 5, 1), (0, 2, 8, 2)]
    history = history_of(lines, n_customers=3, n_products=4, as_of_day=10)
    earlier = history.before(5 * DAY_S)
    assert earlier.product_row.tolist() == [0]
    assert earlier.age_days.tolist() == [4.0]
    assert (earlier.n_customers, earlier.n_products) == (3, 4)
    assert history.age_days.tolist() == [9.0, 5.0, 2.0]  # and not that of the copy


def test_between_takes_the_start_and_leaves_the_end() -> None:
    lines = [(0, 0, 1, 0), (0, 1, 5, 1), (0, 2, 8, 2)]
    history = history_of(lines, n_customers=1, n_products=3, as_of_day=10)
    assert history.between(1 * DAY_S, 8 * DAY_S).product_row.tolist() == [0, 1]


def test_the_matrix_adds_up_orders_or_weights() -> None:
    lines = [(0, 1, 1, 0), (0, 1, 2, 1), (1, 0, 3, 2)]
    history = history_of(lines, n_customers=3, n_products=2, as_of_day=10)
    assert history.matrix().toarray().tolist() == [[0, 2], [1, 0], [0, 0]]
    assert history.matrix(np.array([0.5, 0.25, 4], np.float32)).toarray().tolist() == [
        [0, 0.75],
        [4, 0],
        [0, 0],
    ]


def test_each_order_is_found_by_its_first_entry() -> None:
    lines = [(1, 0, 5, 7), (0, 2, 4, 3), (0, 1, 3.5, 3), (0, 2, 2, 9)]
    history = history_of(lines, n_customers=2, n_products=3, as_of_day=9)
    assert history.order_row.tolist() == [9, 3, 3, 7]
    assert history.first_of_order.tolist() == [1, 3, 0]  # of orders 3, 7, 9


def test_a_history_of_nothing_has_its_shape() -> None:
    history = history_of([], n_customers=2, n_products=3, as_of_day=10)
    assert (len(history), history.span_days, history.matrix().shape) == (0, 0.0, (2, 3))
    assert not len(history.first_of_order)


@given(st.lists(line, max_size=25), st.randoms(use_true_random=False), st.integers(0, 11))
def test_neither_order_nor_later_lines_change_anything(lines: list, random: object, as_of: int) -> None:
    # an order belongs to one customer
    lines = [(customer, product, day, customer * 3 + order) for customer, product, day, order in lines]
    mixed = [entry for entry in lines if entry[2] < as_of]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = (history_of(x, n_customers=4, n_products=5, as_of_day=as_of) for x in (lines, mixed))
    assert entries(one) == entries(other)
    assert entries(one) == sorted(entries(one), key=lambda entry: (entry[0], entry[2], entry[3], entry[1]))
    assert {entry[3:] + entry[1:2] for entry in entries(one)} == {
        (order, product) for _, product, day, order in lines if day < as_of
    }
