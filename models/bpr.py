"""Which of two products a customer would rather have: factors learned from pairs, by one thread."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy import sparse

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model
from models.bounds import above_zero, within
from models.history.interactions import Interactions
from models.numerics.cores import blas_threads
from models.numerics.factors import MOST_FACTORS, score_factors


@dataclass(frozen=True)
class BprOptions:
    """Options of `bpr`.

    Attributes:
        factors: dimensions, beside a bias for each product.
        learning_rate, regularization: of the gradient steps.
        iterations: passes over the purchases.
        seed: of the first factors and of the pairs that are drawn.
    """

    factors: int = 32
    learning_rate: float = 0.01
    regularization: float = 0.01
    iterations: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        within("factors", self.factors, 1, MOST_FACTORS - 1)  # the bias is one more
        above_zero("learning_rate", self.learning_rate)
        within("learning_rate", self.learning_rate, 0, 1)  # beyond it factors grow without end
        within("regularization", self.regularization, 0, 1)  # at no rate does a step take more off than all


class Bpr(Model[BprOptions]):
    """A product scores by the inner product of its factors and the customer's; it does not see how often.

    Source: Rendle et al. 2009, as in implicit. No fold-in: only customers who were there in fit have factors.
    """

    name: ClassVar[str] = "bpr"
    options_type: ClassVar[type] = BprOptions
    learnt: ClassVar[tuple[str, ...]] = ("customer_factors_", "product_factors_")

    customer_factors_: FloatArray  # shape (n_customers, factors + 1), 0 for customers without purchases
    product_factors_: FloatArray  # shape (n_products, factors + 1), 0 for products without purchases

    def fit(self, interactions: Interactions) -> Self:
        options = self.options
        bought = interactions.matrix()
        bought.data[:] = 1
        self.options_, self.n_products_ = options, interactions.n_products
        self.customer_factors_ = np.zeros((interactions.n_customers, options.factors + 1), np.float32)
        self.product_factors_ = np.zeros((interactions.n_products, options.factors + 1), np.float32)
        if not bought.nnz:
            return self
        with blas_threads(1):
            solver = BayesianPersonalizedRanking(
                factors=options.factors,
                learning_rate=options.learning_rate,
                regularization=options.regularization,
                iterations=options.iterations,
                num_threads=1,  # more would race for the factors
                random_state=options.seed,
            )
            solver.fit(sparse.csr_matrix(bought), show_progress=False)
        customers = np.diff(bought.indptr) > 0
        products = np.bincount(bought.indices, minlength=interactions.n_products) > 0
        self.customer_factors_[customers] = solver.user_factors[customers]
        self.product_factors_[products] = solver.item_factors[products]
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for products and customers without purchases."""
        self.check_fitted()
        of_products = self.product_factors_ if products is None else self.product_factors_[products]
        return score_factors(self.customer_factors_[rows], of_products)
