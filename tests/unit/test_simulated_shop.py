"""What made-up customers do follows from what they like, by numbers that can be worked out."""

from datetime import UTC, datetime, timedelta
from math import exp

import numpy as np
import polars as pl
import pytest

from experiments.simulation.days import dated
from experiments.simulation.shop import Bought, SimulatedShop

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
# anna: 2 orders in 10 days, 2 lines each, half of them milk; ben: one order, of bread.
LINES = [("anna", 0, "milk", 0), ("anna", 0, "bread", 0), ("anna", 1, "milk", 10), ("anna", 1, "tea", 10)]
PURCHASES = pl.DataFrame(
    [(name, order, product, FIRST + timedelta(days=day), 3.0) for name, order, product, day in LINES]
    + [("ben", 2, "bread", FIRST, 1.0)],
    schema=["customer_id", "order_row", "product_id", "purchased_at", "unit_price"],
    orient="row",
)


def shop(lift: float = 0.0) -> SimulatedShop:
    return SimulatedShop(PURCHASES, most=10, lift=lift, seed=1)


def test_a_taste_is_what_was_bought_and_how_often() -> None:
    anna = shop().tastes["anna"]
    assert (anna.own["milk"], anna.lines, anna.visits_a_day) == (0.5, 2.0, 0.2)
    assert shop().tastes["ben"].visits_a_day == pytest.approx(0.1)
    assert shop().prices == {"milk": 3.0, "bread": 2.0, "tea": 3.0}


def test_a_click_comes_of_the_own_liking_and_of_everybodys() -> None:
    liking = 0.8 * 0.5 + 0.2 * 2 / 5
    assert shop().clicks(shop().tastes["anna"], "milk") == pytest.approx(1 - exp(-2 * liking))
    assert shop().clicks(shop().tastes["anna"], "nothing") == 0


def test_equal_lists_are_worth_the_same_and_a_lift_raises_what_comes_of_the_list_alone() -> None:
    lists = {"control": lambda _: ["milk", "tea"], "new": lambda _: ["milk", "tea"]}
    assert shop().truth(lists, control="control", days=7, most=10) == {"control": 0, "new": 0}
    one, anna = shop(0.4), shop().tastes["anna"]
    plain, lifted = (one.worth(anna, ["milk"], has_lift=has_lift) for has_lift in (False, True))
    from_list = 3.0 * one.clicks(anna, "milk") * 0.5
    assert lifted - plain == pytest.approx(0.4 * from_list)
    assert plain - from_list == pytest.approx(2 * 0.5 * (0.5 * 3 + 0.25 * 2 + 0.25 * 3))


def test_visits_click_on_average_what_a_list_is_expected_to_get() -> None:
    one, rng = shop(), np.random.default_rng(2)
    anna, shown = one.tastes["anna"], ["milk", "tea", "bread"]
    visits = [one.visit(anna, shown, has_lift=False, rng=rng) for _ in range(20_000)]
    assert np.mean([len(visit.clicked) for visit in visits]) == pytest.approx(
        one.clicks_of(anna, shown), rel=0.02
    )


def test_visits_earn_on_average_what_a_list_is_worth() -> None:
    one, rng = shop(0.4), np.random.default_rng(1)
    anna, shown = one.tastes["anna"], ["milk", "tea", "bread"]
    visits = [one.visit(anna, shown, has_lift=True, rng=rng) for _ in range(20_000)]
    earned = [sum(one.prices[line.product_id] for line in visit.bought) for visit in visits]
    assert np.mean(earned) == pytest.approx(one.worth(anna, shown, has_lift=True), rel=0.03)
    assert all(
        set(visit.bought) <= set(visit.clicked) | {Bought(name, 0) for name in one.prices} for visit in visits
    )


def test_an_exposure_gets_the_simulated_time_and_others_are_left_out() -> None:
    exposures = pl.DataFrame({"request_id": ["b", "x", "a"], "at_ms": [900, 901, 902]})
    found = dated(exposures, {"a": 1, "b": 2})
    assert found.to_dict(as_series=False) == {"request_id": ["a", "b"], "at_ms": [1, 2]}
