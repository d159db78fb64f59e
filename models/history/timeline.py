"""Own history in time: each (customer, product) pair's purchases in their order, each customer's orders."""

from dataclasses import dataclass, replace

import numpy as np

from models.arrays import AnyIntArray, DoubleArray, FloatArray, IntArray, LongArray
from models.history.interactions import Interactions
from models.history.pair_keys import pair_keys
from models.numerics.shrinkage import shrunk_means, variance_within

LEAST_GAP_DAYS = 0.5  # a due day is a date: twice on one day tells no more than that
MEMORYLESS_LOG_VARIANCE = np.pi**2 / 6  # of the logarithm of a waiting time without memory


@dataclass(frozen=True, eq=False)
class Waits:
    """Waiting times of some units: days between an event and the next, and how long the last is ago.

    Attributes:
        times: shape (n,), int64, events of each unit, 0 included.
        first_age_days, last_age_days: shape (n,), float64; NaN without events.
        gap_days: shape (m,), float64, all gaps of all units.
        gap_unit: shape (m,), int64, whose they are.
    """

    times: LongArray
    first_age_days: DoubleArray
    last_age_days: DoubleArray
    gap_days: DoubleArray
    gap_unit: LongArray

    @classmethod
    def of(cls, unit: AnyIntArray, age_days: DoubleArray, n_units: int) -> "Waits":
        """From events sorted by unit, then by falling age."""
        times = np.bincount(unit, minlength=n_units)
        end = np.cumsum(times)
        some = times > 0
        first, last = np.full(n_units, np.nan), np.full(n_units, np.nan)
        first[some], last[some] = age_days[(end - times)[some]], age_days[end[some] - 1]
        same = unit[1:] == unit[:-1]
        gaps = (age_days[:-1] - age_days[1:])[same]
        return cls(times, first, last, np.maximum(gaps, 0.0), unit[1:][same].astype(np.int64))

    def expected(self, parents: tuple[AnyIntArray, ...]) -> tuple[DoubleArray, DoubleArray]:
        """Each unit's gap to expect: about half of its next gaps are shorter.

        The mean of the logarithms of its own gaps, drawn to its group's, and so up; see `shrunk_means`. Of
        logarithms, because gaps vary by a share of their length: a day more or less is much for what is
        bought daily, and little for what is bought each quarter.

        Returns:
            days, shape (n,); NaN where nobody has a gap. Then how sure they are, shape (n,), in (0, 1]: the
            standard deviation of a gap's logarithm around its unit's own mean, against that around what is
            expected; it nears 1 with each gap of its own.
        """
        log_days = np.log(np.maximum(self.gap_days, LEAST_GAP_DAYS))
        means, n_gaps = self._own_means(log_days)
        variance = variance_within(log_days, self.gap_unit, means, MEMORYLESS_LOG_VARIANCE)
        log_means, variances = shrunk_means(means, n_gaps, variance, parents)
        return np.exp(log_means), np.sqrt(variance / (variance + variances))

    def mean_days(self) -> DoubleArray:
        """Each unit's mean gap, drawn to that of all; NaN where nobody has a gap.

        In days: unlike the gap to expect it is hardly moved by short ones, as of orders that follow at once.
        """
        means, n_gaps = self._own_means(self.gap_days)
        memoryless = float(self.gap_days.mean() ** 2) if len(self.gap_days) else 0.0  # their variance
        variance = variance_within(self.gap_days, self.gap_unit, means, memoryless)
        return shrunk_means(means, n_gaps, variance)[0]

    def _own_means(self, values: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
        """The mean of each unit's gaps' values, 0 without any; how many gaps it has."""
        n_gaps = np.bincount(self.gap_unit, minlength=len(self.times)).astype(np.float64)
        return np.bincount(self.gap_unit, values, len(self.times)) / np.maximum(n_gaps, 1.0), n_gaps


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a history says of each distinct (customer, product) pair, sorted by both, and of each customer.

    Attributes:
        interactions: the history.
        customer_row, product_row: shape (n_pairs,), int32.
        pair: shape (n,), int64, the pair of each entry, entries sorted by pair and time.
        orders_since: shape (n,), int64, how many orders the customer made after that entry's.
        waits: of the pairs.
        visits: of the customers: one event for each order.
    """

    interactions: Interactions
    customer_row: IntArray
    product_row: IntArray
    pair: LongArray
    orders_since: LongArray
    waits: Waits
    visits: Waits

    def __len__(self) -> int:
        return len(self.customer_row)

    @classmethod
    def of(cls, interactions: Interactions) -> "Timeline":
        key = pair_keys(interactions.customer_row, interactions.product_row, interactions.n_products)
        entry = np.argsort(key, kind="stable")  # entries of a customer are in the order of time already
        key = key[entry]
        is_first = np.ones(len(key), np.bool_)
        is_first[1:] = key[1:] != key[:-1]
        pair = np.cumsum(is_first) - 1
        age_days = interactions.age_days.astype(np.float64)
        start = interactions.order_starts()
        is_start = np.zeros(len(key), np.bool_)
        is_start[start] = True
        visits = Waits.of(interactions.customer_row[is_start], age_days[is_start], interactions.n_customers)
        since = np.cumsum(visits.times)[interactions.customer_row] - np.cumsum(is_start)[start]
        distinct = entry[is_first]
        return cls(
            interactions=interactions,
            customer_row=interactions.customer_row[distinct],
            product_row=interactions.product_row[distinct],
            pair=pair,
            orders_since=since[entry],
            waits=Waits.of(pair, age_days[entry], int(is_first.sum())),
            visits=visits,
        )

    @property
    def indptr(self) -> LongArray:
        """Where each customer's pairs begin, shape (n_customers + 1,), int64."""
        rows = np.arange(self.interactions.n_customers + 1)
        return np.searchsorted(self.customer_row, rows).astype(np.int64)

    def parents(self) -> tuple[AnyIntArray, AnyIntArray]:
        """The product of each pair, the category of each product; those without one make one of their own."""
        return self.product_row, self.interactions.catalogue.category_group

    def typical_days(self) -> DoubleArray:
        """The gap to expect of whoever bought a product once, as `Waits.expected`; shape (n_products,)."""
        pair_product, category = self.parents()
        every = np.arange(self.interactions.n_products)
        once = replace(self.waits, times=np.append(self.waits.times, np.ones(len(every), np.int64)))
        return once.expected((np.append(pair_product, every), category))[0][len(self) :]

    def fading(self, keep: float) -> FloatArray:
        """Share of the customer's orders with the product, each counting `keep` times the one after it."""
        held = np.bincount(self.pair, keep**self.orders_since, len(self))
        n_orders = self.visits.times[self.customer_row]
        return np.asarray(held * (1 - keep) / (1 - keep**n_orders), np.float32)
