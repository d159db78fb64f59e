"""What follows from what else was bought: a linear model between products, solved in closed form."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from scipy import sparse
from scipy.linalg import lapack, solve_triangular

from models.arrays import AnyIntArray, FloatArray, IntArray, LongArray
from models.base import Model, learned
from models.bounds import above_zero, is_power, within
from models.errors import BadConfigError
from models.history.interactions import Interactions
from models.numerics.columns import as_arrays, lines, picked
from models.numerics.cores import MOST_THREADS, blas_threads
from models.numerics.decay import MOST_ORDERS, decay, half_life_grid
from models.validation.first_purchases import first_purchases, take_up, take_up_half_life
from models.validation.folds import FoldOptions, InnerFold, balanced_ndcg, chosen, inner_folds

BLOCK_ROWS = 500  # of a Gram matrix that are summed up at a time
SUMMED_CUSTOMERS = 1_000_000  # by themselves, since single precision adds no 1 to 2^24
TRIAL_PRODUCTS = 1500  # take part while options are learned: the cost goes with their cube
TOO_SMALL = "too small to solve for in single precision"


@dataclass(frozen=True)
class EaseOptions(FoldOptions):
    """Options of `ease`, beside those of FoldOptions.

    Attributes:
        regularization: the ridge, in mean squared lengths of a product's column; None: learned, by what finds
            more of what is bought, new products as much as all.
        half_life_days: after so many days an order counts half; None: learned with it.
        take_up_power: how far, among products that are new to the customer, those go before that others take
            up now: 0 not at all, 1 as much as the weights.
        take_up_half_life_days: after so many days a first purchase counts half in that; None: learned.
        max_products: at most so many products take part, the most bought lately; memory in fit goes with its
            square (8 to 16 bytes a pair), time with its cube.
        neighbours: weights kept for each product on average, the strongest of all; what a version holds.
        threads: of the linear algebra, 0 for all cores; the result depends on it in the last bits. On cores
            that others use too, several wait for each other and are slower than one.
    """

    regularization: float | None = None
    half_life_days: float | None = None
    take_up_power: float = 0.5
    take_up_half_life_days: float | None = None
    max_products: int = 5000
    neighbours: int = 500
    n_folds: int = field(default=1, kw_only=True)
    max_customers: int = field(default=500, kw_only=True)
    threads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        within("threads", self.threads, 0, MOST_THREADS)
        above_zero("regularization", self.regularization)
        is_power("take_up_power", self.take_up_power)


class Ease(Model[EaseOptions]):
    """A product scores by the weights of the customer's other products towards it.

    The weights are those of the ridge regression of each product on all others, which have a closed form; a
    product says nothing about itself. What a customer bought counts by the root of its decayed orders. Scores
    of products that are new to the customer are times the power of how much they are taken up now, at most 1:
    weights know no fashion.

    Source: Steck 2019, eq. 8. Of its weights the strongest are kept: their size times the length of the
    column they act on.
    """

    name: ClassVar[str] = "ease"
    revision: ClassVar[int] = 4
    options_type: ClassVar[type] = EaseOptions
    learnt: ClassVar[tuple[str, ...]] = (
        *("product_row_", "chance_", "weight_indptr_", "weight_product_", "weight_"),
        *("own_indptr_", "own_product_", "own_weight_"),
    )

    product_row_: IntArray  # shape (n,), products that take part, ascending; the others are places among them
    chance_: FloatArray  # shape (n,), take-up to its power, in (0, 1]
    weight_indptr_: LongArray  # shape (n + 1,): row i holds what the purchase of i says about others
    weight_product_: IntArray
    weight_: FloatArray
    own_indptr_: LongArray  # shape (n_customers + 1,)
    own_product_: IntArray
    own_weight_: FloatArray
    _table: sparse.csr_array | None = None  # of the weights, made when first asked for

    def fit(self, interactions: Interactions) -> Self:
        return self._fit_with(interactions, self._learned(interactions))

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what takes no part and what nothing the customer bought speaks for."""
        self.check_fitted()
        n = len(self.product_row_)
        held = lines(self.own_indptr_, self.own_product_, self.own_weight_, n, rows)
        if self._table is None:
            entries = (self.weight_, self.weight_product_, self.weight_indptr_)
            self._table = sparse.csr_array(entries, shape=(n, n))
        wanted = np.arange(self.n_products_) if products is None else products
        place = np.searchsorted(self.product_row_, wanted)
        column = np.flatnonzero(self.product_row_[np.minimum(place, n - 1)] == wanted) if n else place[:0]
        place = place[column]
        found = picked(held @ self._table, place)
        held.data = np.ones(held.nnz, np.float32)
        found *= np.where(picked(held, place) > 0, np.float32(1), self.chance_[place])
        scores = np.full((len(rows), len(wanted)), np.nan, np.float32)
        scores[:, column] = np.where(found > 0, found, np.nan)
        return scores

    def _learned(self, interactions: Interactions) -> EaseOptions:
        """The options with `regularization` and then `half_life_days` chosen on the folds."""
        options = self.options
        grid = half_life_grid(interactions.span_days)
        grids = {
            "regularization": (0.3, 0.1, 1.0),
            "half_life_days": (grid[len(grid) // 2], grid[len(grid) // 4], grid[-1]),
        }
        take_up_days = options.take_up_half_life_days or take_up_half_life(interactions, options)
        start = replace(options, take_up_half_life_days=take_up_days)
        return chosen(start, grids, inner_folds(interactions, options), _balanced_ndcg)

    def _fit_with(self, interactions: Interactions, options: EaseOptions) -> Self:
        counts = interactions.matrix(decay(interactions.age_days, learned(options.half_life_days)))
        self.product_row_ = _taking_part(counts, options.max_products)
        held = sparse.csr_array(counts[:, self.product_row_])
        held.data = np.sqrt(held.data)  # the tenth order says less than the first
        with blas_threads(options.threads or None):
            table = weights(_capped(held), learned(options.regularization))
        table = strongest(table, _lengths(held), options.neighbours * len(self.product_row_))
        self.options_, self.n_products_ = options, interactions.n_products
        chance = take_up(first_purchases(interactions), learned(options.take_up_half_life_days))
        self.chance_ = np.minimum(chance[self.product_row_], 1) ** np.float32(options.take_up_power)
        self.weight_indptr_, self.weight_product_, self.weight_ = as_arrays(table)
        self.own_indptr_, self.own_product_, self.own_weight_ = as_arrays(held)
        self._table = None
        return self


def weights(held: sparse.csr_array, regularization: float) -> FloatArray:
    """What each product says about each other one; shape (n, n), row i towards column j, 0 for itself.

    Column j is the ridge regression of j on all others. The ridge is `regularization` times the mean squared
    length of the columns of `held`.

    Args:
        held: customers x products, what customers bought, weighted.
        regularization: above 0.
    Raises:
        BadConfigError: `regularization` is too small for numbers of this precision.
    """
    ridge = max(regularization * float((_lengths(held) ** 2).sum()) / max(held.shape[1], 1), 1e-12)
    active = held[np.flatnonzero(np.diff(held.indptr))]
    inverse = (over_customers if active.shape[0] < active.shape[1] else over_products)(active, ridge)
    own = inverse.diagonal().copy()
    if not (own > 0).all():
        raise BadConfigError("ease regularization", TOO_SMALL)
    inverse /= -own
    np.fill_diagonal(inverse, 0)
    return inverse


def over_products(held: sparse.csr_array, ridge: float) -> FloatArray:
    """(held' held + ridge)^-1 times ridge, shape (n_products, n_products), by a matrix of that size."""
    gram = _gram(held[:SUMMED_CUSTOMERS].T.tocsr())
    for start in range(SUMMED_CUSTOMERS, held.shape[0], SUMMED_CUSTOMERS):
        gram += _gram(held[start : start + SUMMED_CUSTOMERS].T.tocsr())
    half = _root(gram, ridge)
    if not len(half):
        return half
    inverse: FloatArray = lapack.spotri(half, lower=1, overwrite_c=1)[0]
    del half
    inverse *= np.float32(ridge)
    for start in range(0, len(inverse), BLOCK_ROWS):  # only its lower triangle is there yet
        end = start + BLOCK_ROWS
        block = np.tril(inverse[start:end, start:end])
        inverse[start:end, start:end] = block + np.tril(block, -1).T
        inverse[start:end, end:] = inverse[end:, start:end].T
    return inverse


def over_customers(held: sparse.csr_array, ridge: float) -> FloatArray:
    """The same by a matrix of n_customers x n_customers, which is faster where they are fewer (Woodbury)."""
    half = _root(_gram(held), ridge)
    inside = solve_triangular(half, held.toarray(), lower=True, overwrite_b=True, check_finite=False)
    inverse: FloatArray = inside.T @ inside
    np.negative(inverse, out=inverse)
    inverse[np.diag_indices(len(inverse))] += 1
    return inverse


def _root(gram: FloatArray, ridge: float) -> FloatArray:
    """The lower Cholesky factor of gram + ridge, in its place."""
    gram[np.diag_indices(len(gram))] += np.float32(ridge)
    half, failed = lapack.spotrf(gram, lower=1, clean=1, overwrite_a=1) if len(gram) else (gram, 0)
    if failed:
        raise BadConfigError("ease regularization", TOO_SMALL)
    return half


def _gram(table: sparse.csr_array) -> FloatArray:
    """Inner products of the rows, a block of them at a time; dense, float32, in LAPACK's order."""
    gram = np.empty((table.shape[0], table.shape[0]), np.float32, order="F")
    columns = table.T.tocsr()
    for start in range(0, len(gram), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        gram[:, block] = (table[block] @ columns).toarray().T
    return gram


def strongest(table: FloatArray, lengths: FloatArray, n_kept: int) -> sparse.csr_array:
    """The n_kept weights of the largest size times length of their row's product, ties by place."""
    size = np.abs(table)
    size *= lengths[:, None]
    size = size.ravel()
    n_kept = min(n_kept, int(np.count_nonzero(size)))
    threshold = np.partition(size, len(size) - n_kept)[len(size) - n_kept] if n_kept else np.inf
    above = np.flatnonzero(size > threshold)
    ties = np.flatnonzero(size == threshold)[: n_kept - len(above)]
    kept = np.sort(np.concatenate([above, ties]))
    row, column = np.divmod(kept, max(table.shape[1], 1))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(table)))])
    return sparse.csr_array((table[row, column], column, indptr), shape=table.shape)


def _lengths(held: sparse.csr_array) -> FloatArray:
    """The Euclidean length of each column, float32."""
    squares = np.bincount(held.indices, held.data.astype(np.float64) ** 2, held.shape[1])
    return np.sqrt(squares).astype(np.float32)


def _capped(held: sparse.csr_array) -> sparse.csr_array:
    """What customers say about products together: none by more than MOST_ORDERS orders of one."""
    values = np.minimum(held.data, np.float32(MOST_ORDERS**0.5))
    return sparse.csr_array((values, held.indices, held.indptr), shape=held.shape)


def _taking_part(counts: sparse.csr_array, max_products: int) -> IntArray:
    """The most bought products lately, ties by product row; in order of product row."""
    bought = np.bincount(counts.indices, minlength=counts.shape[1]) > 0
    weight = np.bincount(counts.indices, counts.data, counts.shape[1])
    order = np.argsort(np.where(bought, -weight, 1), kind="stable")
    return np.sort(order[: min(int(bought.sum()), max_products)]).astype(np.int32)


def _balanced_ndcg(fold: InnerFold, options: EaseOptions) -> float:
    small = replace(options, max_products=min(options.max_products, TRIAL_PRODUCTS))
    return balanced_ndcg(fold, Ease(small)._fit_with(fold.history, small).score)
