"""The best k of a row of scores, in one fixed order: by score, ties by product row."""

import numpy as np

from models.arrays import FloatArray, IntArray


def top_k(scores: FloatArray, k: int) -> IntArray:
    """The k best columns of each row.

    Args:
        scores: shape (n, m), float32; NaN and -inf stand for "never".
        k: how many, at least 1.
    Returns:
        shape (n, k), int32, best first, ties by the lower column; -1 where a row has fewer than k scores.
    """
    n = len(scores)
    best = np.full((n, k), -1, np.int32)
    for row in range(n):
        line = scores[row]
        able = np.flatnonzero(line > -np.inf)  # False for NaN too
        if len(able) > k:
            values = line[able]
            threshold = np.partition(values, len(able) - k)[len(able) - k]
            able = able[values >= threshold]  # all ties of the last place, so that the order below decides
        order = np.lexsort((able, -line[able]))[:k]
        best[row, : len(order)] = able[order]
    return best
