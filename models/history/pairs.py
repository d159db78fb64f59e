"""Own history, one entry for each customer and product: how often, how lately, at what interval."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.arrays import DoubleArray, FloatArray, IntArray, LongArray
from models.history.interactions import Interactions
from models.history.pair_keys import pair_keys
from models.numerics.decay import decay


@dataclass(frozen=True, eq=False)
class Pairs:
    """Distinct (customer, product) pairs of a history, sorted by both.

    Attributes:
        customer_row, product_row: shape (n,), int32.
        times: shape (n,), int32, in how many orders.
        last_age_days: shape (n,), float32, days since the latest of them.
        interval_days: shape (n,), float32, mean days between them; NaN for a single order.
        entry_pair: shape (n_interactions,), int64, the pair of each interaction.
        shape: customers and products, how many rows there are of each.
        entry_age_days: shape (n_interactions,), float32, of the interactions.
    """

    customer_row: IntArray
    product_row: IntArray
    times: IntArray
    last_age_days: FloatArray
    interval_days: FloatArray
    entry_pair: LongArray
    shape: tuple[int, int]
    entry_age_days: FloatArray

    def __len__(self) -> int:
        return len(self.customer_row)

    @classmethod
    def of(cls, interactions: Interactions) -> "Pairs":
        n_products = interactions.n_products
        key = pair_keys(interactions.customer_row, interactions.product_row, n_products)
        pair, entry_pair, times = np.unique(key, return_inverse=True, return_counts=True)
        last = np.full(len(pair), np.inf, np.float32)
        np.minimum.at(last, entry_pair, interactions.age_days)
        first = np.zeros(len(pair), np.float32)
        np.maximum.at(first, entry_pair, interactions.age_days)
        gaps = np.where(times > 1, times - 1, np.nan)
        return cls(
            customer_row=(pair // n_products).astype(np.int32),
            product_row=(pair % n_products).astype(np.int32),
            times=times.astype(np.int32),
            last_age_days=last,
            interval_days=((first - last) / gaps).astype(np.float32),
            entry_pair=entry_pair,
            shape=(interactions.n_customers, n_products),
            entry_age_days=interactions.age_days,
        )

    def decayed_times(self, half_life_days: float) -> FloatArray:
        """Each pair's number of orders, older ones counting less; shape (n,), float32."""
        weights = decay(self.entry_age_days, half_life_days)
        return np.bincount(self.entry_pair, weights, len(self)).astype(np.float32)

    def buyers(self, weights: FloatArray) -> DoubleArray:
        """The customers of each product, each by the weights of their orders with it and by 1 at most.

        So nobody counts for two, however many orders they make or invent.

        Args:
            weights: of each interaction, shape (n_interactions,).
        """
        of_pair = np.minimum(np.bincount(self.entry_pair, weights, len(self)), 1)
        return np.bincount(self.product_row, of_pair, self.shape[1])

    def matrix(self, values: FloatArray) -> sparse.csr_array:
        """Customers x products with one value for each pair, float32; zeros among them are stored."""
        indptr = np.searchsorted(self.customer_row, np.arange(self.shape[0] + 1))
        return sparse.csr_array((values.astype(np.float32), self.product_row, indptr), shape=self.shape)
