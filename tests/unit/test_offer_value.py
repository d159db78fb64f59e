"""The value of an offer by hand, and what must hold of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.offers.value import expected_cost, expected_value, uplift

CHANCES, MONEY = st.floats(0, 1), st.floats(0, 100)


def value(probability: float, anyway: float, margin: float, discount: float) -> float:
    return expected_value(uplift(probability, anyway), expected_cost(probability, discount), margin)


def test_value_by_hand() -> None:
    """One in ten redeems; a quarter of them had bought anyway: 0.1 x (0.75 x 2 - 0.5)."""
    assert value(0.1, 0.25, 2.0, 0.5) == pytest.approx(0.1)
    assert uplift(0.1, 0.25) == pytest.approx(0.075)


def test_a_coupon_for_what_is_bought_anyway_only_costs() -> None:
    assert value(0.5, 1.0, 3.0, 1.0) == -0.5


@given(probability=CHANCES, anyway=CHANCES, more=CHANCES, margin=MONEY, discount=MONEY)
def test_the_likelier_it_is_bought_anyway_the_less_an_offer_is_worth(
    probability: float, anyway: float, more: float, margin: float, discount: float
) -> None:
    rather = min(1.0, anyway + more)
    assert value(probability, rather, margin, discount) <= value(probability, anyway, margin, discount)
    assert 0 <= uplift(probability, rather) <= uplift(probability, anyway) <= probability
