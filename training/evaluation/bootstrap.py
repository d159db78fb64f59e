"""How sure a mean over customers is: percentile intervals from resampled customers."""

from dataclasses import dataclass

import numpy as np

from models.arrays import DoubleArray, IntArray, LongArray

RESAMPLES = 1_000
_BLOCK_CELLS = 4_000_000  # resamples x customers held at once: 32 MB of counts


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval: the 2.5th and 97.5th percentile of resampled means."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Resampled:
    """Means of several columns over the same resampled customers.

    Attributes:
        mean: shape (m,), of the sample itself.
        draws: shape (resamples, m); column differences are paired, since each draw uses the same customers.
    """

    mean: DoubleArray
    draws: DoubleArray

    def interval(self, column: int) -> Interval:
        return _interval(self.mean[column], self.draws[:, column])

    def difference(self, column: int, other: int) -> Interval:
        """Of column minus other, paired by customer."""
        return _interval(self.mean[column] - self.mean[other], self.draws[:, column] - self.draws[:, other])


def resample(
    values: DoubleArray, customers: IntArray, folds: IntArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> Resampled:
    """Means over customers, and the same means over customers drawn with replacement.

    Whole customers are drawn: one who occurs in several folds comes with all of them, since the weeks of one
    customer are alike and are not independent evidence. The mean is over the customers of each fold, then
    over the folds.

    Args:
        values: shape (n, m), finite; a row is a customer in a fold, a column a figure. n at least 1.
        customers: shape (n,), whose row it is.
        folds: shape (n,), in which fold.
        resamples: how many draws.
        seed: same seed, same draws.
    Source: Efron, Tibshirani 1993, ch. 13 (percentile interval); Davison, Hinkley 1997, 3.8 (clusters).
    """
    clusters, cluster_of = np.unique(customers, return_inverse=True)
    n_clusters = len(clusters)
    parts = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_CELLS // n_clusters)
    draws = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, block):
        n = min(block, resamples - start)
        drawn = rng.integers(0, n_clusters, (n, n_clusters)) + np.arange(n)[:, None] * n_clusters
        counts = np.bincount(drawn.ravel(), minlength=n * n_clusters).reshape(n, n_clusters)
        draws[start : start + n] = _mean_of_folds(values, counts[:, cluster_of].astype(np.float64), parts)
    return Resampled(_mean_of_folds(values, np.ones((1, len(values))), parts)[0], draws)


def mean_interval(values: DoubleArray, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Mean of one figure over the customers of one fold, shape (n,), with its interval."""
    whole = np.arange(len(values), dtype=np.int32)
    return resample(values[:, None], whole, np.zeros_like(whole), resamples=resamples, seed=seed).interval(0)


def paired_difference(
    values: DoubleArray, others: DoubleArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Mean of `values - others` over the same customers of one fold, both shape (n,), with its interval."""
    return mean_interval(values - others, resamples=resamples, seed=seed)


def _mean_of_folds(values: DoubleArray, weights: DoubleArray, parts: list[LongArray]) -> DoubleArray:
    """Weighted mean in each fold, then over the folds in which somebody was drawn. Shape (n draws, m)."""
    totals = np.zeros((len(weights), values.shape[1]))
    n_folds = np.zeros((len(weights), 1))
    for rows in parts:
        weight = weights[:, rows]
        drawn = weight.sum(axis=1, keepdims=True)
        totals += (weight @ values[rows]) / np.maximum(drawn, 1)
        n_folds += drawn > 0
    means: DoubleArray = totals / n_folds
    return means


def _interval(mean: float, draws: DoubleArray) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(float(mean), float(low), float(high))
