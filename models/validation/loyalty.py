"""How much more than by chance customers keep to a word, a category, a brand."""

import numpy as np
from scipy import sparse

from models.arrays import DoubleArray
from models.history.interactions import Interactions
from models.numerics.lot import some_of

LOOKED_AT = 1000  # customers, by lot: enough to tell what is common, and as many in any shop
PRIOR_PURCHASES = 5.0  # expected, and had as often as all features are together
LEAST_RATIO = 1.001  # what nobody keeps to tells products apart where nothing else does


def loyalty(firsts: Interactions, features: sparse.csr_array, seed: int) -> DoubleArray:
    """The log of how many times as often as by chance what customers took up later has a feature again.

    Of each customer the first purchases are split by time: what share of the earlier ones has a feature is
    what they are expected to keep to, against everybody's share of it among the later ones.

    Args:
        firsts: from `first_purchases`.
        features: n_products x n_features, float32, 1 where the product has it.
        seed: of the lot.
    Returns:
        shape (n_features,), at least log(LEAST_RATIO); the same for all where nobody came twice.
    Source:
        a relevance weight, Robertson, Sparck Jones 1976, with what was bought for what is relevant.
    """
    customer, at_s = firsts.customer_row, firsts.at_s
    n = np.bincount(customer, minlength=firsts.n_customers)
    middle = np.cumsum(n) - n + np.maximum(n - 1, 0) // 2
    is_later = (
        at_s > at_s[np.minimum(middle, len(at_s) - 1)][customer] if len(at_s) else np.zeros(0, np.bool_)
    )
    rows = some_of(np.unique(customer[is_later]), LOOKED_AT, seed)
    is_asked = np.isin(customer, rows)
    earlier = sparse.csr_array(firsts.only(is_asked & ~is_later).matrix()[rows] @ features, dtype=np.float64)
    later = sparse.csr_array(firsts.only(is_asked & is_later).matrix()[rows] @ features, dtype=np.float64)
    n_later = np.bincount(customer[is_later], minlength=firsts.n_customers)[rows]
    liked = sparse.csr_array(sparse.diags_array(1 / (n[rows] - n_later)) @ earlier)
    share = later.sum(axis=0) / max(n_later.sum(), 1)
    expected = (n_later @ liked) * share
    had = (liked * later).sum(axis=0)
    usual = (had.sum() + PRIOR_PURCHASES) / (expected.sum() + PRIOR_PURCHASES)
    ratio = (had + PRIOR_PURCHASES * usual) / (expected + PRIOR_PURCHASES)
    kept: DoubleArray = np.log(np.maximum(ratio, LEAST_RATIO))
    return kept
