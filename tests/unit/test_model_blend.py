"""The blend where nothing can be tried: own products come first only where customers buy a product twice."""

import numpy as np

from models.arrays import DAY_S
from models.blend import Blend
from models.catalogue import Catalogue
from models.interactions import Interactions


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
