"""One may look as often as one likes: bounds of group-sequential tests, and sequences."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from experiments.statistics.bounds import Crossing, _Walk, bounds, spent
from experiments.statistics.health import SAMPLE_RATIO
from experiments.statistics.looks import LedgerInMemory, Look, next_look, rounded
from experiments.statistics.power import drift_of
from experiments.statistics.sequences import half_width, ratio_evidence, ratio_p
from models.arrays import DAY_MS

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
LOOK = Look("rec", 1, "revenue", "ranker", 0, 0.5, 1.0)


def test_five_equal_looks_have_the_published_bounds() -> None:
    published = (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)
    assert bounds(FIVE, 0.05) == pytest.approx(published, abs=1e-3)


def test_one_look_is_the_test_that_everybody_knows() -> None:
    assert bounds((1.0,), 0.05) == pytest.approx((1.959964,), abs=1e-5)
    assert spent(1.0, 0.05) == pytest.approx(0.05)
    assert spent(0.0, 0.05) == 0


def test_early_looks_that_can_spend_nothing_have_no_bound() -> None:
    assert bounds((0.01, 1.0), 0.05) == (inf, pytest.approx(1.959964, abs=1e-5))


def test_information_that_does_not_rise_is_a_mistake() -> None:
    for wrong in ((0.5, 0.5), (0.0, 1.0), (0.5, 1.0, 1.1)):
        with pytest.raises(ValueError, match="must rise"):
            bounds(wrong, 0.05)


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=12, unique=True), st.sampled_from([0.05, 0.025, 0.01])
)
def test_whenever_one_looks_no_more_than_alpha_is_spent(places: list[int], alpha: float) -> None:
    information = tuple(place / 200 for place in sorted(places))
    limits = bounds(information, alpha)
    above, below = Crossing(information, limits).under()
    assert above == pytest.approx(below, abs=1e-9)
    assert above + below <= alpha + 1e-6
    if information[-1] == 1:
        assert above + below == pytest.approx(alpha, abs=1e-5)


def test_bounds_hold_in_a_simulation_at_unequal_looks() -> None:
    information = (0.07, 0.31, 0.36, 0.8, 1.0)
    rng = np.random.default_rng(5)
    steps = rng.normal(size=(40_000, 5)) * np.sqrt(np.diff((0.0, *information)))
    statistic = steps.cumsum(axis=1) / np.sqrt(information)
    crossed = (np.abs(statistic) > bounds(information, 0.05)).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.004)


def test_a_drift_of_the_fixed_tests_power_loses_little_of_it() -> None:
    drift = 1.959964 + 0.841621
    above, below = Crossing(FIVE, bounds(FIVE, 0.05), drift).under(drift)
    assert 0.77 < above < 0.80
    assert below < 1e-4


@pytest.mark.parametrize("drift", [-1.0, 0.0, 2.8, 9.0])
def test_under_a_drift_two_looks_are_crossed_as_two_normals_say(drift: float) -> None:
    first, second = limits = (2.5, 2.0)
    both = multivariate_normal(drift * np.sqrt((0.4, 1.0)), [[1, np.sqrt(0.4)], [np.sqrt(0.4), 1]])
    later = both.cdf([first, inf], lower_limit=[-first, second])
    found, _ = Crossing((0.4, 1.0), limits, 9.0).under(drift)
    assert found == pytest.approx(norm.sf(first, drift * np.sqrt(0.4)) + later, abs=1e-6)


def test_to_find_a_drift_the_ways_are_carried_twice_however_many_drifts_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each drift had a walk of its own: a plan of 366 looks took five seconds."""
    passed: list[float] = []
    carry = _Walk.pass_look
    monkeypatch.setattr(_Walk, "pass_look", lambda walk, *at: passed.append(at[1]) or carry(walk, *at))
    drift, information = drift_of(0.049, 0.81, 30), tuple(look / 30 for look in range(1, 31))
    assert len(passed) == 2 * 30
    found, _ = Crossing(information, bounds(information, 0.049), drift).under(drift)
    assert found == pytest.approx(0.81, abs=1e-4)


def taken(before: list[Look], new: Look) -> Look:
    look, _ = next_look(before, new, 0.05)
    assert look is not None
    return look


def test_a_repeated_look_costs_nothing() -> None:
    ledger = LedgerInMemory()
    look, is_new = next_look(ledger.looks("rec", 1), LOOK, 0.05)
    assert look is not None
    assert is_new
    assert look.bound == pytest.approx(bounds((0.5,), 0.05)[0])
    ledger.add([look])
    again, is_new = next_look(
        ledger.looks("rec", 1), Look("rec", 1, "revenue", "ranker", 9 * DAY_MS, 0.5, 3.0), 0.05
    )
    assert (again, is_new) == (look, False)
    ledger.add([look])
    assert len(ledger.looks("rec", 1)) == 1
    assert ledger.looks("rec", 2) == []


def test_more_information_is_another_look_at_the_bound_of_the_whole_path() -> None:
    first = taken([], LOOK)
    second, is_new = next_look([first], Look("rec", 1, "revenue", "ranker", 9 * DAY_MS, 0.75, 3.0), 0.05)
    assert second is not None
    assert is_new
    assert second.bound == pytest.approx(bounds((0.5, 0.75), 0.05)[1])
    assert second.spent == pytest.approx(spent(0.75, 0.05))


def test_a_report_as_of_an_earlier_day_finds_the_look_of_then() -> None:
    first = taken([], LOOK)
    second = taken([first], Look("rec", 1, "revenue", "ranker", 9 * DAY_MS, 0.75, 3.0))
    assert next_look([second, first], Look("rec", 1, "revenue", "ranker", 5 * DAY_MS, 0.6, 2.0), 0.05) == (
        first,
        False,
    )


def test_what_was_seen_later_is_not_known_as_of_an_earlier_day() -> None:
    first = taken([], LOOK)
    before_it = Look("rec", 1, "revenue", "ranker", -5 * DAY_MS, 0.3, 0.1)
    assert next_look([first], before_it, 0.05) == (None, False)


def test_one_day_has_one_look() -> None:
    first = taken([], LOOK)
    later = Look("rec", 1, "revenue", "ranker", DAY_MS - 1, 0.75, 3.0)
    assert next_look([first], later, 0.05) == (first, False)


def test_the_planned_size_is_looked_at_once() -> None:
    assert [rounded(information) for information in (0.9, 0.9995, 1.3)] == [0.9, 1.0, 1.3]
    for information in (1.0, 1.2):
        last = taken([], Look("rec", 1, "revenue", "ranker", 0, information, 1.9))
        later = Look("rec", 1, "revenue", "ranker", 5 * DAY_MS, 2.0, 2.5)
        assert next_look([last], later, 0.05) == (last, False)


@pytest.mark.parametrize("information", [(0.3, 0.6, 0.9, 1.2), (0.9, 1.8), (0.95, 3.0), (1.8,)])
def test_a_last_look_beyond_the_planned_size_spends_what_is_left_and_no_more(
    information: tuple[float, ...],
) -> None:
    found = bounds(information, 0.05)
    assert sum(Crossing(information, found).under()) == pytest.approx(0.05, abs=1e-6)
    rng = np.random.default_rng(3)
    steps = np.diff((0.0, *information))
    score = (rng.normal(size=(200_000, len(steps))) * np.sqrt(steps)).cumsum(axis=1)
    crossed = (np.abs(score / np.sqrt(information)) > found).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.002)


def test_a_sequence_is_as_wide_as_its_formula_by_hand() -> None:
    # r^2 = (-2 ln .05 + ln(-2 ln .05 + 1)) / 100 = (5.99146 + 1.94469) / 100; n r^2 + 1 = 8.93615;
    # sqrt(2 * 8.93615 * ln(2.98934 / .05) / (100 * 7.93615)); times sqrt(.04 * 100)
    assert half_width(0.04, 100, 0.05, 100) == pytest.approx(0.60703, abs=1e-4)
    assert half_width(0.04, 0, 0.05, 100) == inf


def test_a_sequence_misses_the_truth_at_most_as_often_as_it_may() -> None:
    rng = np.random.default_rng(7)
    n = np.arange(1, 1001)
    means = rng.normal(size=(2000, 1000)).cumsum(axis=1) / n
    reach = np.array([half_width(1 / k, k, 0.05, 1000) for k in n])
    missed = (np.abs(means[:, 20:]) > reach[20:]).any(axis=1).mean()
    assert missed <= 0.05


def test_ten_customers_of_ten_on_one_side_are_evidence_worked_out_by_hand() -> None:
    # A uniform prior gives (10,0) the chance 1/11, fair coins 2^-10: odds of 1024/11.
    assert ratio_evidence(np.zeros(10, np.int32), (0.5, 0.5)) == pytest.approx(11 / 1024)
    assert ratio_evidence(np.zeros(0, np.int32), (0.5, 0.5)) == 1
    assert ratio_p((60, 40), (0.5, 0.5)) == pytest.approx(0.0455, abs=1e-4)  # chi-square 4 with 1 df
    assert ratio_p((0, 0), (0.5, 0.5)) == 1


def test_fair_assignments_rarely_look_unfair_and_unfair_ones_soon_do() -> None:
    rng = np.random.default_rng(3)
    fair = [ratio_evidence((rng.random(3000) < 0.5).astype(np.int32), (0.5, 0.5)) for _ in range(400)]
    assert np.mean([p < 0.05 for p in fair]) <= 0.05
    assert np.mean([p < SAMPLE_RATIO for p in fair]) <= 0.01  # such an experiment ends without a verdict
    assert ratio_evidence((rng.random(14_000) < 0.53).astype(np.int32), (0.5, 0.5)) < 1e-4


def test_sequences_get_no_wider_with_customers() -> None:
    widths = [half_width(1 / n, n, 0.05, 1000) for n in range(50, 1000, 50)]
    assert all(later < earlier for earlier, later in pairwise(widths))
