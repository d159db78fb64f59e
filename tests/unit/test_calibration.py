"""Judged probabilities: figures worked out by hand, simulated perfect ones, ties and empty cases."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arrays import AnyArray
from training.evaluation.calibration import JudgedPairs, Kept, judge, judge_window, keep_rate
from training.evaluation.reliability import N_BARS, N_BINS, Ratio, observed_over_expected, reliability, wilson


def simulated(seed: int, n_customers: int, *, times: float = 1.0) -> JudgedPairs:
    """Five products each; what is bought follows `times` the probability that is told."""
    rng = np.random.default_rng(seed)
    p = np.sort(rng.beta(0.5, 2.0, (n_customers, 5)), axis=1)[:, ::-1] / max(1.0, times)
    is_bought = rng.random(p.shape) < p * times
    customer = np.repeat(np.arange(n_customers), 5)
    rank = np.tile(np.arange(5), n_customers)
    return JudgedPairs(seed, p.ravel(), is_bought.ravel(), customer, rank, np.arange(n_customers))


def bools(*values: int) -> AnyArray:
    return np.array(values, np.bool_)


def test_ece_and_brier_of_two_groups_by_hand() -> None:
    p = np.array([0.2] * 5 + [0.6] * 5)
    found = reliability(p, bools(1, 1, 0, 0, 0, 1, 1, 1, 1, 0))
    assert found is not None
    assert [part.mean_p for part in found.bins] == pytest.approx([0.2, 0.6])
    assert [(part.observed, part.count) for part in found.bins] == [(0.4, 5), (0.8, 5)]
    assert found.ece == pytest.approx(0.2)
    assert found.brier == pytest.approx((2 * 0.8**2 + 3 * 0.2**2 + 4 * 0.4**2 + 0.6**2) / 10)
    assert found.brier_base == pytest.approx(0.6 * 0.4)
    assert found.expected == pytest.approx(4.0)
    assert (found.observed, found.count) == (6, 10)
    assert sum(found.bars) == 10
    assert found.bars[4] == 5
    # mean distance of a normal: sqrt(2 / pi) x (sqrt(5 x .16) + sqrt(5 x .24)) / 10
    assert found.ece_by_chance == pytest.approx(0.797885 * (0.894427 + 1.095445) / 10, rel=1e-5)


def test_the_interval_of_a_share_is_wilsons() -> None:
    low, high = wilson(np.array([1, 0, 10]), np.array([10, 10, 10]))
    assert low == pytest.approx([0.0179, 0.0, 0.7225], abs=1e-4)
    assert high == pytest.approx([0.4042, 0.2775, 1.0], abs=1e-4)


def test_bins_are_tenths_and_the_top_one_is_halved_while_it_is_large() -> None:
    p = np.arange(8_000) / 8_000
    found = reliability(p, np.zeros(8_000, np.bool_))
    assert found is not None
    assert [part.count for part in found.bins] == [*([800] * 9), 400, 200, 200]
    assert found.bins[-1].low == 7_800 / 8_000


def test_equal_probabilities_are_never_torn_apart() -> None:
    p = np.array([0.1] * 25 + [0.5] * 70 + [0.9] * 5)
    found = reliability(p, np.zeros(100, np.bool_))
    assert found is not None
    assert [part.count for part in found.bins] == [25, 75]  # the top tenth begins among the 0.5
    for one, next_one in zip(found.bins, found.bins[1:], strict=False):
        assert one.high < next_one.low


def test_all_probabilities_equal_make_one_bin() -> None:
    found = reliability(np.full(50, 0.25), bools(*([1] * 10 + [0] * 40)))
    assert found is not None
    assert len(found.bins) == 1
    assert found.ece == pytest.approx(0.05)


def test_without_purchases_the_error_is_the_mean_probability() -> None:
    found = reliability(np.array([0.1, 0.2, 0.3]), bools(0, 0, 0))
    assert found is not None
    assert found.ece == pytest.approx(0.2)
    assert found.brier_base == 0


def test_perfect_probabilities_have_a_small_error_and_false_ones_a_large_one() -> None:
    perfect = judge([simulated(1, 8_000)])
    assert perfect.pairs is not None
    assert perfect.pairs.ece < 0.008
    assert perfect.pairs.ece < perfect.pairs.ece_chance_limit
    low = judge([simulated(1, 8_000, times=1.5)])
    assert low.pairs is not None
    assert low.pairs.ece > 5 * low.pairs.ece_chance_limit
    ratio = low.windows[0].ratio
    assert ratio is not None
    assert ratio.low < 1.5 < ratio.high
    assert ratio.high - ratio.low < 0.15


def test_the_error_by_chance_is_that_of_perfect_probabilities_on_average() -> None:
    drawn = [judge([simulated(seed, 400)]).first for seed in range(200)]
    found = [(part.ece, part.ece_by_chance, part.ece_chance_limit) for part in drawn if part is not None]
    mean, by_chance, _ = np.mean(found, axis=0)
    assert mean == pytest.approx(by_chance, rel=0.06)
    assert 0.01 <= np.mean([ece > limit for ece, _, limit in found]) <= 0.1


def test_observed_over_expected_takes_customers_as_the_independent_pieces() -> None:
    p, customer = np.full(8, 0.5), np.repeat([7, 9], 4)
    # customer 7 bought 4 where 2 were expected, customer 9 none: distances 2 and -2
    found = observed_over_expected(p, bools(1, 1, 1, 1, 0, 0, 0, 0), customer)
    assert found is not None
    assert (found.mean, found.low) == (1.0, 0.0)
    assert found.high == pytest.approx(1 + 1.959964 * np.sqrt(8) / 4)


def test_what_came_as_expected_is_no_surer_than_chance_lets_it_be() -> None:
    # customers who each bought just as much as expected: that is luck, the variance is that of 8 even chances
    p, customer = np.full(8, 0.5), np.repeat([7, 9], 4)
    found = observed_over_expected(p, bools(1, 1, 0, 0, 1, 1, 0, 0), customer)
    reach = 1.959964 * np.sqrt(8 * 0.25) / 4
    assert found == Ratio(1.0, pytest.approx(1 - reach), pytest.approx(1 + reach))


def test_that_nobody_bought_where_one_purchase_was_expected_may_be_chance() -> None:
    found = observed_over_expected(np.full(100, 0.01), np.zeros(100, np.bool_), np.arange(100))
    assert found is not None
    assert found.mean == 0
    assert found.high > 1


def test_keep_rates_by_hand() -> None:
    p = np.array([0.9, 0.8, 0.75, 0.6, 0.4])
    bought = bools(1, 0, 1, 1, 0)  # shares kept from the top: 1/1, 1/2, 2/3, 3/4, 3/5
    found = keep_rate(p, bought, 10, 0.7)
    assert (found.best_share, found.best_threshold) == (0.4, 0.6)
    assert (found.trusted_share, found.trusted_observed) == (0.3, 2 / 3)
    assert keep_rate(p, bought, 10, 0.5).best_share == 0.5
    assert keep_rate(p, bought, 10, 0.8).best_share == 0.1


def test_first_products_of_equal_probability_are_promised_together() -> None:
    found = keep_rate(np.array([0.5, 0.5, 0.5]), bools(1, 0, 0), 3, 0.7)
    assert (found.best_share, found.best_threshold) == (0.0, None)
    assert keep_rate(np.array([0.5, 0.5, 0.5]), bools(1, 1, 0), 4, 0.5).best_share == 3 / 4


def test_a_probability_at_the_level_is_trusted_in_its_own_precision() -> None:
    found = keep_rate(np.array([0.7, 0.69], np.float32), bools(1, 0), 2, 0.7)
    assert found.trusted_share == 0.5


def test_without_first_products_nobody_can_be_promised_anything() -> None:
    empty = np.empty(0)
    found = keep_rate(empty, empty.astype(np.bool_), 5, 0.7)
    assert found == Kept(0.7, 0.0, None, 0.0, None, None, None)


def test_only_first_products_of_active_customers_are_promised() -> None:
    pairs = JudgedPairs(
        as_of_s=0,
        p=np.array([0.9, 0.3, 0.8, 0.6]),
        is_bought=bools(1, 1, 0, 1),
        customer=np.array([1, 1, 2, 3]),
        rank=np.array([0, 1, 0, 0]),
        active=np.array([1, 3, 4, 5]),  # 2 is not active; 4 and 5 have no list
    )
    found = judge([pairs])
    assert found.pairs is not None
    assert found.first is not None
    assert (found.pairs.count, found.first.count, found.active) == (4, 2, 4)
    assert found.first.expected == pytest.approx(1.5)
    assert [kept.trusted_share for kept in found.kept] == [1 / 4, 1 / 4, 2 / 4]


def test_a_customer_counts_in_each_judged_window() -> None:
    one, other = simulated(1, 50), simulated(2, 50)
    both = judge([other, one])
    assert both.active == 100
    assert both.first is not None
    assert both.first.count == 100
    assert [window.as_of_s for window in both.windows] == [1, 2]
    assert both.windows[0] == judge_window(one)


def test_earlier_windows_are_compared_and_not_pooled() -> None:
    now, before = simulated(2, 50), judge_window(simulated(1, 50))
    found = judge([now], [before])
    assert found.windows == [before, judge_window(now)]
    assert found.pairs == judge([now]).pairs


def test_nothing_judged_gives_no_figures_and_no_error() -> None:
    none = np.empty(0)
    rows = none.astype(np.int32)
    found = judge([JudgedPairs(0, none, none.astype(np.bool_), rows, rows, rows)])
    assert (found.pairs, found.first, found.active, found.kept) == (None, None, 0, [])
    assert found.windows[0].ratio is None
    idle = judge([replace(simulated(1, 20), active=rows)])
    assert idle.first is None
    assert idle.kept == []
    assert idle.pairs is not None


def test_probabilities_of_0_expect_nothing() -> None:
    pairs = simulated(1, 10)
    found = judge_window(replace(pairs, p=np.zeros(50)))
    assert found.ratio is None
    assert found.ece == pytest.approx(pairs.is_bought.mean())


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        replace(simulated(1, 1), p=np.array([0.5, bad, 0.5, 0.5, 0.5]))


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        replace(simulated(1, 2), p=np.array([0.5]))


def test_two_first_products_of_one_customer_are_refused() -> None:
    with pytest.raises(ValueError, match="two first products"):
        judge([replace(simulated(1, 2), rank=np.zeros(10, np.int64))])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.randoms())
def test_figures_stay_in_their_bounds_and_do_not_depend_on_order(
    told: list[tuple[float, bool]], random: Random
) -> None:
    found = reliability(*_columns(told))
    assert found is not None
    assert 0 <= found.ece <= 1
    assert 0 <= found.brier <= 1
    assert found.brier_base <= 0.25
    assert len(found.bins) <= N_BINS
    assert len(found.bars) == N_BARS
    assert sum(part.count for part in found.bins) == sum(found.bars) == len(told)
    for part in found.bins:
        assert part.observed_low <= part.observed + 1e-12
        assert part.observed <= part.observed_high + 1e-12
        assert part.low <= part.mean_p + 1e-12
        assert part.mean_p <= part.high + 1e-12
    random.shuffle(told)
    again = reliability(*_columns(told))
    assert again is not None
    assert again.ece == pytest.approx(found.ece)
    assert [part.count for part in again.bins] == [part.count for part in found.bins]
    rates = [keep_rate(*_columns(told), len(told), level) for level in (0.5, 0.7, 0.8)]
    assert [rate.best_share for rate in rates] == sorted((r.best_share for r in rates), reverse=True)
    for rate in rates:
        if rate.trusted_observed is not None and rate.trusted_observed >= rate.level:
            assert rate.best_share >= rate.trusted_share


def _columns(told: list[tuple[float, bool]]) -> tuple[AnyArray, AnyArray]:
    return np.array([p for p, _ in told]), np.array([b for _, b in told], np.bool_)
