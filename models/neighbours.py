"""What customers with a similar history buy: nearest neighbours between customers, oneself among them."""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, DoubleArray, FloatArray, IntArray, LongArray
from models.base import Model, learned
from models.bounds import within
from models.history.interactions import Interactions
from models.numerics.columns import as_arrays, picked
from models.numerics.decay import half_life_grid, lasting_decay
from models.validation.folds import FoldOptions, InnerFold, balanced_ndcg, chosen, inner_folds

BLOCK_CELLS = 4_000_000  # similarities that are held at a time: 16 MB


@dataclass(frozen=True)
class NeighboursOptions(FoldOptions):
    """Options of `neighbours`, beside those of FoldOptions.

    Attributes:
        half_life_days: days after which an order counts half; None: learned, by what finds
            more of what is bought, new products as much as all.
        k: nearest customers who count for each.
        alpha: how the lengths of two profiles divide a similarity: 0 the other's alone, 0.5 cosine, 1 the
            customer's own alone, which prefers those who bought much.
        q: locality: the power of a similarity; large ones listen to the nearest alone.
        prior_orders: orders without the product that every customer is thought to have had beside their own.
        pool: at most this many customers may be neighbours, those with the most orders lately; sets the time.
    """

    half_life_days: float | None = None
    k: int = 100
    alpha: float = 0.5
    q: float = 3.0
    prior_orders: float = 5.0
    pool: int = 10_000
    n_folds: int = field(default=1, kw_only=True)
    max_customers: int = field(default=500, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("alpha", self.alpha, 0, 1)


class Neighbours(Model[NeighboursOptions]):
    """A product scores by its share of orders: the customer's own plus similarity^q times each neighbour's.

    Similarity is the asymmetric cosine between the roots of two customers' shares; to oneself it is 1.

    Source: UP-CF of Faggioli, Polato, Aiolli 2020, with exponential decay for its window of last baskets.
    """

    name: ClassVar[str] = "neighbours"
    options_type: ClassVar[type] = NeighboursOptions
    revision: ClassVar[int] = 2
    learnt: ClassVar[tuple[str, ...]] = ("pool_", "own_indptr_", "own_product_", "own_share_")

    pool_: IntArray  # the customer rows that may be neighbours, rising
    own_indptr_: LongArray  # shape (n_customers + 1,)
    own_product_: IntArray
    own_share_: FloatArray  # share of the customer's decayed orders with the product

    # Made when first asked for: customers x products, and the profiles as products x pool.
    _share: sparse.csr_array | None = None
    _pooled: sparse.csr_array | None = None

    def fit(self, interactions: Interactions) -> Self:
        return self._fit_with(interactions, self._learned(interactions))

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what neither the customer nor a neighbour bought."""
        self.check_fitted()
        width = self.n_products_ if products is None else len(products)
        scores = np.empty((len(rows), width), np.float32)
        share = self._shares()
        for block in self._blocks(len(rows)):
            near, similarity = self.nearest(rows[block])
            held = near >= 0
            indptr = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
            power = similarity[held] ** np.float32(self.options_.q)
            weights = sparse.csr_array((power, near[held], indptr), shape=(len(near), share.shape[0]))
            scores[block] = picked(weights @ share, products) + picked(share[rows[block]], products)
        scores[scores <= 0] = np.nan
        return scores

    def nearest(self, rows: IntArray) -> tuple[IntArray, FloatArray]:
        """The neighbours of a few customers, whose similarities to the whole pool are held meanwhile.

        They are not kept: those of a million customers would take 800 MB, and a night asks about each once
        or twice. Which of those that tie for the last place are found is numpy's choice, always the same.

        Returns:
            customer rows, shape (n, k), k the size of the pool at most, int32, rising, -1 where there are
            fewer; and beside them the similarities, float32, above 0, and 0 where there are fewer.
        """
        self.check_fitted()
        alpha, pool, k = self.options_.alpha, self.pool_, min(self.options_.k, len(self.pool_))
        if self._pooled is None:
            self._pooled = self._profiles_of_pool()
        profile, square = _profile(self._shares()[rows])
        similar = (profile @ self._pooled).toarray()
        similar *= (square**-alpha).astype(np.float32)[:, None]
        similar[rows[:, None] == pool] = 0  # oneself is not among them
        best = np.argpartition(-similar, k - 1, axis=1)[:, :k] if k < len(pool) else np.arange(k)
        best = np.sort(np.broadcast_to(best, (len(rows), k)), axis=1)
        similarity = np.take_along_axis(similar, best, axis=1)
        return np.where(similarity > 0, pool[best], np.int32(-1)), np.maximum(similarity, 0)

    def _blocks(self, n: int) -> list[slice]:
        """Cuts of so many customers that their similarities stay within BLOCK_CELLS."""
        size = max(1, BLOCK_CELLS // max(1, len(self.pool_)))
        return [slice(start, start + size) for start in range(0, n, size)]

    def _shares(self) -> sparse.csr_array:
        if self._share is None:
            shape = (len(self.own_indptr_) - 1, self.n_products_)
            entries = (self.own_share_, self.own_product_, self.own_indptr_)
            self._share = sparse.csr_array(entries, shape=shape)
        return self._share

    def _learned(self, interactions: Interactions) -> NeighboursOptions:
        """The options with the `half_life_days` that finds more on the folds."""
        grid = half_life_grid(interactions.span_days)
        grids = {"half_life_days": list(dict.fromkeys([grid[len(grid) // 2], *grid[1::2]]))}
        return chosen(self.options, grids, inner_folds(interactions, self.options), _balanced_ndcg)

    def _fit_with(self, interactions: Interactions, options: NeighboursOptions) -> Self:
        share, orders = shares(interactions, learned(options.half_life_days), options.prior_orders)
        self.options_, self.n_products_ = options, interactions.n_products
        self.own_indptr_, self.own_product_, self.own_share_ = as_arrays(share)
        pool = np.argsort(-orders, kind="stable")
        self.pool_ = np.sort(pool[: min(options.pool, int((orders > 0).sum()))]).astype(np.int32)
        self._share = self._pooled = None
        return self

    def _profiles_of_pool(self) -> sparse.csr_array:
        """Products x pool: the profiles, divided by their part of the lengths."""
        others, square = _profile(self._shares()[self.pool_])
        length = square ** (self.options_.alpha - 1)
        others.data *= np.repeat(length, np.diff(others.indptr)).astype(np.float32)
        return others.T.tocsr()


def _profile(share: sparse.csr_array) -> tuple[sparse.csr_array, DoubleArray]:
    """The roots of shares, which keep one staple from making everyone alike; and their squared lengths."""
    profile = sparse.csr_array((np.sqrt(share.data), share.indices, share.indptr), shape=share.shape)
    row = np.repeat(np.arange(share.shape[0]), np.diff(share.indptr))
    square = np.bincount(row, profile.data.astype(np.float64) ** 2, share.shape[0])
    return profile, np.maximum(square, 1e-30)


def shares(
    interactions: Interactions, half_life_days: float, prior_orders: float
) -> tuple[sparse.csr_array, FloatArray]:
    """Each customer's share of decayed orders by product, customers x products; and their decayed orders."""
    orders = interactions.decayed_orders(half_life_days)
    share = interactions.matrix(lasting_decay(interactions.age_days, half_life_days))
    share.data /= np.repeat(orders + prior_orders, np.diff(share.indptr)).astype(np.float32)
    return share, orders.astype(np.float32)


def _balanced_ndcg(fold: InnerFold, options: NeighboursOptions) -> float:
    return balanced_ndcg(fold, Neighbours(options)._fit_with(fold.history, options).score)
