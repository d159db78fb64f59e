"""From scores to lists: each customer's best k, filled up with popular products, block by block."""

from typing import Any

import numpy as np
from scipy import sparse

from models.arrays import IntArray
from models.base import Model
from models.top_k import top_k

BLOCK_CELLS = 16_000_000  # 64 MB of float32 scores at a time


def rank(
    model: Model[Any], rows: IntArray, k: int, *, fill: IntArray, owned: sparse.csr_array | None = None
) -> IntArray:
    """The lists that customers would see.

    Args:
        model: fitted.
        rows: customer rows, shape (n,).
        k: length of the lists.
        fill: product rows, most popular first: they follow where the model has fewer opinions than k.
        owned: customers x products; what has an entry is left out for that customer.
    Returns:
        shape (n, k), int32, best first, distinct; -1 only where fewer than k products are left.
    """
    lists = [np.empty((0, k), np.int32)]
    for block in blocks(rows, owned.shape[1] if owned is not None else len(fill)):
        scores = model.score(block)
        if owned is not None:
            mine = owned[block]
            scores[np.repeat(np.arange(len(block)), np.diff(mine.indptr)), mine.indices] = np.nan
        best = top_k(scores, k)
        for place in np.flatnonzero(best[:, -1] < 0):
            hidden = owned[[block[place]]].indices if owned is not None else np.empty(0, np.int32)
            best[place] = _filled(best[place], fill, hidden)
        lists.append(best)
    return np.concatenate(lists)


def blocks(rows: IntArray, n_products: int) -> list[IntArray]:
    """Rows cut so that one block's scores stay within BLOCK_CELLS."""
    size = max(1, BLOCK_CELLS // max(1, n_products))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _filled(best: IntArray, fill: IntArray, hidden: IntArray) -> IntArray:
    k = len(best)
    own = best[best >= 0]
    able = fill[: k + len(own) + len(hidden)]
    able = able[~np.isin(able, own) & ~np.isin(able, hidden)]
    line = np.full(k, -1, np.int32)
    joined = np.concatenate([own, able])[:k]
    line[: len(joined)] = joined
    return line
