"""How good ranked lists are, per customer, from which of their places were hits."""

import numpy as np

from models.arrays import AnyIntArray, BoolArray, DoubleArray


def ndcg(hits: BoolArray, n_truth: AnyIntArray, k: int) -> DoubleArray:
    """Normalised discounted cumulative gain of each list.

    Args:
        hits: shape (n, K), K >= k; whether the product at that place was bought.
        n_truth: shape (n,), how many products were bought, each > 0.
        k: the places that count.
    Returns:
        shape (n,), float64 in [0, 1]; 1 if the first min(k, n_truth) places are all hits.
    Source: Järvelin, Kekäläinen 2002, with the ideal over min(k, n_truth) places.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(n_truth, k) - 1]
    gain: DoubleArray = hits[:, :k] @ discounts
    figure: DoubleArray = gain / ideal
    return figure
