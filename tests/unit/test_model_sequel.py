"""What is bought after what, counted by hand on few customers."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import BadConfigError
from models.history.interactions import Interactions
from models.sequel import Sequel, SequelOptions
from tests.data.scores import history_of

OPTIONS = SequelOptions(horizon_days=10.0, memory=2.0)  # half-life 20 days


def crowd(first: int, count: int, before: int, after: int) -> list[tuple[int, int, int, int]]:
    """Customers who take up one product the same day as the other, in a later order."""
    rows = range(first, first + count)
    return [
        (row, product, 80, 1000 + 2 * row + n) for row in rows for n, product in enumerate((before, after))
    ]


# customers 0 and 1 take up 1 after 0, in another order 20 and 0 days later; customer 2 the other way round;
# 96 others make all that chance: 3 after 2 is what everybody does
LINES = [(0, 0, 60, 0), (0, 1, 80, 1), (1, 0, 80, 2), (1, 1, 80, 3), (2, 1, 80, 4), (2, 0, 90, 5)]
LINES += crowd(3, 96, 2, 3)
HISTORY = history_of(LINES, n_customers=100, n_products=4, as_of_day=100)
LED, BACK = 0.5 + 1, 2**-0.5  # customers by how soon: from 0 to 1, and from 1 to 0


def links(history: Interactions, options: SequelOptions = OPTIONS) -> np.ndarray:
    """Products x products; nothing may stand twice in a row."""
    model = Sequel(options).fit(history)
    n_products = history.n_products
    table = np.zeros((n_products, n_products))
    for product in range(n_products):
        row = slice(model.link_indptr_[product], model.link_indptr_[product + 1])
        assert (np.diff(model.link_product_[row]) > 0).all()
        table[product, model.link_product_[row]] = model.link_[row]
    return table


def test_who_took_it_up_later_counts_by_how_soon_above_what_chance_lets_expect() -> None:
    total = LED + BACK + 96
    wanted = np.zeros((4, 4))
    wanted[0, 1] = (LED - LED * LED / total) / (3 + 5)  # 3 have it, 5 are thought to have taken up nothing
    wanted[1, 0] = (BACK - BACK * BACK / total) / (3 + 5)
    np.testing.assert_allclose(links(HISTORY), wanted, rtol=1e-6)


def test_what_was_bought_in_one_order_follows_nothing() -> None:
    together = [(customer, product, 50, customer) for customer in range(3) for product in range(3)]
    assert not links(history_of(together, n_customers=3, n_products=3, as_of_day=100)).any()


def test_only_what_was_new_to_the_customer_counts() -> None:
    again = [(0, 0, 85, 6), (0, 1, 86, 7), (1, 0, 87, 8)]  # all of it owned by then
    both = history_of([*LINES, *again], n_customers=100, n_products=4, as_of_day=100)
    np.testing.assert_array_equal(links(both), links(HISTORY))


def test_what_follows_everything_follows_nothing() -> None:
    """Product 2 comes after 0 and after 1, each time as often as chance lets expect."""
    lines = []
    for customer in range(8):
        first = customer % 2
        lines += [(customer, first, 50, 2 * customer), (customer, 2, 60, 2 * customer + 1)]
    assert not links(history_of(lines, n_customers=8, n_products=3, as_of_day=100)).any()


def test_a_customer_s_score_is_the_sum_over_what_they_have_by_how_long_they_have_it() -> None:
    model = Sequel(OPTIONS).fit(HISTORY)
    table = links(HISTORY)
    scores = model.score(np.array([99, 0], np.int32))
    assert np.isnan(scores[0]).all()  # has nothing
    wanted = [table[1, 0] * 0.5, table[0, 1] * 0.25]  # 20 and 40 days ago
    np.testing.assert_allclose(scores[1, :2], wanted, rtol=1e-6)
    assert np.isnan(scores[1, 2:]).all()


def test_a_link_takes_three_customers_in_a_shop_of_three_hundred() -> None:
    lines = crowd(10, 300, 2, 3) + crowd(0, 2, 0, 1)
    assert not links(history_of(lines, n_customers=310, n_products=4, as_of_day=100))[0].any()
    lines += crowd(2, 1, 0, 1)
    assert links(history_of(lines, n_customers=310, n_products=4, as_of_day=100))[0, 1] > 0


def test_the_more_pairs_there_are_the_further_beyond_chance_is_a_link() -> None:
    """Three of ten with 0 take up 1, where chance lets expect one: two standard deviations more.

    The largest of seven normal deviates is about 1.97, sqrt(2 log 7), of eight 2.04.
    """

    def of_pairs(count: int) -> np.ndarray:
        lines = crowd(0, 3, 0, 1) + crowd(3, 7, 0, 3) + crowd(10, 7, 2, 1)
        for row in range(17, 100):
            lines += crowd(row, 1, 2, 4 + row % (count - 3))
        return links(history_of(lines, n_customers=100, n_products=9, as_of_day=100))

    assert of_pairs(7)[0, 1] > 0
    assert of_pairs(8)[0, 1] == 0


def test_the_strongest_links_of_a_product_are_kept_the_first_product_among_equals() -> None:
    lines = crowd(0, 3, 0, 3) + crowd(3, 2, 0, 2) + crowd(5, 2, 0, 1) + crowd(10, 180, 4, 5)
    history = history_of(lines, n_customers=190, n_products=6, as_of_day=100)
    kept = links(history, replace(OPTIONS, neighbours=2))
    assert np.argwhere(kept).tolist() == [[0, 1], [0, 3]]


def test_only_the_latest_of_what_a_customer_had_leads_to_a_product(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = crowd(10, 300, 3, 4)
    for customer in range(10):
        lines += [(customer, product, 50 + product, 3 * customer + product) for product in range(3)]
    history = history_of(lines, n_customers=310, n_products=5, as_of_day=100)
    assert np.argwhere(links(history)).tolist() == [[0, 1], [0, 2], [1, 2]]
    monkeypatch.setattr("models.sequel.MOST_BEFORE", 1)
    assert np.argwhere(links(history)).tolist() == [[0, 1], [1, 2]]


def test_a_large_shop_is_learned_from_customers_by_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for pair in range(20) for line in crowd(20 * pair, 20, 2 * pair, 2 * pair + 1)]
    history = history_of(lines, n_customers=400, n_products=40, as_of_day=100)
    whole = links(history)
    monkeypatch.setattr("models.sequel.MOST_STEPS", 200)
    some, other = links(history), links(history, replace(OPTIONS, seed=1))
    np.testing.assert_array_equal(some > 0, whole > 0)  # half of them say the same, drawn more to nothing
    assert (some[some > 0] < whole[whole > 0]).all()
    assert not np.array_equal(some, other)
    assert len(Sequel(OPTIONS).fit(history).own_product_) == 800  # everybody has a score


def test_a_memory_of_nothing_is_refused() -> None:
    with pytest.raises(BadConfigError, match=r"memory: 0\.0 is too small"):
        SequelOptions(memory=0.0)
