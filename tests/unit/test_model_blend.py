"""The blend in young shops: what it weighs where nothing can be tried, and what it learns of few weeks."""

import numpy as np
import pytest

from models import blend
from models.arrays import DAY_S, AnyIntArray, FloatArray, IntArray
from models.blend import Blend, BlendOptions
from models.content import Content
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions

SHELF = 300  # products of a category: too many for pairs of them to tell


def young_shop(*, repeats: bool) -> Interactions:
    """Three days, 60 customers with an order on each: the same product of 30, or always another one.

    Product 0 is in every second customer's first order, the others are drawn evenly.
    """
    customer, day = np.repeat(np.arange(60), 3), np.tile(np.arange(3), 60)
    own = 1 + customer % 29
    product = (
        own if repeats else np.where((day == 0) & (customer % 2 == 0), 0, 1 + (customer * 3 + day * 11) % 29)
    )
    return Interactions.build(
        customer.astype(np.int32),
        product.astype(np.int32),
        np.arange(180, dtype=np.int32),
        (day * DAY_S).astype(np.int64),
        catalogue=Catalogue.of(np.full(30, -1, np.int32)),
        as_of_s=3 * DAY_S,
        n_customers=60,
    )


def test_a_young_shop_where_nobody_buys_a_product_twice_shows_what_is_popular_first() -> None:
    model = Blend().fit(young_shop(repeats=False))
    scores = model.score(np.array([1], np.int32))[0]  # who doesn't have product 0
    assert model.options_.repeat_weight == 5 / 130
    assert np.nanargmax(scores) == 0


def test_a_young_shop_where_all_buy_the_same_again_shows_that_first() -> None:
    history = young_shop(repeats=True)
    model = Blend().fit(history)
    rows = np.arange(60, dtype=np.int32)
    assert model.options_.repeat_weight == 125 / 130
    assert np.array_equal(np.nanargmax(model.score(rows), axis=1), 1 + rows % 29)


def shop_of_tastes(days: int) -> Interactions:
    """60 customers with an order a day, always of another product, and of their own of three categories."""
    rng = np.random.default_rng(0)
    customer, day = np.repeat(np.arange(60), days), np.tile(np.arange(days), 60)
    drawn = np.concatenate([rng.permutation(SHELF)[:days] for _ in range(60)])
    category = np.repeat(np.arange(3), SHELF)
    return Interactions.build(
        customer.astype(np.int32),
        (customer % 3 * SHELF + drawn).astype(np.int32),
        np.arange(60 * days, dtype=np.int32),
        (day * DAY_S).astype(np.int64),
        catalogue=Catalogue.of(category.astype(np.int32)),
        as_of_s=days * DAY_S,
        n_customers=60,
    )


@pytest.mark.parametrize("days", [3, 16])
def test_with_categories_known_new_products_are_of_those_that_the_customer_buys_of(days: int) -> None:
    history = shop_of_tastes(days)
    model, rows = Blend().fit(history), np.arange(60, dtype=np.int32)
    scores = np.where(history.matrix().toarray() > 0, np.nan, model.score(rows))
    assert np.array_equal(np.nanargmax(scores, axis=1) // SHELF, rows % 3)


def test_where_nothing_can_be_tried_what_is_known_of_products_has_a_small_weight() -> None:
    options = Blend().fit(shop_of_tastes(3)).options_
    assert (options.content_weight, options.affinity_weight) == (0.01, 0.0)


def test_of_a_large_catalogue_weights_are_tried_on_what_is_popular_and_on_own_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history, rows = shop_of_tastes(16), np.arange(60, dtype=np.int32)
    whole, asked = Blend().fit(history).options_, []

    class Asked(Content):
        def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
            asked.append(products)
            return super().score(rows, products)

    monkeypatch.setattr(blend, "POOL", 100)
    monkeypatch.setattr(blend, "PARTS", (*blend.PARTS[:-1], Asked))
    options = Blend(BlendOptions(content=whole.content)).fit(history).options_

    own = history.before(9 * DAY_S).matrix()[rows].indices  # the fold is of the seven days after these nine
    assert asked
    assert all(len(products) <= 100 + len(set(own)) and set(own) <= set(products) for products in asked)
    assert options == whole
