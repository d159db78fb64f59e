"""Taste in a few dimensions: factors by alternating least squares, with fold-in for new customers."""

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model, learned
from models.bounds import within
from models.history.interactions import Interactions
from models.numerics.cores import MOST_THREADS, blas_threads
from models.numerics.decay import MOST_ORDERS, decay, half_life_grid
from models.numerics.factors import MOST_FACTORS, score_factors
from models.validation.folds import FoldOptions, InnerFold, chosen, inner_folds, new_ndcg


@dataclass(frozen=True)
class AlsOptions(FoldOptions):
    """Options of `als`, beside those of FoldOptions.

    Attributes:
        regularization: how strongly factors are drawn to 0; None: learned, by what finds more new products.
        half_life_days: days after which an order counts half; None: learned.
        factors: dimensions.
        iterations: sweeps; few are better than many, which fit the loss and not the next purchase.
        threads: of implicit; the result depends on it in the last bits.
    """

    regularization: float | None = None
    half_life_days: float | None = None
    factors: int = 64
    iterations: int = 4
    threads: int = 2
    n_folds: int = field(default=1, kw_only=True)
    max_customers: int = field(default=500, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("factors", self.factors, 1, MOST_FACTORS)
        within("threads", self.threads, 0, MOST_THREADS)


class Als(Model[AlsOptions]):
    """A product scores by the inner product of its factors and the customer's.

    Source: Hu, Koren, Volinsky 2008, as in implicit; decayed counts, at most MOST_ORDERS, are the confidence.
    """

    name: ClassVar[str] = "als"
    revision: ClassVar[int] = 2
    options_type: ClassVar[type] = AlsOptions
    learnt: ClassVar[tuple[str, ...]] = ("customer_factors_", "product_factors_")

    customer_factors_: FloatArray  # shape (n_customers, factors), 0 for customers without purchases
    product_factors_: FloatArray  # shape (n_products, factors), 0 for products without purchases

    def fit(self, interactions: Interactions) -> Self:
        return self._fit_with(interactions, self._learned(interactions))

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for products and customers without purchases."""
        self.check_fitted()
        of_products = self.product_factors_ if products is None else self.product_factors_[products]
        return score_factors(self.customer_factors_[rows], of_products)

    def _learned(self, interactions: Interactions) -> AlsOptions:
        """The options with `regularization`, then `half_life_days`, by what finds more on the folds."""
        grid = half_life_grid(interactions.span_days)
        grids = {"regularization": (10.0, 3.0, 30.0), "half_life_days": (grid[len(grid) // 2], grid[-1])}
        return chosen(self.options, grids, inner_folds(interactions, self.options), _new_ndcg)

    def _fit_with(self, interactions: Interactions, options: AlsOptions) -> Self:
        counts = interactions.matrix(decay(interactions.age_days, learned(options.half_life_days)))
        counts.data = np.minimum(counts.data, MOST_ORDERS)
        with blas_threads(1):  # implicit crawls where BLAS starts threads of its own
            solver = AlternatingLeastSquares(
                factors=options.factors,
                regularization=options.regularization,
                iterations=options.iterations,
                num_threads=options.threads,
                random_state=options.seed,
            )
            solver.fit(sparse.csr_matrix(counts), show_progress=False)
        self.options_, self.n_products_ = options, interactions.n_products
        self.customer_factors_ = np.where(np.diff(counts.indptr)[:, None] > 0, solver.user_factors, 0)
        bought = np.bincount(interactions.product_row, minlength=interactions.n_products) > 0
        self.product_factors_ = np.where(bought[:, None], solver.item_factors, 0)
        return self


def _new_ndcg(fold: InnerFold, options: AlsOptions) -> float:
    return new_ndcg(fold, Als(options)._fit_with(fold.history, options).score)
