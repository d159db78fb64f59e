"""What is bought together: cosine between products over customers, by implicit's exact neighbour search."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import product
from typing import ClassVar, Self

import numpy as np
from implicit.nearest_neighbours import ItemItemRecommender
from scipy import sparse

from models.arrays import AnyIntArray, FloatArray, IntArray, LongArray
from models.base import Model, learned
from models.errors import BadOptionError
from models.history.interactions import Interactions
from models.history.pair_keys import pair_keys
from models.numerics.columns import as_arrays, lines, picked
from models.numerics.decay import decay, half_life_grid
from models.validation.folds import FoldOptions, inner_folds, new_ndcg

UNITS = ("order", "customer")
CUSTOMERS_FOR_ONE, LEAST_CUSTOMERS = 100, 5.0  # a pair takes one customer in a hundred, and five at most
ROUNDED = 1e-3  # of a sum of cosines


@dataclass(frozen=True)
class ItemItemOptions(FoldOptions):
    """Options of `item_item`, beside those of FoldOptions.

    Attributes:
        together: what counts as together: "order" (the same order) or "customer" (the same customer's latest
            products); None: learned, by what finds more of the products that customers had not bought before.
        half_life_days: days after which an own order counts half when a customer is scored; None: learned.
        max_basket: at most this many products of a basket count, the latest ones: bounds the cost.
        neighbours: how many similar products are kept for each product.
        min_customers: of whom a pair must have been bought together, each counting 1 at most; None: one in a
            hundred of the shop's, 5 at most.
    """

    together: str | None = None
    half_life_days: float | None = None
    max_basket: int = 200
    neighbours: int = 50
    min_customers: float | None = None
    n_folds: int = field(default=1, kw_only=True)
    max_customers: int = field(default=500, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.together not in (None, *UNITS):
            raise BadOptionError("together", f"{self.together!r} is none of: {', '.join(UNITS)}")


class ItemItem(Model[ItemItemOptions]):
    """A product scores by its similarity to what the customer bought, lately above all.

    A customer counts for a pair by the cosine between the two products over their own baskets, 1 at most, so
    that nobody makes products alike by many orders; and products that a few alone bought together are not.

    Source: Linden, Smith, York 2003; implicit's exact neighbour search.
    """

    name: ClassVar[str] = "item_item"
    revision: ClassVar[int] = 2
    options_type: ClassVar[type] = ItemItemOptions
    learnt: ClassVar[tuple[str, ...]] = (
        "similar_",
        "similarity_",
        "own_indptr_",
        "own_product_",
        "own_weight_",
    )

    # Shape (n_products, neighbours), product rows, most similar first, -1 where there are fewer.
    similar_: IntArray
    similarity_: FloatArray  # shape (n_products, neighbours), cosine, 0 where there are fewer
    own_indptr_: LongArray  # shape (n_customers + 1,)
    own_product_: IntArray
    own_weight_: FloatArray  # decayed counts
    _table: sparse.csr_array | None = None  # of similar_ and similarity_, made when first asked for

    def fit(self, interactions: Interactions) -> Self:
        options = self._learned(interactions)
        if options.min_customers is None:
            options = replace(options, min_customers=_usual_least(interactions))
        self.options_ = options
        self._count(interactions, learned(options.half_life_days))
        held = baskets(interactions, options)
        self.similar_, self.similarity_ = _neighbours(
            held, options.neighbours, learned(options.min_customers)
        )
        self._table = None
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for products that are no neighbour of anything the customer bought."""
        self.check_fitted()
        own = lines(self.own_indptr_, self.own_product_, self.own_weight_, self.n_products_, rows)
        scores = picked(own @ self._similarity_matrix(), products)
        scores[scores <= 0] = np.nan
        return scores

    def _learned(self, interactions: Interactions) -> ItemItemOptions:
        """The options with `together`, then `half_life_days`, by what finds more on the folds."""
        options = self.options
        grid = half_life_grid(interactions.span_days)
        middle = options.half_life_days or grid[len(grid) // 2]
        best = replace(options, together=options.together or UNITS[-1], half_life_days=middle)
        if None not in (options.together, options.half_life_days):
            return best
        units = [options.together] if options.together else UNITS
        half_lives = [options.half_life_days] if options.half_life_days else grid[1::3] or grid
        ndcg: dict[ItemItemOptions, float] = defaultdict(float)
        for fold, unit in product(inner_folds(interactions, options), units):
            trial = ItemItem(replace(best, together=unit)).fit(fold.history)
            for days in half_lives:
                trial._count(fold.history, days)
                ndcg[replace(best, together=unit, half_life_days=days)] += new_ndcg(fold, trial.score)
        return max(ndcg, key=lambda choice: ndcg[choice]) if ndcg else best

    def _count(self, interactions: Interactions, half_life_days: float) -> None:
        """What each customer bought, decayed."""
        own = interactions.matrix(decay(interactions.age_days, half_life_days))
        self.own_indptr_, self.own_product_, self.own_weight_ = as_arrays(own)
        self.n_products_ = interactions.n_products

    def _similarity_matrix(self) -> sparse.csr_array:
        """Products x products: row i holds the neighbours of i."""
        if self._table is None:
            held = self.similar_ >= 0
            indptr = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
            shape = (self.n_products_, self.n_products_)
            self._table = sparse.csr_array((self.similarity_[held], self.similar_[held], indptr), shape=shape)
        return self._table


def baskets(interactions: Interactions, options: ItemItemOptions) -> sparse.csr_array:
    """Baskets x products, at most `max_basket` in each: the latest, ties by product row.

    A product that is in n baskets of a customer has 1 / sqrt(n) in each: the inner product of two columns is
    the sum, over the customers, of the cosine between the two in their baskets.
    """
    unit = interactions.customer_row if options.together == "customer" else interactions.order_row
    order = np.lexsort((interactions.product_row, -interactions.at_s, unit))
    unit, held, customer = unit[order], interactions.product_row[order], interactions.customer_row[order]
    key = pair_keys(unit, held, interactions.n_products)
    latest = np.sort(np.unique(key, return_index=True)[1])  # the first of each product is its latest
    basket = np.unique(unit[latest], return_inverse=True)[1]
    starts = np.searchsorted(basket, np.arange(basket.max(initial=-1) + 1))
    is_kept = np.arange(len(basket)) - starts[basket] < options.max_basket
    basket, held, customer = basket[is_kept], held[latest][is_kept], customer[latest][is_kept]
    pair = pair_keys(customer, held, interactions.n_products)
    _, of_pair, times = np.unique(pair, return_inverse=True, return_counts=True)
    values = (1 / np.sqrt(times[of_pair])).astype(np.float32)
    return sparse.csr_array((values, (basket, held)), shape=(len(starts), interactions.n_products))


def _usual_least(interactions: Interactions) -> float:
    """How many customers a pair takes: two that one customer bought say nothing, but in a tiny shop."""
    return min(interactions.n_buyers / CUSTOMERS_FOR_ONE, LEAST_CUSTOMERS)


def _neighbours(
    held: sparse.csr_array, n_neighbours: int, min_customers: float
) -> tuple[IntArray, FloatArray]:
    """The most similar products of each, itself left out, ties by product row.

    Which of those that tie for the last place are kept is implicit's choice, always the same. Of the first
    n_neighbours those stay that enough customers bought together.

    Args:
        held: from `baskets`: the squared length of a column is how many customers bought the product.
    """
    n_products = held.shape[1]
    similar = np.full((n_products, n_neighbours), -1, np.int32)
    similarity = np.zeros((n_products, n_neighbours), np.float32)
    customers = np.bincount(held.indices, held.data.astype(np.float64) ** 2, n_products)
    least = min_customers - ROUNDED
    held = held.copy()  # without what too few bought to be alike to anything
    held.data[customers[held.indices] < least] = 0
    held.eliminate_zeros()
    if not held.nnz:
        return similar, similarity
    # 0 threads stands for all cores: neighbours of each product are found apart. A cosine is the inner
    # product of columns of length 1; implicit's own class for it warns of a conversion of its own making.
    recommender = ItemItemRecommender(K=n_neighbours + 1, num_threads=0)
    length = np.sqrt(customers)
    columns = sparse.csr_matrix(
        (held.data / length[held.indices], held.indices, held.indptr), shape=held.shape
    )
    recommender.fit(columns, show_progress=False)
    found = sparse.csr_array(recommender.similarity)
    found.sort_indices()
    row = np.repeat(np.arange(n_products), np.diff(found.indptr))
    apart = (found.indices != row) & (found.data > 0)  # product 0 has a cell too much where others have fewer
    apart &= found.data * length[row] * length[found.indices] >= least
    row, other, cosine = row[apart], found.indices[apart], found.data[apart]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    value = np.zeros((n_products, n_neighbours + 1), np.float32)
    value[row, place] = cosine
    column = np.full(value.shape, -1, np.int32)
    column[row, place] = other
    order = np.argsort(-value, axis=1, kind="stable")[:, :n_neighbours]  # ties stay in order of product row
    similar = np.take_along_axis(column, order, axis=1)
    similarity = np.take_along_axis(value, order, axis=1)
    return similar, similarity
