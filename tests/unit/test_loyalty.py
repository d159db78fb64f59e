"""What customers keep to, counted by hand."""

import numpy as np
import pytest
from scipy import sparse

from models.history.interactions import Interactions
from models.validation import loyalty as module
from models.validation.loyalty import LEAST_RATIO, loyalty
from tests.data.scores import history_of

# products 0 and 1 are red, 2 and 3 blue; 0 and 2 are large
FEATURES = sparse.csr_array(np.array([[1, 0, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0]], np.float32))
TURNS = [(0, 1), (1, 0), (2, 3), (3, 2)]  # all keep to the colour, nobody to the size


def shop(n_customers: int) -> Interactions:
    lines = []
    for customer in range(n_customers):
        first, second = TURNS[customer % 4]
        lines += [(customer, first, 90, 2 * customer), (customer, second, 95, 2 * customer + 1)]
    return history_of(lines, n_customers=n_customers, n_products=4, as_of_day=100)


def test_what_is_taken_up_again_more_than_by_chance_is_kept_to() -> None:
    kept = loyalty(shop(40), FEATURES, seed=0)
    # Of 40 later purchases half are red: of the 20 who had red before 10 would be by chance, and 20 are. So
    # with blue; of the 20 who had large none is again. 5 more are expected, had as often as all: 45 of 35.
    prior = 5 * 45 / 35
    colour, size = (20 + prior) / 15, prior / 15
    assert size < LEAST_RATIO
    np.testing.assert_allclose(kept, np.log([colour, colour, LEAST_RATIO]))


def test_of_many_customers_as_many_as_elsewhere_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 40)
    many = loyalty(shop(400), FEATURES, seed=0)
    np.testing.assert_allclose(many, loyalty(shop(40), FEATURES, seed=0), atol=0.25)
    np.testing.assert_array_equal(many, loyalty(shop(400), FEATURES, seed=0))
    monkeypatch.setattr(module, "LOOKED_AT", 1)  # one customer alone has all as often as everybody
    np.testing.assert_allclose(loyalty(shop(400), FEATURES, seed=0), np.log(LEAST_RATIO))


def test_where_nobody_came_twice_all_weigh_the_same() -> None:
    once = [(customer, customer % 4, 90, customer) for customer in range(9)]
    history = history_of(once, n_customers=9, n_products=4, as_of_day=100)
    assert len(set(loyalty(history, FEATURES, seed=0).tolist())) == 1
    assert len(set(loyalty(history.only(history.at_s < 0), FEATURES, seed=0).tolist())) == 1
