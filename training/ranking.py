"""From scores to lists: each customer's best k, filled up with popular products, block by block."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, BoolArray, FloatArray, IntArray
from models.base import Model, Told
from models.history.pair_keys import places_among
from models.numerics.top_k import top_k


class Opinionated(Protocol):
    """Whoever is asked for lists: a fitted model, or what listens to one."""

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        """See Model."""


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
    model: Opinionated, rows: IntArray, k: int, *, fill: IntArray, without: Sequence[sparse.csr_array | None]
) -> list[IntArray]:
    """The lists that customers would see, of several kinds, scored once: scores cost more than lists.

    Args:
        model: see there.
        rows: customer rows, shape (n,), rising and distinct.
        k: length of the lists.
        fill: product rows, most popular first: they follow where the model has fewer opinions than k.
        without: of each kind, customers x products: what has an entry is left out for that customer.
    Returns:
        of each kind shape (n, k), int32, best first, distinct; -1 only where fewer than k products are left.
    """
    lists = [np.empty((len(rows), k), np.int32) for _ in without]
    start = 0
    for block, products, scores, _ in model.opinions(rows):
        for owned, found in zip(without, lists, strict=True):
            able = scores if owned is None else _not_owned(scores, owned[block], products)
            best = _rows_at(top_k(able, k), products)
            found[start : start + len(block)] = _filled_up(best, block, fill, owned)
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
    sold_out: BoolArray | None = None,
) -> Iterator[Ranked]:
    """Lists of one kind with the probability of each place, a block of customers at a time.

    Args:
        model, k, fill: as of `rank_each`.
        rows: customer rows, rising and distinct.
        owned: left out of the lists of a model of new products, and of what fills them up; else listed.
        hidden: shape (n_products,); what is left out for everyone.
        sold_out: shape (n_products,); what takes half of the k places at most, since it may be back by day,
            unless nothing else is left to fill them.
    """
    if hidden is not None:
        fill = fill[~hidden[fill]]
    if sold_out is not None:
        fill = fill[np.argsort(sold_out[fill], kind="stable")]
    for block, products, scores, probability in model.opinions(rows):
        if hidden is not None:
            scores[:, hidden[products]] = np.nan
        able = _not_owned(scores, owned[block], products) if model.is_for_new_only else scores
        column = top_k(able, k) if sold_out is None else _in_stock_too(able, k, sold_out[products])
        best = _rows_at(column, products)
        beside: FloatArray | None = None
        if probability is not None:
            beside = np.full(best.shape, np.nan, np.float32)
            line, place = np.nonzero(column >= 0)
            beside[line, place] = probability[line, column[line, place]]
        yield Ranked(block, _filled_up(best, block, fill, owned if model.is_for_new_only else None), beside)


def as_one(parts: Iterable[Ranked]) -> Ranked:
    """All blocks as one; there must be some."""
    rows, lists, beside = zip(*parts, strict=True)
    known = [each for each in beside if each is not None]
    return Ranked(np.concatenate(rows), np.concatenate(lists), np.concatenate(known) if known else None)


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


def _rows_at(column: IntArray, products: AnyIntArray) -> IntArray:
    """The products of these columns; -1 stays."""
    return np.append(products, -1).astype(np.int32)[column]


def _not_owned(scores: FloatArray, theirs: sparse.csr_array, products: AnyIntArray) -> FloatArray:
    """The scores, NaN where the same line of `theirs` has an entry for the column's product."""
    line = np.repeat(np.arange(len(scores)), np.diff(theirs.indptr))
    column, is_there = places_among(theirs.indices, products.astype(np.int64))
    others = scores.copy()
    others[line[is_there], column[is_there]] = np.nan
    return others


def _in_stock_too(scores: FloatArray, k: int, sold_out: BoolArray) -> IntArray:
    """As `top_k`, with the best k // 2 at most of the columns that are sold out."""
    column = top_k(scores, k)
    is_out = np.append(sold_out, False)[column]
    crowded = np.flatnonzero(is_out.sum(axis=1) > k // 2)
    if not len(crowded):
        return column
    row, place = np.nonzero(is_out[crowded] & (np.cumsum(is_out[crowded], axis=1) <= k // 2))
    stays = column[crowded[row], place]
    able = np.where(sold_out, np.float32(np.nan), scores[crowded])
    able[row, stays] = scores[crowded[row], stays]
    column[crowded] = top_k(able, k)
    return column


def _filled_up(best: IntArray, rows: IntArray, fill: IntArray, owned: sparse.csr_array | None) -> IntArray:
    """The lists of these customers, those that end too early with `fill` behind."""
    for place in np.flatnonzero(best[:, -1] < 0):
        mine = owned[[rows[place]]].indices if owned is not None else np.empty(0, np.int32)
        best[place] = filled(best[place], fill, mine)
    return best
