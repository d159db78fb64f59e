"""A line with two bends through log odds: drawn where it helps on a window of its own, else left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from models.ranking.calibration import UNCHANGED, Predicted, at_their_level, calibrated, learned_calibration


def simulated(seed: int, *, shift: float = 0.0, slope: float = 1.0, n_customers: int = 400) -> Predicted:
    """Twenty pairs a customer; the truth is `shift + slope` times the log odds that are told."""
    rng = np.random.default_rng(seed)
    told = rng.normal(-2, 1.5, n_customers * 20)
    is_bought = rng.random(len(told)) < expit(shift + slope * told)
    return Predicted(told, is_bought, np.ones(len(told), np.float32), np.repeat(np.arange(n_customers), 20))


def test_probabilities_of_a_line_by_hand() -> None:
    found = calibrated(np.array([0.0, 2.0, -1.0]), UNCHANGED)
    np.testing.assert_allclose(found, [0.5, 1 / (1 + np.exp(-2)), 1 / (1 + np.e)], rtol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(calibrated(np.array([2.0]), (-1.0, 0.5, 0.0, 0.0)), [0.5])


def test_a_line_is_steeper_from_one_in_ten_and_from_even_odds_on() -> None:
    line = (0.5, 1.0, 0.25, 2.0)
    found = calibrated(np.array([-3.0, -np.log(9), -1.0, 0.0, 1.0]), line)
    bent = 0.25 * np.log(9)
    told = [-2.5, 0.5 - np.log(9), -0.5 + 0.25 * (np.log(9) - 1), 0.5 + bent, 1.5 + bent + 0.25 + 2]
    np.testing.assert_allclose(found, expit(told), rtol=1e-6)


def test_probabilities_stay_between_0_and_1() -> None:
    found = calibrated(np.array([-1e6, 1e6]), UNCHANGED)
    assert found[0] > 0
    assert found[1] < 1


def expected(windows: list[Predicted], line: tuple[float, ...] = UNCHANGED) -> float:
    """How much is bought by these probabilities, pairs counting as many as they stand for."""
    return float(sum(window.weight @ calibrated(window.log_odds, line) for window in windows))


@pytest.mark.parametrize(("shift", "slope"), [(0.0, 0.6), (-0.4, 0.7), (0.5, 1.5)])
def test_a_slope_that_is_wrong_in_every_window_is_mended(shift: float, slope: float) -> None:
    windows = [simulated(seed, shift=shift, slope=slope) for seed in range(4)]
    found = learned_calibration(windows)
    assert found[1] == pytest.approx(slope, abs=0.25)
    assert found[2:] == pytest.approx((0, 0), abs=0.5)
    assert expected(windows, found) == pytest.approx(expected(windows), rel=1e-5)


@pytest.mark.parametrize("shift", [-0.33, 0.7])
def test_a_level_that_is_wrong_in_every_window_is_left_since_the_next_one_has_its_own(shift: float) -> None:
    windows = [simulated(seed, shift=shift) for seed in range(4)]
    usual = np.linspace(-5, 1, 61)
    np.testing.assert_allclose(calibrated(usual, learned_calibration(windows)), expit(usual), atol=0.04)


def test_the_level_of_one_odd_week_is_not_followed() -> None:
    """Slopes are wrong in all windows; that one of them sold much more moves no level."""
    odd = [simulated(seed, shift=0.8 if seed == 2 else 0, slope=0.6) for seed in range(5)]
    found = learned_calibration(odd)
    assert found != UNCHANGED
    assert expected(odd, found) == pytest.approx(expected(odd), rel=1e-5)


def test_a_line_at_the_trees_level_by_hand() -> None:
    """Of .75 and .25 one in two is bought. Twice the log odds are .9 and .1: as many, without a shift."""
    told, weight = np.log([3.0, 1 / 3]), np.ones(2, np.float32)
    window = Predicted(told, np.array([True, False]), weight, np.arange(2))
    assert at_their_level([window], (0.7, 2.0, 0.0, 0.0)) == pytest.approx((0, 2, 0, 0), abs=1e-6)
    likely = Predicted(told[:1], np.array([True]), weight[:1], np.arange(1))  # odds of 9 shall stay 3
    shift = -np.log(3)
    assert at_their_level([likely], (0.7, 2.0, 0.0, 0.0)) == pytest.approx((shift, 2, 0, 0), abs=1e-6)
    assert at_their_level([likely], (0.7, *UNCHANGED[1:])) == pytest.approx(UNCHANGED, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    told=st.lists(st.floats(-12, 12), min_size=1, max_size=20),
    line=st.tuples(st.floats(-3, 3), st.floats(0.1, 3), st.floats(0, 2), st.floats(0, 2)),
    seed=st.integers(0, 99),
)
def test_at_their_level_as_much_is_expected_as_before(
    told: list[float], line: tuple[float, ...], seed: int
) -> None:
    weight = np.random.default_rng(seed).gamma(1, 5, len(told)).astype(np.float32) + 0.01
    window = Predicted(np.array(told), np.zeros(len(told), np.bool_), weight, np.arange(len(told)))
    found = at_their_level([window], line)
    assert found[1:] == line[1:]
    assert expected([window], found) == pytest.approx(expected([window]), rel=1e-3)


def test_good_predictions_are_left_as_they_are() -> None:
    """By chance a line gains more than its standard error for one good set in six or so, never much."""
    found = [learned_calibration([simulated(10 * seed + n) for n in range(4)]) for seed in range(12)]
    assert sum(line == UNCHANGED for line in found) >= 8
    usual = np.linspace(-5, 1, 61)  # 95 of 100 pairs are in between
    for line in found:
        np.testing.assert_allclose(calibrated(usual, line), expit(usual), atol=0.03)


def test_trees_that_are_not_sure_enough_where_it_is_likely_are_mended() -> None:
    """Above even odds the truth is twice as far out: a line alone would go by the many below."""
    windows = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        told = rng.normal(-2, 1.5, 60_000)
        is_bought = rng.random(len(told)) < expit(told + np.maximum(told, 0))
        windows.append(
            Predicted(told, is_bought, np.ones(len(told), np.float32), np.repeat(np.arange(3000), 20))
        )
    found = learned_calibration(windows[:4])
    assert found == pytest.approx((0, 1, 0, 1), abs=0.3)
    likely = calibrated(windows[4].log_odds, found)
    promised = likely >= 0.7
    assert windows[4].is_bought[promised].mean() == pytest.approx(likely[promised].mean(), abs=0.03)


def test_fewer_than_three_windows_change_nothing() -> None:
    distorted = [simulated(seed, slope=0.5) for seed in range(3)]
    assert learned_calibration(distorted[:2]) == learned_calibration([]) == UNCHANGED
    assert learned_calibration(distorted) != UNCHANGED


def test_what_does_not_hold_in_the_first_window_is_not_believed() -> None:
    """The latest one comes first: a slope that was different only before it says nothing of tomorrow."""
    before = [simulated(seed, slope=0.5) for seed in range(3)]
    assert learned_calibration([simulated(7), *before]) == UNCHANGED


def test_one_customer_s_many_pairs_are_one_observation() -> None:
    """All the gain is one customer's: no clear sign over customers, though a clear one over pairs."""
    good = simulated(0)
    is_bought = good.is_bought.copy()
    told = good.log_odds.copy()
    told[:20], is_bought[:20] = -6.0, True
    odd = Predicted(told, is_bought, good.weight, good.customer_row)
    assert learned_calibration([odd, simulated(1), simulated(2)]) == UNCHANGED


def test_a_pair_that_stands_for_three_counts_as_three() -> None:
    """A third of what was unlikely and not bought is here: with its weight nothing needs to change."""
    windows = []
    for seed in range(4):
        whole = simulated(seed, n_customers=1500)
        is_thinned = ~whole.is_bought & (whole.log_odds < -2)
        kept = ~is_thinned | (np.random.default_rng(seed).random(len(whole.log_odds)) < 1 / 3)
        weight = np.where(is_thinned, 3, 1).astype(np.float32)
        windows.append(
            Predicted(whole.log_odds[kept], whole.is_bought[kept], weight[kept], whole.customer_row[kept])
        )
    assert learned_calibration(windows) == pytest.approx(UNCHANGED, abs=0.5)
    light = [Predicted(w.log_odds, w.is_bought, np.ones_like(w.weight), w.customer_row) for w in windows]
    assert learned_calibration(light)[1] < 0.7


@pytest.mark.parametrize("n_customers", [0, 1])
def test_a_first_window_of_one_customer_or_none_decides_nothing(n_customers: int) -> None:
    first = simulated(0, slope=0.5, n_customers=n_customers)
    assert learned_calibration([first, *(simulated(seed, slope=0.5) for seed in (1, 2))]) == UNCHANGED
