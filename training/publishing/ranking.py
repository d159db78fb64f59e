"""From scores to lists: each customer's best k, filled up with popular products, block by block."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from models.arrays import BoolArray, FloatArray, IntArray
from models.base import Model
from models.numerics.top_k import top_k

BLOCK_CELLS = 16_000_000  # 64 MB of float32 scores at a time


class Ranked(NamedTuple):
    """Lists of customers with their probabilities.

    Attributes:
        rows: of the customers, shape (n,).
        lists: as `rank_each` returns them.
        probability: shape of `lists`, float32; NaN where the model had no opinion, as of what fills them up;
            None from a model that knows no probabilities.
    """

    rows: IntArray
    lists: IntArray
    probability: FloatArray | None


def rank_each(
    model: Model[Any],
    rows: IntArray,
    k: int,
    *,
    fill: IntArray,
    without: Sequence[sparse.csr_array | None],
) -> list[IntArray]:
    """The lists that customers would see, of several kinds, scored once: scores cost more than lists.

    Args:
        model: fitted.
        rows: customer rows, shape (n,).
        k: length of the lists.
        fill: product rows, most popular first: they follow where the model has fewer opinions than k.
        without: of each kind, customers x products: what has an entry is left out for that customer.
    Returns:
        of each kind shape (n, k), int32, best first, distinct; -1 only where fewer than k products are left.
    """
    lists = [np.empty((len(rows), k), np.int32) for _ in without]
    start = 0
    for block in blocks(rows, model.n_products_):
        scores = model.score(block)
        for owned, found in zip(without, lists, strict=True):
            found[start : start + len(block)] = _lists(scores, block, k, fill, owned)
        start += len(block)
    return lists


def ranked_blocks(
    model: Model[Any],
    rows: IntArray,
    k: int,
    *,
    fill: IntArray,
    owned: sparse.csr_array,
    hidden: BoolArray | None = None,
) -> Iterator[Ranked]:
    """Lists of one kind with the probability of each place, a block of customers at a time.

    Args:
        model, rows, k, fill: as of `rank_each`.
        owned: left out of the lists of a model of new products, and of what fills them up; else listed.
        hidden: shape (n_products,); what is left out for everyone.
    """
    if hidden is not None:
        fill = fill[~hidden[fill]]
    for block in blocks(rows, model.n_products_):
        scores, probability = model.opinions(block)
        if hidden is not None:
            scores[:, hidden] = np.nan
        best = _lists(scores, block, k, fill, owned if model.is_for_new_only else None)
        if probability is not None:
            found = np.take_along_axis(probability, np.maximum(best, 0), axis=1)
            probability = np.where(best >= 0, found, np.float32(np.nan))
        yield Ranked(block, best, probability)


def as_one(parts: Iterable[Ranked]) -> Ranked:
    """All blocks as one; there must be some."""
    rows, lists, beside = zip(*parts, strict=True)
    known = [each for each in beside if each is not None]
    return Ranked(np.concatenate(rows), np.concatenate(lists), np.concatenate(known) if known else None)


def blocks(rows: IntArray, n_products: int) -> list[IntArray]:
    """Rows cut so that one block's scores stay within BLOCK_CELLS."""
    size = max(1, BLOCK_CELLS // max(1, n_products))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def filled(best: IntArray, fill: IntArray, owned: IntArray) -> IntArray:
    """One list, -1 after its last, with popular products behind it that are neither in it nor owned."""
    k = len(best)
    own = best[best >= 0]
    able = fill[: k + len(own) + len(owned)]
    able = able[~np.isin(able, own) & ~np.isin(able, owned)]
    line = np.full(k, -1, np.int32)
    joined = np.concatenate([own, able])[:k]
    line[: len(joined)] = joined
    return line


def _lists(
    scores: FloatArray, rows: IntArray, k: int, fill: IntArray, owned: sparse.csr_array | None
) -> IntArray:
    if owned is not None:
        theirs = owned[rows]
        scores = scores.copy()
        scores[np.repeat(np.arange(len(rows)), np.diff(theirs.indptr)), theirs.indices] = np.nan
    best = top_k(scores, k)
    for place in np.flatnonzero(best[:, -1] < 0):
        mine = owned[[rows[place]]].indices if owned is not None else np.empty(0, np.int32)
        best[place] = filled(best[place], fill, mine)
    return best
