"""Few observations are drawn to those of their kind; answers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.numerics.shrinkage import shrunk_means, shrunk_rates, shrunk_slope, variance_within

ONE = np.ones(2)


def test_a_mean_is_drawn_half_way_where_units_differ_as_much_as_one_observation_varies() -> None:
    """(10 - 15)^2 + (20 - 15)^2 less one variance of 25, over 2 - 2 / 2: between is 25 too, so z is 1/2.
    What remains unknown of each is half of that."""
    found, variances = shrunk_means(np.array([10.0, 20.0]), ONE, 25.0)
    assert found.tolist() == [12.5, 17.5]
    assert variances.tolist() == [12.5, 12.5]


def test_more_observations_of_a_unit_draw_less() -> None:
    """Weights 3 and 3: spread 3 * 25 * 2 - 25 = 125 over 6 - 18 / 6 = 3; z is 3 / (3 + 25 / (125 / 3))."""
    z = 3 / (3 + 0.6)
    wanted = [10 * z + 15 * (1 - z), 20 * z + 15 * (1 - z)]
    found, variances = shrunk_means(np.array([10.0, 20.0]), 3 * ONE, 25.0)
    np.testing.assert_allclose(found, wanted)
    np.testing.assert_allclose(variances, (1 - z) * 125 / 3)


def test_what_was_not_observed_has_the_mean_of_its_group_and_an_empty_group_that_of_all() -> None:
    """Units 0 and 1 in group 0 as above; 2 in group 0 and 3 in group 1 were never observed."""
    means, weights = np.array([10.0, 20.0, 99.0, 99.0]), np.array([1.0, 1.0, 0.0, 0.0])
    found, variances = shrunk_means(means, weights, 25.0, [np.array([0, 0, 0, 1]), np.zeros(2, np.int64)])
    np.testing.assert_allclose(found, [12.5, 17.5, 15, 15])
    np.testing.assert_allclose(variances, [12.5, 12.5, 25, 25], rtol=0.002)  # groups: a thousandth of 25


def test_groups_that_differ_clearly_keep_their_units_apart() -> None:
    """Ten units around 10 in one group, ten around 50 in the other, a hundred observations of each group."""
    means = np.array([9.0, 11.0] * 5 + [49.0, 51.0] * 5)
    group = np.repeat([0, 1], 10)
    found, _ = shrunk_means(
        np.append(means, 0.0), np.append(np.full(20, 10.0), 0.0), 1.0, [np.append(group, 1)]
    )
    assert abs(found[20] - 50) < 0.1  # as its group, not as all


def test_units_all_alike_are_drawn_almost_to_one() -> None:
    found, _ = shrunk_means(np.array([10.0, 10.0, 10.0]), np.ones(3), 4.0)
    np.testing.assert_allclose(found, 10.0)


def test_nothing_observed_is_nan_and_nothing_at_all_is_empty() -> None:
    found, variances = shrunk_means(np.zeros(3), np.zeros(3), 1.0, [np.array([0, 1, 1])])
    assert np.isnan(found).all()
    assert (variances > 0).all()
    assert [len(found) for found in shrunk_means(np.empty(0), np.empty(0), 1.0)] == [0, 0]
    assert len(shrunk_rates(np.empty(0), np.empty(0))) == 0


def test_the_variance_within_counts_one_more_observation() -> None:
    """1 and 3 around 2, 8 alone: 1 + 1 and the square of the one more, 16, over 3 values - 2 units + 1."""
    values, means = np.array([1.0, 3.0, 8.0]), np.array([2.0, 0, 0, 0, 8.0])
    assert variance_within(values, np.array([0, 0, 4]), means, 16.0) == (1 + 1 + 16) / 2


def test_a_rate_is_drawn_to_the_rate_of_all_by_what_units_differ_beyond_chance() -> None:
    """0 and 8 in 10 days each: .425 a day of all, 4.25 expected of each; 4.25^2 + 3.75^2 - 8.5 in excess."""
    strength = 2 * 4.25**2 / (4.25**2 + 3.75**2 - 8.5)
    wanted = [strength / (10 + strength / 0.425), (8 + strength) / (10 + strength / 0.425)]
    np.testing.assert_allclose(shrunk_rates(np.array([0.0, 8.0]), np.array([10.0, 10.0])), wanted)


def test_units_that_differ_by_chance_alone_have_nearly_the_rate_of_all() -> None:
    events = np.random.default_rng(0).poisson(3.0, 4000).astype(np.float64)
    found = shrunk_rates(events, np.full(4000, 30.0))
    np.testing.assert_allclose(found, 0.1, rtol=0.12)


def test_a_group_without_events_is_slower_than_one_with_and_both_are_above_0() -> None:
    events = np.array([0.0] * 50 + [2.0] * 50)
    found = shrunk_rates(events, np.full(100, 10.0), [np.repeat([0, 1], 50)])
    assert (found > 0).all()
    assert found[:50].max() < 0.1 * found[50:].min()


def test_no_event_anywhere_is_a_rate_near_0() -> None:
    found = shrunk_rates(np.zeros(100), np.full(100, 30.0), [np.arange(100) % 3])
    assert (found > 0).all()
    assert found.max() < 0.001


@given(
    st.lists(st.tuples(st.floats(0, 1e3), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30),
    st.floats(0, 1e4),
)
def test_a_shrunk_mean_lies_between_the_lowest_and_the_highest_observed(
    units: list[tuple[float, int, int]], variance: float
) -> None:
    means, weights, group = (np.array(column) for column in zip(*units, strict=True))
    found, _ = shrunk_means(means.astype(np.float64), weights.astype(np.float64), variance, [group])
    observed = means[weights > 0]
    if not len(observed):
        assert np.isnan(found).all()
        return
    assert (found >= observed.min() * (1 - 1e-9) - 1e-9).all()
    assert (found <= observed.max() * (1 + 1e-9) + 1e-9).all()


@pytest.mark.parametrize("days", [0.0, 1e-3, 1e5])
def test_rates_are_finite_and_above_0_however_long_the_time(days: float) -> None:
    found = shrunk_rates(np.array([0.0, 3.0, 1000.0]), np.full(3, days), [np.array([0, 0, 1])])
    assert np.isfinite(found).all()
    assert (found > 0).all()


@pytest.mark.parametrize(
    ("came", "slope"),
    [
        ([10, 10.5, 11], 0.5),  # as told but half, for certain
        ([-0.5, -1, 1.5], 2 / (2 + 1.5)),  # a slope of 1; .5, -1 and .5 beside it, with one to spare
        ([1, 3, 5], 1),  # more than was told isn't believed
        ([1, 0, -1], 0),
    ],
)
def test_what_came_true_by_halves_is_half_believed(came: list[float], slope: float) -> None:
    assert shrunk_slope(np.array([-1.0, 0, 1]), np.array(came)) == pytest.approx(slope)
    assert shrunk_slope(np.ones(3), np.array(came)) == 0
