"""How much of a product's score is left so long after its purchase."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.session import SessionFigures, left_after

USUAL = SessionFigures()


@given(days=st.floats(0, 1000), more=st.floats(0, 100), interval=st.floats(0, 400) | st.just(float("nan")))
def test_what_is_left_never_falls_with_time(days: float, more: float, interval: float) -> None:
    now, later = (
        left_after(after, interval, USUAL.steps_back, USUAL.half_life) for after in (days, days + more)
    )
    assert 1 - USUAL.steps_back - 1e-9 <= now <= later <= 1
    assert left_after(0, interval, USUAL.steps_back, USUAL.half_life) == pytest.approx(1 - USUAL.steps_back)


def test_half_of_what_stepped_back_is_made_up_in_a_48th_of_the_interval() -> None:
    assert left_after(1, 48, USUAL.steps_back, USUAL.half_life) == pytest.approx(1 - 0.65 / 2)
    assert left_after(2, 48, USUAL.steps_back, USUAL.half_life) == pytest.approx(1 - 0.65 / 4)
