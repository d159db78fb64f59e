"""What is bought after what: the next volume, the next size, the filter for the machine."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, DoubleArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.bounds import HORIZON_DAYS, above_zero, within
from models.history.interactions import Interactions
from models.numerics.columns import as_arrays, lines, picked
from models.numerics.decay import decay
from models.validation.first_purchases import first_purchases

CUSTOMERS_FOR_ONE, LEAST_CUSTOMERS = 100, 3.0  # a link takes one customer in a hundred, and three at most
PRIOR_CUSTOMERS = 5.0  # who bought a product and nothing after it, beside those there are
MOST_BEFORE = 50  # products of a customer that may have led to another, those that were new the latest
MOST_STEPS = 3_000_000  # from one product to another, about, of customers by lot: bounds the cost


@dataclass(frozen=True, kw_only=True)
class SequelOptions:
    """Options of `sequel`.

    Attributes:
        horizon_days: length of what is predicted.
        memory: horizons after which a product that led to another counts half.
        neighbours: how many products are kept that follow each.
        seed: of the lot among the customers of a large shop.
    """

    horizon_days: float = 7.0
    memory: float = 4.0
    neighbours: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        within("horizon_days", self.horizon_days, *HORIZON_DAYS)
        above_zero("memory", self.memory)


class Sequel(Model[SequelOptions]):
    """A product scores by how many took it up after what the customer has, above what chance lets expect.

    Each customer counts once for two products: if both were new to them in this order, in orders of their
    own, by how soon the second came. What many take up anyway follows everything: as much is taken off,
    and a link must be further beyond chance than the luckiest of as many pairs without any link would be:
    sqrt(2 log n) standard deviations of n pairs.

    Source: first-order Markov chains of purchases, as in Rendle et al. 2010; here counted and shrunk. The
    largest of n normal deviates: the universal threshold of Donoho and Johnstone 1994.
    """

    name: ClassVar[str] = "sequel"
    revision: ClassVar[int] = 2
    options_type: ClassVar[type] = SequelOptions
    learnt: ClassVar[tuple[str, ...]] = (
        *("link_indptr_", "link_product_", "link_"),
        *("own_indptr_", "own_product_", "own_weight_"),
    )

    link_indptr_: LongArray  # shape (n_products + 1,): row i holds what follows i
    link_product_: IntArray
    link_: FloatArray
    own_indptr_: LongArray  # shape (n_customers + 1,)
    own_product_: IntArray
    own_weight_: FloatArray  # by how long ago the product was new to the customer
    _table: sparse.csr_array | None = None  # of the links, made when first asked for

    def fit(self, interactions: Interactions) -> Self:
        options = self.options
        half_life_days = options.memory * options.horizon_days
        firsts = first_purchases(interactions)
        own = firsts.matrix(decay(firsts.age_days, half_life_days))
        self.own_indptr_, self.own_product_, self.own_weight_ = as_arrays(own)
        table = _links(_by_lot(firsts, options.seed), half_life_days, options.neighbours)
        self.link_indptr_, self.link_product_, self.link_ = as_arrays(table)
        self.options_, self.n_products_, self._table = options, interactions.n_products, None
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what follows nothing that the customer has."""
        self.check_fitted()
        if self._table is None:
            entries = (self.link_, self.link_product_, self.link_indptr_)
            self._table = sparse.csr_array(entries, shape=(self.n_products_, self.n_products_))
        own = lines(self.own_indptr_, self.own_product_, self.own_weight_, self.n_products_, rows)
        scores = picked(own @ self._table, products)
        scores[scores <= 0] = np.nan
        return scores


def _links(firsts: Interactions, half_life_days: float, n_kept: int) -> sparse.csr_array:
    """Products x products: of those with the row's, the share whom it led to the column's beyond chance.

    Args:
        firsts: from `first_purchases`.
        half_life_days: a customer counts half whom it took so many days from one to the other.
        n_kept: links of each product at most, the strongest, ties by product row.
    """
    n_products = firsts.n_products
    before, after = _steps(firsts)
    shape = (n_products, n_products)
    cells = firsts.product_row[before], firsts.product_row[after]
    soon = decay(firsts.age_days[before] - firsts.age_days[after], half_life_days)
    led = sparse.csr_array((soon, cells), shape=shape)
    customers = sparse.csr_array((np.ones(len(before), np.float32), cells), shape=shape)
    row, column = np.repeat(np.arange(n_products), np.diff(led.indptr)), led.indices
    counted = led.data.astype(np.float64)
    from_each, to_each = np.bincount(row, counted, n_products), np.bincount(column, counted, n_products)
    chance = from_each[row] * to_each[column] / max(counted.sum(), 1e-9)
    beyond = counted - chance
    buyers = np.bincount(firsts.product_row, minlength=n_products)
    share: DoubleArray = beyond / (buyers[row] + PRIOR_CUSTOMERS)
    enough = customers.data >= min(firsts.n_buyers / CUSTOMERS_FOR_ONE, LEAST_CUSTOMERS)
    luck = np.sqrt(2 * np.log(max(int(enough.sum()), 1)))  # of so many deviates the largest, about
    able = enough & (beyond > luck * np.sqrt(chance))
    row, column, share = row[able], column[able], share[able]
    order = np.lexsort((column, -share, row))
    place = np.arange(len(row)) - np.searchsorted(row, row)  # rows rise in both orders
    kept = np.sort(order[place < n_kept])
    indptr = np.searchsorted(row[kept], np.arange(n_products + 1))
    return sparse.csr_array((share[kept].astype(np.float32), column[kept], indptr), shape=shape)


def _by_lot(firsts: Interactions, seed: int) -> Interactions:
    """Those of so many customers that they make about MOST_STEPS steps at most."""
    start, end = _before(firsts)
    return firsts.by_lot(MOST_STEPS / max(int((end - start).sum()), 1), seed)


def _steps(firsts: Interactions) -> tuple[LongArray, LongArray]:
    """The places of two products that were new to a customer one after the other, in different orders."""
    start, end = _before(firsts)
    length = end - start
    after = np.repeat(np.arange(len(firsts)), length)
    within = np.arange(len(after)) - np.repeat(np.cumsum(length) - length, length)
    return np.repeat(start, length) + within, after


def _before(firsts: Interactions) -> tuple[LongArray, LongArray]:
    """Of each entry, from where to where its customer's MOST_BEFORE latest of earlier orders stand."""
    end = firsts.order_starts()
    return np.maximum(np.searchsorted(firsts.customer_row, firsts.customer_row), end - MOST_BEFORE), end
