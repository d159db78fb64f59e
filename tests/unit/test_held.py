"""Products whose rise is owed to newcomers alone wait a horizon; on shops that were made up."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.history.interactions import Interactions
from tests.data.scores import DAY_S, history_of
from training.history.held import HeldProduct, held_products, without_held

N_PRODUCTS, DAYS, HORIZON = 30, 70, 7
type Line = tuple[int, int, float]  # customer, product, day


def shop(newcomers_a_week: int, seed: int = 0, regulars: int = 120, starters: int = 0) -> list[Line]:
    """Regulars since the first days, who buy two of the products a week, and newcomers each week who do too.

    The first product is also what all newcomers begin with, if there are `starters`.
    """
    lot = np.random.default_rng(seed)
    since = [float(lot.uniform(0, 3)) for _ in range(regulars)]
    for week in range(DAYS // 7):
        since += [7 * week + float(lot.uniform(0, 6.9)) for _ in range(newcomers_a_week)]
    lines: list[Line] = []
    for customer, first in enumerate(since):
        if starters and customer >= regulars:
            lines.append((customer, 0, first))
        for day in np.arange(first, DAYS, 7):
            lines += [(customer, int(product), float(day)) for product in lot.integers(1, N_PRODUCTS, 2)]
    return lines


def bought(product: int, customers: int, lines: Sequence[Line], day: float = DAYS - 1.0) -> list[Line]:
    """So many customers beyond those of the lines, who buy a product on one day."""
    first = 1 + max(customer for customer, *_ in lines)
    return [(customer, product, day) for customer in range(first, first + customers)]


def history(lines: Sequence[Line], as_of_day: int = DAYS) -> Interactions:
    n_customers = 1 + max(customer for customer, *_ in lines)
    numbered = [(customer, product, day, order) for order, (customer, product, day) in enumerate(lines)]
    return history_of(numbered, n_customers=n_customers, n_products=N_PRODUCTS, as_of_day=as_of_day)


def since(interactions: Interactions) -> np.ndarray:
    known = np.full(interactions.n_customers, np.iinfo(np.int64).max)
    np.minimum.at(known, interactions.customer_row, interactions.at_s)
    return known


def held(lines: Sequence[Line], as_of_day: int = DAYS) -> list[int]:
    seen = history(lines, as_of_day)
    return [one.product_row for one in held_products(seen, since(seen), HORIZON)]


@pytest.mark.parametrize("newcomers", [0, 1, 5])
def test_a_product_that_twenty_newcomers_alone_raise_is_held_and_no_other(newcomers: int) -> None:
    lines = shop(newcomers)
    assert held([*lines, *bought(29, 20, lines)]) == [29]


def test_what_is_held_is_told_with_its_figures() -> None:
    lines = [line for line in shop(0) if line[1] != 29]
    seen = history([*lines, *bought(29, 20, lines)])
    (one,) = held_products(seen, since(seen), HORIZON)
    assert (one.product_row, one.newcomers, one.buyers) == (29, 20, 20)
    assert 0.05 < one.expected_share < 0.2  # 20 of the 140 customers of the week are new
    assert "Held: 20 of the 20 customers who bought tea" in one.sentence("tea")


def test_a_couple_of_newcomers_prove_nothing() -> None:
    lines = shop(1)
    assert held([*lines, *bought(29, 2, lines)]) == []


def test_in_a_shop_that_grows_fast_no_product_is_held() -> None:
    for seed in range(5):
        assert held(shop(60, seed)) == []


def test_what_newcomers_always_begin_with_is_not_held() -> None:
    assert held(shop(5, starters=1)) == []


def test_a_shop_that_is_new_holds_nothing() -> None:
    lines = [line for line in shop(0) if line[2] < 6]
    assert held([*lines, *bought(29, 20, lines, 5.0)], as_of_day=6) == []


def test_a_product_that_draws_newcomers_is_held_for_one_horizon_and_not_for_ever() -> None:
    lines = shop(0)
    lines += bought(29, 20, lines, DAYS - 1.0)
    assert held(lines) == [29]
    assert held(lines, DAYS + HORIZON) == []


def test_honest_shops_hold_a_product_in_one_night_of_many() -> None:
    assert sum(bool(held(shop(4, seed))) for seed in range(40)) <= 2


def test_whoever_is_heard_of_now_is_new_whatever_date_their_purchases_have() -> None:
    lines = shop(1)
    fakes = bought(29, 20, lines, 20.0)
    seen = history([*lines, *fakes])
    known = since(seen)
    assert held_products(seen, known, HORIZON) == []
    known[[customer for customer, *_ in fakes]] = (DAYS - 1) * DAY_S
    assert [one.product_row for one in held_products(seen, known, HORIZON)] == [29]


def test_what_newcomers_bought_of_it_is_left_out_and_nothing_else() -> None:
    lines = shop(1)
    fakes = bought(29, 20, lines)
    seen = history([*lines, *fakes, (fakes[0][0], 3, DAYS - 1.0)])
    found = without_held(seen, since(seen), HORIZON, [HeldProduct(29, 20, 25, 0.1)])
    of_newcomers = {line[0] for line in [*lines, *fakes]} - {
        line[0] for line in lines if line[2] < DAYS - HORIZON
    }
    left_out = sum(line[1] == 29 and line[0] in of_newcomers for line in [*lines, *fakes])
    assert left_out >= 20
    assert len(seen) - len(found) == left_out
    assert (found.n_customers, found.n_products) == (seen.n_customers, seen.n_products)
    assert without_held(seen, since(seen), HORIZON, []) is seen
