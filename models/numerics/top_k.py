"""The best k of a row of scores, in one fixed order: by score, ties by product row."""

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, FloatArray, IntArray

GROUPS = 4  # of columns, for each of the k that are wanted: with more of them fewer columns are left to sort
LEAST_GROUPS = 512  # fewer are no faster
FEW = 128  # columns: to sort them all at once takes less than to look at one row after another


def top_k(scores: FloatArray, k: int) -> IntArray:
    """The k best columns of each row.

    Args:
        scores: shape (n, m), float32; NaN and -inf stand for "never".
        k: how many, at least 1.
    Returns:
        shape (n, k), int32, best first, ties by the lower column; -1 where a row has fewer than k scores.
    """
    if scores.shape[1] <= FEW:
        return _sorted(scores, k)
    best = np.full((len(scores), k), -1, np.int32)
    for row, (line, least) in enumerate(zip(scores, _least(scores, k), strict=True)):
        able = np.flatnonzero(line >= least)  # False for NaN too
        found = _best(able, line[able], k)
        best[row, : len(found)] = found
    return best


def top_k_of_table(table: sparse.csr_array, k: int) -> IntArray:
    """The same of a sparse table, whose entries alone count."""
    best = np.full((table.shape[0], k), -1, np.int32)
    for row in range(len(best)):
        entries = slice(table.indptr[row], table.indptr[row + 1])
        found = _best(table.indices[entries], table.data[entries], k)
        best[row, : len(found)] = found
    return best


def _sorted(scores: FloatArray, k: int) -> IntArray:
    """The same, of few columns."""
    worst_last = np.where(np.isnan(scores), np.inf, -scores)
    order = np.argsort(worst_last, axis=1, kind="stable")[:, :k]
    is_able = np.take_along_axis(worst_last, order, axis=1) < np.inf
    best = np.full((len(scores), k), -1, np.int32)
    best[:, : order.shape[1]] = np.where(is_able, order, -1)
    return best


def _best(columns: AnyIntArray, values: FloatArray, k: int) -> AnyIntArray:
    if len(values) > k:
        threshold = np.partition(values, len(values) - k)[len(values) - k]
        able = values >= threshold  # all ties of the last place, so that the order below decides
        columns, values = columns[able], values[able]
    first: AnyIntArray = columns[np.lexsort((columns, -values))[:k]]
    return first


def _least(scores: FloatArray, k: int) -> FloatArray:
    """What the k best of each row are not below, shape (n,): it spares most columns the sorting.

    It is the k-th best of the bests of groups of columns, each of another column.
    """
    n, m = scores.shape
    groups, lowest = max(GROUPS * k, LEAST_GROUPS), np.finfo(np.float32).min
    if m < 2 * groups:
        return np.full(n, lowest)
    grouped = scores[:, : m // groups * groups].reshape(n, -1, groups)
    bests = np.fmax(np.fmax.reduce(grouped, axis=1), lowest)
    least: FloatArray = np.partition(bests, groups - k, axis=1)[:, groups - k]
    return least
