"""Empirical Bayes: what was seen of a few drawn to what was seen of their kind, as far as the data say."""

from collections.abc import Sequence

import numpy as np

from models.arrays import AnyIntArray, DoubleArray

LEAST_BETWEEN = 1e-3  # of the variance of one observation: groups are never taken for exactly alike
STRENGTHS = (0.01, 1000.0)  # of a prior, in events


def shrunk_means(
    means: DoubleArray, weights: DoubleArray, variance: float, parents: Sequence[AnyIntArray] = ()
) -> tuple[DoubleArray, DoubleArray]:
    """Each unit's mean drawn to its group's, that to the group's own group's, and so up to that of all.

    mean' = z mean + (1 - z) group's mean', with z = weight / (weight + variance / variance between units).
    The variance between the units of a group is estimated from the data, anew on each level.

    Args:
        means: of what was observed of each unit; anything where the weight is 0.
        weights: how many observations there are of each unit.
        variance: of one observation around its unit's mean.
        parents: the group of each unit, then the group of each of those, rows from 0; the last groups belong
            to one that holds all, which need not be given.
    Returns:
        the units' means, shape of `means`; a unit that was not observed has its group's mean. NaN if nothing
        was observed. Then the variance of each unit's true mean around that, the mean of all taken for known.
    Source: Bühlmann, Straub 1970 (one level and its estimator); Jewell 1975 (levels).
    """
    if not len(means):
        return means, means
    group = parents[0] if parents else np.zeros(len(means), np.int64)
    n_groups = len(parents[1]) if len(parents) > 1 else int(group.max()) + 1
    variance = max(variance, 1e-9)
    between = max(_variance_between(means, weights, variance, group, n_groups), LEAST_BETWEEN * variance)
    credibility = weights / (weights + variance / between)
    group_weights = np.bincount(group, credibility, n_groups)
    with np.errstate(invalid="ignore"):  # nothing was observed of a group
        group_means = np.bincount(group, credibility * means, n_groups) / group_weights
    group_variances = np.zeros(n_groups)
    if parents:
        group_means, group_variances = shrunk_means(
            np.nan_to_num(group_means), group_weights, between, parents[1:]
        )
    rest = 1 - credibility
    shrunk = credibility * means + rest * group_means[group]
    return shrunk, rest * between + rest**2 * group_variances[group]


def _variance_between(
    means: DoubleArray, weights: DoubleArray, variance: float, group: AnyIntArray, n_groups: int
) -> float:
    """Of the units' true means within their groups; unbiased, so it may come out below 0."""
    total = np.maximum(np.bincount(group, weights, n_groups), 1e-12)
    centre = np.bincount(group, weights * means, n_groups) / total
    n_units = np.bincount(group[weights > 0], minlength=n_groups)
    spread = (weights * (means - centre[group]) ** 2).sum() - variance * np.maximum(n_units - 1, 0).sum()
    size = (total - np.bincount(group, weights**2, n_groups) / total).sum()
    return float(spread / size) if size > 1e-9 else 0.0


def variance_within(values: DoubleArray, unit: AnyIntArray, means: DoubleArray, one_more: float) -> float:
    """Of one observation around its unit's mean, with one more observation whose square is `one_more`.

    That one speaks where no unit was observed twice: what is thought of the variance before.
    """
    spread = ((values - means[unit]) ** 2).sum() + one_more
    n_units = np.count_nonzero(np.bincount(unit))
    return float(spread / (len(values) - n_units + 1))


def shrunk_rates(events: DoubleArray, days: DoubleArray, parents: Sequence[AnyIntArray] = ()) -> DoubleArray:
    """Each unit's events a day, drawn to its group's rate, and so up to that of all.

    rate' = (events + a) / (days + a / group's rate'): the posterior mean of a Poisson rate under a gamma
    prior. Its strength a, in events, is estimated on each level: the more units differ beyond chance from
    what their groups let expect, the lower it is.

    Args:
        events, days: of each unit: how many happened in how long.
        parents: as for `shrunk_means`.
    Returns:
        shape of `events`, above 0.
    Source: moments of the negative binomial; with one level the Poisson-gamma model of Bhagat et al. 2018.
    """
    if not len(events):
        return events
    group = parents[0] if parents else np.zeros(len(events), np.int64)
    n_groups = len(parents[1]) if len(parents) > 1 else int(group.max()) + 1
    group_events, group_days = np.bincount(group, events, n_groups), np.bincount(group, days, n_groups)
    if parents:
        rates = shrunk_rates(group_events, group_days, parents[1:])
    else:
        rates = (group_events + 0.5) / np.maximum(group_days, 1e-9)
    expected = rates[group] * days
    excess = ((events - expected) ** 2 - expected).sum()
    strength = np.clip((expected**2).sum() / max(excess, 1e-12), *STRENGTHS)
    return (events + strength) / (days + strength / rates[group])


def shrunk_slope(told: DoubleArray, came: DoubleArray) -> float:
    """How far what was told came true: the slope of `came` on `told`, drawn to 0 as by a prior of 0 ± 1.

    Args:
        told, came: shape (n,), n at least 3.
    Returns:
        from 0 to 1; 0 where all that was told is the same.
    """
    told, came = told - told.mean(), came - came.mean()
    both, square = float(told @ came), float(told @ told)
    if both <= 0:
        return 0.0
    unexplained = float(((came - both / square * told) ** 2).sum()) / (len(told) - 2)
    return min(both / (square + unexplained), 1.0)
