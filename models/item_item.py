"""What is bought together: cosine between products over baskets, from implicit's exact neighbour search."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self
from warnings import catch_warnings, simplefilter

import numpy as np
from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning
from scipy import sparse

from models.arrays import FloatArray, IntArray, LongArray
from models.base import Model
from models.decay import decay, half_life_grid
from models.interactions import Interactions
from models.validation import InnerFold, inner_folds, new_ndcg


@dataclass(frozen=True)
class ItemItemOptions:
    """Options of `item_item`.

    Attributes:
        together: what counts as together: "order" (the same order) or "customer" (the same customer's latest
            products); None: learned, by what finds more of the products that customers had not bought before.
        half_life_days: after so many days an own order counts half when a customer is scored; None: learned.
        max_basket: at most so many products of a basket count, the latest ones: bounds the cost.
        neighbours: how many similar products are kept for each product.
        horizon_days: length of the fold to learn on.
        max_customers: at most so many customers are judged in the fold.
        seed: of the sample of customers.
    """

    together: str | None = None
    half_life_days: float | None = None
    max_basket: int = 200
    neighbours: int = 50
    horizon_days: float = 7.0
    max_customers: int = 500
    seed: int = 0


class ItemItem(Model[ItemItemOptions]):
    """A product scores by its similarity to what the customer bought, lately above all.

    Source: Linden, Smith, York 2003; implicit's CosineRecommender on binary baskets.
    """

    name: ClassVar[str] = "item_item"
    options_type: ClassVar[type] = ItemItemOptions
    learnt: ClassVar[tuple[str, ...]] = (
        "similar_",
        "similarity_",
        "own_indptr_",
        "own_product_",
        "own_weight_",
    )

    similar_: (
        IntArray  # shape (n_products, neighbours), product rows, most similar first, -1 where there are fewer
    )
    similarity_: FloatArray  # shape (n_products, neighbours), cosine, 0 where there are fewer
    own_indptr_: LongArray  # shape (n_customers + 1,)
    own_product_: IntArray
    own_weight_: FloatArray  # decayed counts

    def fit(self, interactions: Interactions) -> Self:
        self.options_ = self._learned(interactions)
        self._fit_with(interactions, self.options_)
        return self

    def score(self, rows: IntArray) -> FloatArray:
        """See Model; NaN for products that are no neighbour of anything the customer bought."""
        self.check_fitted()
        own = sparse.csr_array(
            (self.own_weight_, self.own_product_, self.own_indptr_),
            shape=(len(self.own_indptr_) - 1, self.n_products_),
        )[rows]
        scores = (own @ self._similarity_matrix()).toarray()
        scores[scores <= 0] = np.nan
        return scores  # type: ignore[no-any-return]

    def _learned(self, interactions: Interactions) -> ItemItemOptions:
        """The options with `together` and `half_life_days` chosen on the last horizon."""
        options = self.options
        grid = half_life_grid(interactions.span_days)
        folds = inner_folds(
            interactions,
            options.horizon_days,
            n_folds=1,
            max_customers=options.max_customers,
            seed=options.seed,
        )
        units = [options.together] if options.together else ["order", "customer"]
        middle = options.half_life_days or grid[len(grid) // 2]
        best = self._best([replace(options, together=unit, half_life_days=middle) for unit in units], folds)
        half_lives = [options.half_life_days] if options.half_life_days else grid[1::3] or grid
        return self._best([replace(best, half_life_days=days) for days in half_lives], folds)

    def _best(self, choices: list[ItemItemOptions], folds: list[InnerFold]) -> ItemItemOptions:
        """What finds most new products on the last horizon; without a fold the last of the choices."""
        if len(choices) == 1 or not folds:
            return choices[-1]
        return choices[int(np.argmax([self._found(folds[0], choice) for choice in choices]))]

    def _found(self, fold: InnerFold, options: ItemItemOptions) -> float:
        trial = ItemItem(options)
        trial._fit_with(fold.history, options)
        return new_ndcg(fold, trial.score)

    def _fit_with(self, interactions: Interactions, options: ItemItemOptions) -> None:
        self.options_ = options
        self.n_products_ = interactions.n_products
        assert options.half_life_days is not None
        own = interactions.matrix(decay(interactions.age_days, options.half_life_days))
        self.own_indptr_ = own.indptr.astype(np.int64)
        self.own_product_, self.own_weight_ = own.indices.astype(np.int32), own.data
        self.similar_, self.similarity_ = _neighbours(baskets(interactions, options), options.neighbours)

    def _similarity_matrix(self) -> sparse.csr_array:
        """Products x products: row i holds the neighbours of i."""
        held = self.similar_ >= 0
        indptr = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
        shape = (self.n_products_, self.n_products_)
        return sparse.csr_array((self.similarity_[held], self.similar_[held], indptr), shape=shape)


def baskets(interactions: Interactions, options: ItemItemOptions) -> sparse.csr_array:
    """Baskets x products, binary, at most `max_basket` in each: the latest, ties by product row."""
    unit = interactions.customer_row if options.together == "customer" else interactions.order_row
    order = np.lexsort((interactions.product_row, -interactions.at_s, unit))
    unit, held = unit[order], interactions.product_row[order]
    key = unit.astype(np.int64) * interactions.n_products + held
    latest = np.sort(np.unique(key, return_index=True)[1])  # the first of each product is its latest
    unit, held = unit[latest], held[latest]
    basket = np.unique(unit, return_inverse=True)[1]
    starts = np.searchsorted(basket, np.arange(basket.max(initial=-1) + 1))
    kept = np.arange(len(basket)) - starts[basket] < options.max_basket
    cells = (np.ones(int(kept.sum()), np.float32), (basket[kept], held[kept]))
    return sparse.csr_array(cells, shape=(len(starts), interactions.n_products))


def _neighbours(held: sparse.csr_array, n_neighbours: int) -> tuple[IntArray, FloatArray]:
    """The most similar products of each, itself left out, ties by product row."""
    n_products = held.shape[1]
    similar = np.full((n_products, n_neighbours), -1, np.int32)
    similarity = np.zeros((n_products, n_neighbours), np.float32)
    if not held.nnz:
        return similar, similarity
    recommender = CosineRecommender(K=n_neighbours + 1, num_threads=1)
    with catch_warnings():
        simplefilter("ignore", ParameterWarning)  # about a conversion of its own making
        recommender.fit(sparse.csr_matrix(held), show_progress=False)
    found = recommender.similarity.tocoo()
    apart = (found.row != found.col) & (found.data > 0)
    row, col, value = found.row[apart], found.col[apart], found.data[apart].astype(np.float32)
    order = np.lexsort((col, -value, row))
    row, col, value = row[order], col[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, np.arange(n_products))[row]
    kept = place < n_neighbours
    similar[row[kept], place[kept]] = col[kept]
    similarity[row[kept], place[kept]] = value[kept]
    return similar, similarity
