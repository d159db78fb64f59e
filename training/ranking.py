"""From scores to lists: each customer's best k, filled up with popular products, block by block."""

from typing import Any

import numpy as np
from scipy import sparse

from models.arrays import BoolArray, IntArray
from models.base import Model
from models.top_k import top_k

BLOCK_CELLS = 16_000_000  # 64 MB of float32 scores at a time


def rank(
    model: Model[Any],
    rows: IntArray,
    k: int,
    *,
    fill: IntArray,
    owned: sparse.csr_array | None = None,
    hidden: BoolArray | None = None,
) -> IntArray:
    """The lists that customers would see.

    Args:
        model: fitted.
        rows: customer rows, shape (n,).
        k: length of the lists.
        fill: product rows, most popular first: they follow where the model has fewer opinions than k.
        owned: customers x products; what has an entry is left out for that customer.
        hidden: shape (n_products,); what is left out for everyone.
    Returns:
        shape (n, k), int32, best first, distinct; -1 only where fewer than k products are left.
    """
    lists = [np.empty((0, k), np.int32)]
    if hidden is not None:
        fill = fill[~hidden[fill]]
    for block in blocks(rows, model.n_products_):
        scores = model.score(block)
        if hidden is not None:
            scores[:, hidden] = np.nan
        if owned is not None:
            theirs = owned[block]
            scores[np.repeat(np.arange(len(block)), np.diff(theirs.indptr)), theirs.indices] = np.nan
        best = top_k(scores, k)
        for place in np.flatnonzero(best[:, -1] < 0):
            mine = owned[[block[place]]].indices if owned is not None else np.empty(0, np.int32)
            best[place] = _filled(best[place], fill, mine)
        lists.append(best)
    return np.concatenate(lists)


def blocks(rows: IntArray, n_products: int) -> list[IntArray]:
    """Rows cut so that one block's scores stay within BLOCK_CELLS."""
    size = max(1, BLOCK_CELLS // max(1, n_products))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _filled(best: IntArray, fill: IntArray, owned: IntArray) -> IntArray:
    k = len(best)
    own = best[best >= 0]
    able = fill[: k + len(own) + len(owned)]
    able = able[~np.isin(able, own) & ~np.isin(able, owned)]
    line = np.full(k, -1, np.int32)
    joined = np.concatenate([own, able])[:k]
    line[: len(joined)] = joined
    return line
