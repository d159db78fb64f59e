"""Two arms compared, with answers worked out by hand and intervals that cover."""

from math import sqrt

import numpy as np
import pytest

from experiments.specification import Metric
from experiments.statistics.effects import (
    TAIL,
    Effect,
    holm,
    lean,
    of_ces,
    of_means,
    of_nps,
    of_ratios,
    recoded,
)
from experiments.statistics.measures import Sequence, guard_state
from models.arrays import DoubleArray


def test_means_differ_as_welch_says() -> None:
    found = of_means(np.array([11.0, 12.0, 13.0, 14.0]), np.array([13.0, 15.0, 17.0, 19.0]))
    assert found is not None
    assert (found.control, found.treatment, found.difference) == (12.5, 16.0, 3.5)
    assert found.variance == pytest.approx((5 / 3) / 4 + (20 / 3) / 4)  # 2.08333
    assert found.statistic == pytest.approx(2.42487, abs=1e-5)
    assert (found.low, found.high) == pytest.approx((3.5 - 2.829, 3.5 + 2.829), abs=1e-3)
    assert found.relative == pytest.approx(0.28)


def test_a_ratio_has_the_delta_methods_variance() -> None:
    # Clicks 1, 3 over views 2, 4: ratio 2/3; residuals 1 - 4/3, 3 - 8/3: +-1/3, variance 2/9; over 9 * 2.
    found = of_ratios(
        (np.array([1.0, 3.0]), np.array([2.0, 4.0])), (np.array([1.0, 4.0]), np.array([2.0, 4.0]))
    )
    assert found is not None
    assert found.control == pytest.approx(2 / 3)
    assert found.treatment == pytest.approx(5 / 6)
    # The other side: residuals 1 - 5/3, 4 - 10/3: +-2/3, variance 8/9; both over 9 and 2.
    assert found.variance == pytest.approx((2 / 9 + 8 / 9) / 9 / 2)


def test_what_customers_did_before_takes_its_part_of_the_variance_away() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(10, 3, (2, 4000))
    after = before + rng.normal(0, 3, (2, 4000)) + np.array([[0.0], [0.3]])
    plain, explained = of_means(*after), of_means(*after, before=(before[0], before[1]))
    assert plain is not None
    assert explained is not None
    assert explained.variance / plain.variance == pytest.approx(0.5, abs=0.03)
    assert explained.difference == pytest.approx(0.3, abs=0.25)


def test_a_difference_leans_by_its_third_cumulant() -> None:
    # Around their means -1, -1, 2 and 0, 0, 0, 0, 0, 0: mean square 6 / 9, mean cube 6 / 9.
    treatment, control = np.array([0.0, 0.0, 3.0]), np.ones(6)
    assert lean(control, treatment) == pytest.approx(
        (6 / 9) ** -0.5 * (1 / 3 - 1 / 6) / (1 / 3 + 1 / 6) ** 0.5
    )
    assert lean(treatment, control) == pytest.approx(-lean(control, treatment))
    assert lean(np.ones(3), treatment) == 0
    assert lean(np.ones(5), np.ones(4)) == lean(np.array([1.0]), treatment) == 0


@pytest.mark.parametrize("n_treatment", [200, 400])
def test_skewed_figures_of_unequal_arms_are_taken_for_lower_as_often_as_they_lean(n_treatment: int) -> None:
    draw = np.random.default_rng(7)
    sides = [draw.exponential(size=(10_000, n)) for n in (4 * n_treatment, n_treatment)]
    variance = sum(side.var(axis=1, ddof=1) / side.shape[1] for side in sides)
    z = (sides[1].mean(axis=1) - sides[0].mean(axis=1)) / np.sqrt(variance)
    leans = float(np.mean([lean(*pair) for pair in zip(*(side[:500] for side in sides), strict=True)]))
    assert leans > 0.05
    assert np.mean(z < -1.96) == pytest.approx(0.025 + TAIL * leans, abs=0.005)  # .0018 is by chance
    assert np.mean(z > 1.96) == pytest.approx(0.025 - TAIL * leans, abs=0.005)


def test_a_score_is_promoters_less_detractors_with_the_variance_of_both_together() -> None:
    control = np.array([10.0, 9.0, 8.0, 7.0, 6.0, 0.0, 9.0, 8.0, 9.0, 3.0])  # 4 promoters, 3 detractors
    assert recoded(control).mean() == pytest.approx(10)
    treatment = np.array([10.0] * 6 + [8.0] * 2 + [2.0] * 2)  # 6 and 2
    found = of_nps(control, treatment)
    assert found is not None
    assert (found.control, found.treatment) == pytest.approx((10, 40))
    # 100^2 (p + d - (p - d)^2) / (n - 1): (0.7 - 0.01) and (0.8 - 0.16), over 9
    assert found.variance == pytest.approx(1e4 * (0.69 + 0.64) / 9)
    assert found.relative is None


def test_ease_has_newcombes_interval() -> None:
    # Newcombe 1998, case (a): 56 of 70 against 48 of 80: difference .2, 95 % from .0524 to .3339
    control, treatment = np.array([7.0] * 48 + [4.0] * 32), np.array([5.0] * 56 + [1.0] * 14)
    found = of_ces(control, treatment)
    assert found is not None
    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_a_ratio_that_everybody_of_one_side_has_is_compared_all_the_same() -> None:
    """A control that never falls back; half of the treatment's customers do, with one of two answers."""
    never, answers, half = np.zeros(4), np.full(4, 2.0), np.array([1.0, 0.0, 1.0, 0.0])
    found = of_ratios((never, answers), (half, answers))
    assert found is not None
    assert (found.control, found.treatment) == (0.0, 0.25)
    # One in eight answers of all: six residuals of -1/4 and two of 3/4, variance 1.5/7; over 2 answers
    # squared and 4 customers, on each side.
    assert found.variance == pytest.approx(1.5 / 7 / 4 / 4 * 2)
    assert found.low == pytest.approx(0.25 - 1.959964 * sqrt(found.variance))
    turned = of_ratios((half, answers), (never, answers))
    assert turned is not None
    assert (turned.difference, turned.variance) == (-found.difference, pytest.approx(found.variance))
    assert of_ratios((never, answers), (never, answers + 1)) is None
    assert of_ratios((never, never), (half, answers)) is None


def test_a_small_side_where_nothing_happened_yet_is_not_taken_for_one_where_nothing_can() -> None:
    """Of 10,000 customers who are asked once, ten are hit by chance, one of them in a control of a tenth."""
    lot, n_control = np.random.default_rng(0), 1000
    hits = lot.random((500, 10_000)) < 0.001
    once = np.ones(10_000)
    found = [
        of_ratios((one[:n_control], once[:n_control]), (one[n_control:], once[n_control:]))
        for one in hits.astype(float)
    ]
    assert sum(each is not None and each.statistic > 1.645 for each in found) <= 25


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_where_nothing_can_be_said_nothing_is(values: list[float]) -> None:
    side = np.array(values)
    assert of_means(side, side) is None
    assert of_nps(side, side) is None
    assert of_ces(side, side) is None
    assert of_ratios((side, side), (side, side)) is None


def test_an_equal_pair_differs_by_nothing_and_has_a_variance() -> None:
    side = np.array([1.0, 2.0, 3.0])
    found = of_means(side, side)
    assert found is not None
    assert (found.difference, found.statistic, found.p) == (0, 0, 1)
    assert found.variance == pytest.approx(2 / 3)


def test_a_control_near_zero_has_no_relative_effect() -> None:
    rng = np.random.default_rng(2)
    found = of_means(rng.normal(0.01, 1, 50), rng.normal(1, 1, 50))
    assert found is not None
    assert found.relative is None


def test_several_questions_are_corrected_by_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def nps(rng: np.random.Generator, n: int) -> DoubleArray:
    return rng.choice([0.0, 8.0, 10.0], n, p=[0.25, 0.4, 0.35])


def ces(rng: np.random.Generator, n: int) -> DoubleArray:
    return rng.choice([3.0, 6.0], n, p=[0.35, 0.65])


@pytest.mark.parametrize(("draw", "compare"), [(nps, of_nps), (ces, of_ces)])
def test_intervals_of_surveys_cover_as_often_as_they_say(draw, compare) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(4)
    found = [compare(draw(rng, 120), draw(rng, 150)) for _ in range(600)]
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.97


@pytest.mark.parametrize(("answers", "state"), [(99, "open"), (100, "harmful")])
def test_a_survey_of_few_answers_is_no_guardrail_yet(answers: int, state: str) -> None:
    nps = Metric(name="nps", role="guardrail", kind="nps", margin=5)
    worse = Effect(100, answers, 40.0, 10.0, -30.0, -40.0, -20.0, None, None, None, 0.0, 25.0)
    assert guard_state(nps, worse, Sequence(-50.0, -10.0)) == state
    means = Metric(name="units_per_customer", role="guardrail", kind="mean", margin=0.1)
    assert guard_state(means, worse, Sequence(-50.0, -10.0)) == "harmful"


@pytest.mark.parametrize("of", ["means", "means with CUPED", "ratios"])
def test_a_mean_that_is_nothing_beside_its_error_has_a_difference_and_no_share(of: str) -> None:
    """A purchase and its return: variances of 1 on both sides, so an error of sqrt(1/3 + 1/3) around 2."""
    control, treatment = np.array([1.0, -1.0, 1e-6]), np.array([1.0, 2.0, 3.0])
    some, per = np.array([1.0, 1.0, 4.0]), np.ones(3)
    effect = {
        "means": lambda: of_means(control, treatment),
        "means with CUPED": lambda: of_means(control, treatment, before=(some, some[[0, 2, 1]])),
        "ratios": lambda: of_ratios((control, per), (treatment, per)),
    }[of]()
    assert effect is not None
    assert (effect.control, effect.treatment) == pytest.approx((0, 2), abs=1e-5)
    assert (effect.relative, effect.relative_low, effect.relative_high) == (None, None, None)
    assert effect.low == pytest.approx(2 - 1.96 * np.sqrt(2 / 3), abs=1e-4)
    assert effect.statistic == pytest.approx(2 / np.sqrt(2 / 3), abs=1e-4)


def test_what_is_lost_in_rounding_varies_in_no_ratio() -> None:
    """5 less of 10^12 is below what a variance of such figures can hold: it came out below 0."""
    control = np.array([0.0, 1e12, 0.0]), np.array([0.0, 1.0, 0.0])
    treatment = np.array([1e12, -5.0, 1e12, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
    for sides in ((control, treatment), (treatment, control)):
        assert of_ratios(*sides) is None
    small, great = (np.zeros(22), np.zeros(22)), (np.zeros(26), np.zeros(26))
    small[0][[8, 17]], small[1][17] = 10.0, 1.0
    great[0][[12, 15, 24, 25]], great[1][12] = (1e12, 10.0, 1e-9, 10.0), 1.0
    assert of_ratios(small, great) is None
