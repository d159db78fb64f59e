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


def ndcg_of(counts: DoubleArray, is_bought: BoolArray, n_truth: int, k: int) -> float:
    """NDCG@k of a list that is made of some products by what they count; 0 and less aren't listed.

    Args:
        counts, is_bought: shape (n,), of the same products; ties go to the earlier one.
        n_truth: how many products were bought, listed or not.
    """
    best = np.argsort(-counts, kind="stable")[:k]
    hits = np.zeros((1, k), np.bool_)
    hits[0, : len(best)] = is_bought[best] & (counts[best] > 0)
    return float(ndcg(hits, np.array([n_truth]), k)[0])
