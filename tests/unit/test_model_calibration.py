"""A line with two bends through log odds: drawn where it helps on a window of its own, else left out."""

import numpy as np
import pytest
from scipy.special import expit

from models.calibration import UNCHANGED, Predicted, calibrated, learned_calibration


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


@pytest.mark.parametrize(("shift", "slope"), [(0.7, 1.0), (-0.8, 1.0), (0.0, 0.6), (0.5, 1.5)])
def test_distorted_predictions_are_mended(shift: float, slope: float) -> None:
    found = learned_calibration([simulated(seed, shift=shift, slope=slope) for seed in range(4)])
    assert found[:2] == pytest.approx((shift, slope), abs=0.25)
    assert found[2:] == pytest.approx((0, 0), abs=0.5)
    unseen = simulated(9, shift=shift, slope=slope)
    told = calibrated(unseen.log_odds, found)
    assert told.mean() == pytest.approx(unseen.is_bought.mean(), rel=0.08)


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
    distorted = [simulated(seed, shift=2) for seed in range(3)]
    assert learned_calibration(distorted[:2]) == learned_calibration([]) == UNCHANGED
    assert learned_calibration(distorted) != UNCHANGED


def test_what_does_not_hold_in_the_first_window_is_not_believed() -> None:
    """The latest one comes first: a level that was different only before it says nothing of tomorrow."""
    before = [simulated(seed, shift=1.5) for seed in range(3)]
    assert learned_calibration([simulated(7), *before]) == UNCHANGED


def test_one_customer_s_many_pairs_are_one_observation() -> None:
    """All the gain is one customer's: no clear sign over customers, though a clear one over pairs."""
    good = simulated(0)
    is_bought = good.is_bought.copy()
    told = good.log_odds.copy()
    told[:20], is_bought[:20] = -6.0, True
    odd = Predicted(told, is_bought, good.weight, good.customer_row)
    assert learned_calibration([odd, simulated(1), simulated(2)]) == UNCHANGED


def test_a_pair_that_stands_for_ten_counts_as_ten() -> None:
    """A tenth of what was not bought is here: with its weight nothing needs to change."""
    windows = []
    for seed in range(4):
        whole = simulated(seed, n_customers=1500)
        kept = whole.is_bought | (np.random.default_rng(seed).random(len(whole.log_odds)) < 0.1)
        weight = np.where(whole.is_bought, 1, 10).astype(np.float32)
        windows.append(
            Predicted(whole.log_odds[kept], whole.is_bought[kept], weight[kept], whole.customer_row[kept])
        )
    assert learned_calibration(windows) == pytest.approx(UNCHANGED, abs=0.5)
    light = [Predicted(w.log_odds, w.is_bought, np.ones_like(w.weight), w.customer_row) for w in windows]
    assert learned_calibration(light)[0] == pytest.approx(np.log(10), abs=0.3)


@pytest.mark.parametrize("n_customers", [0, 1])
def test_a_first_window_of_one_customer_or_none_decides_nothing(n_customers: int) -> None:
    first = simulated(0, shift=2, n_customers=n_customers)
    assert learned_calibration([first, *(simulated(seed, shift=2) for seed in (1, 2))]) == UNCHANGED
