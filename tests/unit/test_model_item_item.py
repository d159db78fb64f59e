"""Neighbours by cosine on four products, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.history.interactions import Interactions
from models.item_item import ItemItem, ItemItemOptions, baskets
from models.validation.folds import inner_folds, new_ndcg
from tests.data.scores import history_of
from tests.data.shops import gift_shop

HALF = 2**-0.5


def learned(
    history: Interactions, together: str, neighbours: int = 3, min_customers: float | None = 0.0
) -> ItemItem:
    options = ItemItemOptions(
        together=together, half_life_days=7.0, neighbours=neighbours, min_customers=min_customers
    )
    return ItemItem(options).fit(history)


def similarity(model: ItemItem, n_products: int) -> np.ndarray:
    """Products x products from the lists of neighbours; nothing may stand in them twice."""
    table = np.zeros((n_products, n_products))
    for product, (others, values) in enumerate(zip(model.similar_, model.similarity_, strict=True)):
        held = others >= 0
        assert len(set(others[held])) == held.sum()
        assert (values[~held] == 0).all()
        assert (np.diff(values) <= 0).all()
        table[product, others[held]] = values[held]
    return table


# orders {0, 1} and {0, 2} of customer 0, {0, 1} and {3} of customer 1
LINES = [(0, 0, 90, 0), (0, 1, 90, 0), (0, 0, 95, 1), (0, 2, 95, 1)]
LINES += [(1, 0, 91, 2), (1, 1, 91, 2), (1, 3, 93, 3)]
HISTORY = history_of(LINES, n_customers=3, n_products=5, as_of_day=100)


def test_together_in_one_order() -> None:
    found = similarity(learned(HISTORY, "order"), 5)
    wanted = np.zeros((5, 5))
    wanted[0, 1] = wanted[1, 0] = (HALF + 1) / 2  # of the 2 customers with both one has 0 without 1 too
    wanted[0, 2] = wanted[2, 0] = HALF / 2**0.5  # one of the 2 who have 0, in one of two orders
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_together_with_one_customer() -> None:
    model = learned(HISTORY, "customer")
    wanted = np.zeros((5, 5))
    wanted[0, 1] = wanted[1, 0] = 1.0  # both customers have both
    for product in (2, 3):  # one customer has it, both have 0 and 1
        wanted[product, :2] = wanted[:2, product] = HALF
    np.testing.assert_allclose(similarity(model, 5), wanted, atol=1e-6)
    assert model.similar_[:2].tolist() == [[1, 2, 3], [0, 2, 3]]  # 2 before 3: ties by product row
    assert model.similar_[4].tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("together", "max_basket", "wanted"),
    [
        ("order", 9, [[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0]]),
        ("order", 1, [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]),
        ("customer", 9, [[1, 1, 1, 0, 0], [1, 1, 0, 1, 0]]),
        ("customer", 2, [[1, 0, 1, 0, 0], [1, 0, 0, 1, 0]]),  # the latest; of one time the lowest rows
    ],
)
def test_a_basket_keeps_its_latest_products_each_once(
    together: str, max_basket: int, wanted: list[list[int]]
) -> None:
    options = ItemItemOptions(together=together, max_basket=max_basket)
    assert (baskets(HISTORY, options).toarray() > 0).astype(int).tolist() == wanted


def test_however_many_orders_a_customer_makes_they_count_for_a_pair_as_one() -> None:
    lines = [(0, product, 90.0, order) for order in range(500) for product in (0, 1)]
    lines += [(1, product, 90.0, 500) for product in (0, 2)]
    history = history_of(lines, n_customers=2, n_products=3, as_of_day=100)
    found = similarity(learned(history, "order"), 3)
    assert found[0, 1] == pytest.approx(found[0, 2]) == pytest.approx(HALF)


def test_what_too_few_customers_bought_together_is_not_alike() -> None:
    lines = [(customer, product, 90.0, customer) for customer in range(4) for product in (0, 1)]
    lines += [(customer, product, 90.0, customer) for customer in (4, 5, 6) for product in (2, 3)]
    history = history_of(lines, n_customers=7, n_products=4, as_of_day=100)
    for together in ("order", "customer"):
        model = learned(history, together, min_customers=4)
        assert model.similar_[:, 0].tolist() == [1, 0, -1, -1]
        assert model.similarity_[:, 0].tolist() == pytest.approx([1, 1, 0, 0])


def test_a_pair_takes_one_customer_in_a_hundred_and_five_at_most() -> None:
    def with_pair(bought_both: int, customers: int) -> bool:
        lines = [(c, product, 90.0, c) for c in range(bought_both) for product in (0, 1)]
        lines += [(c, 2, 90.0, c) for c in range(bought_both, customers)]
        history = history_of(lines, n_customers=customers, n_products=3, as_of_day=100)
        return bool(learned(history, "customer", min_customers=None).similar_[0, 0] == 1)

    assert with_pair(1, 50)
    assert [with_pair(2, 300), with_pair(3, 300)] == [False, True]
    assert [with_pair(4, 2000), with_pair(5, 2000)] == [False, True]


def test_a_score_adds_the_neighbours_of_what_was_bought_lately() -> None:
    model = learned(HISTORY, "order")
    scores = model.score(np.array([1, 2], np.int32))
    # customer 1 bought 0 and 1 nine days ago and 3, which has no neighbour, seven days ago
    weight, near, far = 2 ** (-9 / 7), (HALF + 1) / 2, 0.5
    wanted = [weight * near, weight * near, weight * far, np.nan, np.nan]
    np.testing.assert_allclose(scores, [wanted, [np.nan] * 5], rtol=1e-5)


def test_fewer_neighbours_are_the_first_of_more() -> None:
    many = learned(gift_shop().interactions(), "customer", neighbours=39)
    few = learned(gift_shop().interactions(), "customer", neighbours=4)
    np.testing.assert_allclose(few.similarity_, many.similarity_[:, :4], rtol=1e-6)


@pytest.mark.parametrize("together", ["order", "customer"])
def test_neighbours_are_those_of_the_dense_formula(together: str) -> None:
    history = gift_shop().interactions()
    model = learned(history, together, neighbours=39)
    held = baskets(history, model.options_).toarray()
    count = held.T @ held
    norm = np.maximum(np.sqrt(np.diag(count)), 1e-9)
    wanted = count / norm[:, None] / norm[None, :]
    np.fill_diagonal(wanted, 0)
    np.testing.assert_allclose(similarity(model, 40), wanted, atol=1e-6)


def test_what_is_learned_found_most_on_the_last_horizon() -> None:
    history = gift_shop().interactions()
    learned_options = ItemItem().fit(history).options_
    (fold,) = inner_folds(history, ItemItemOptions())
    found = {
        options: new_ndcg(fold, ItemItem(options).fit(fold.history).score)
        for together in ("order", "customer")
        for days in (14.0, 112.0)
        for options in [replace(learned_options, together=together, half_life_days=days)]
    }
    assert len(set(found.values())) > 1
    assert found[learned_options] == max(found.values())


def test_more_ties_than_places_are_cut_the_same_way_each_time() -> None:
    lines = [(0, product, 90, 0) for product in range(80)]  # everything goes with everything
    history = history_of(lines, n_customers=1, n_products=80, as_of_day=100)
    first, again = learned(history, "order"), learned(history, "order")
    np.testing.assert_array_equal(first.similar_, again.similar_)
    np.testing.assert_allclose(first.similarity_, 1, rtol=1e-6)
    assert (first.similar_ != np.arange(80)[:, None]).all()
    assert (np.diff(first.similar_) > 0).all()


def test_a_first_product_with_more_twins_than_places_is_learned_too() -> None:
    """Six products that are always bought together, and a seventh that nothing goes with."""
    lines = [(customer, product, 90.0, customer) for customer in range(2) for product in range(6)]
    history = history_of([*lines, (2, 6, 90.0, 2)], n_customers=3, n_products=7, as_of_day=100)
    model = learned(history, "order", neighbours=2)
    assert (model.similar_[:6] >= 0).all()
    assert (model.similarity_[:6] == 1).all()
    assert not (model.similar_[:6] == np.arange(6)[:, None]).any()
