"""What every model learns from: who bought which product when, as parallel arrays."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, BoolArray, DoubleArray, FloatArray, IntArray, LongArray
from models.history.catalogue import Catalogue
from models.history.pair_keys import pair_keys
from models.numerics.decay import lasting_decay


@dataclass(frozen=True, eq=False)
class Interactions:
    """Purchases before one moment, one entry for each (order, product), sorted by customer and time.

    Attributes:
        customer_row: shape (n,), int32, each < n_customers.
        product_row: shape (n,), int32, each < n_products.
        order_row: shape (n,), int32; entries of one order share it.
        at_s: shape (n,), int64, Unix seconds, all < as_of_s.
        catalogue: what is known of the products, also of those with no entry here.
        as_of_s: the moment from which this is seen; ages count back from it.
        n_customers: how many rows there are, also of those with no entry here.
    """

    customer_row: IntArray
    product_row: IntArray
    order_row: IntArray
    at_s: LongArray
    catalogue: Catalogue
    as_of_s: int
    n_customers: int

    def __len__(self) -> int:
        return len(self.customer_row)

    @property
    def n_products(self) -> int:
        """How many rows of products there are, also of those with no entry here."""
        return len(self.catalogue)

    @classmethod
    def build(
        cls,
        customer_row: IntArray,
        product_row: IntArray,
        order_row: IntArray,
        at_s: LongArray,
        *,
        catalogue: Catalogue,
        as_of_s: int,
        n_customers: int,
    ) -> "Interactions":
        """Interactions from purchase lines in any order; lines of one order and product become one entry.

        Lines at or after `as_of_s` are left out. The entry's time is its first line's.
        """
        keep = np.flatnonzero(at_s < as_of_s)
        keep = keep[np.lexsort((product_row[keep], order_row[keep], at_s[keep], customer_row[keep]))]
        pair = pair_keys(order_row[keep], product_row[keep], len(catalogue))
        first = np.sort(np.unique(pair, return_index=True)[1])
        keep = keep[first]
        return cls(
            customer_row=np.ascontiguousarray(customer_row[keep], dtype=np.int32),
            product_row=np.ascontiguousarray(product_row[keep], dtype=np.int32),
            order_row=np.ascontiguousarray(order_row[keep], dtype=np.int32),
            at_s=np.ascontiguousarray(at_s[keep], dtype=np.int64),
            catalogue=catalogue,
            as_of_s=as_of_s,
            n_customers=n_customers,
        )

    def before(self, as_of_s: int) -> "Interactions":
        """The same history as it was known at an earlier moment: entries and products, ages from it."""
        entries = self.only(self.at_s < as_of_s)
        return replace(entries, as_of_s=as_of_s, catalogue=self.catalogue.before(as_of_s))

    def between(self, start_s: int, end_s: int) -> "Interactions":
        """The entries with start_s <= at_s < end_s, such as the truth of a fold."""
        return self.only((self.at_s >= start_s) & (self.at_s < end_s))

    def only(self, mask: BoolArray) -> "Interactions":
        """The entries where `mask` holds."""
        return replace(
            self,
            customer_row=self.customer_row[mask],
            product_row=self.product_row[mask],
            order_row=self.order_row[mask],
            at_s=self.at_s[mask],
        )

    def by_lot(self, share: float, seed: int) -> "Interactions":
        """The entries of about this share of the customers; all of them from 1 on."""
        if share >= 1:
            return self
        is_drawn = np.random.default_rng(seed).random(self.n_customers) < share
        return self.only(is_drawn[self.customer_row])

    @cached_property
    def age_days(self) -> FloatArray:
        """Days from each entry to `as_of_s`, shape (n,), float32, above 0."""
        return ((self.as_of_s - self.at_s) / DAY_S).astype(np.float32)

    @cached_property
    def span_days(self) -> float:
        """Days from the first entry to `as_of_s`; 0 without entries."""
        return float((self.as_of_s - self.at_s.min()) / DAY_S) if len(self) else 0.0

    @cached_property
    def first_of_order(self) -> LongArray:
        """Where each order's first entry stands, by rising order row; shape (n_orders,), int64."""
        return np.unique(self.order_row, return_index=True)[1]

    def order_starts(self) -> LongArray:
        """Where the first entry of each entry's order stands, shape (n,), int64."""
        places = np.arange(len(self), dtype=np.int64)
        first = np.zeros(int(self.order_row.max(initial=-1)) + 1, np.int64)
        first[self.order_row[::-1]] = places[::-1]  # of several values for one place the last one stays
        return first[self.order_row]

    @cached_property
    def n_buyers(self) -> int:
        """How many customers have an entry."""
        return int(np.count_nonzero(np.bincount(self.customer_row)))

    def decayed_orders(self, half_life_days: float) -> DoubleArray:
        """Each customer's orders, older ones counting less; shape (n_customers,)."""
        first = self.first_of_order
        weights = lasting_decay(self.age_days[first], half_life_days)
        return np.bincount(self.customer_row[first], weights, self.n_customers)

    def matrix(self, weights: FloatArray | None = None) -> sparse.csr_array:
        """Customers x products, float32; each cell the sum of its entries' weights (1 each by default)."""
        values = np.ones(len(self), np.float32) if weights is None else weights
        cells = (values, (self.customer_row, self.product_row))
        return sparse.csr_array(cells, shape=(self.n_customers, self.n_products), dtype=np.float32)
