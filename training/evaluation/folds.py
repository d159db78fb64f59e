"""Time splits: what was known at one moment, and what was bought in the days after it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, IntArray, LongArray
from models.history.interactions import Interactions
from models.history.pair_keys import pair_keys
from storage.local_days import local_day, midnight_s

type Target = Literal["all", "new", "next_order"]
TARGETS: tuple[Target, ...] = ("all", "new", "next_order")


@dataclass(frozen=True)
class Fold:
    """One question to a model: knowing what was bought before `as_of_s`, what is bought in the days after?

    Attributes:
        as_of_s: Unix seconds; midnight in the shop's timezone when made by this module.
        horizon_days: length of the window that is predicted, in days of 24 hours.
    """

    as_of_s: int
    horizon_days: int

    @property
    def end_s(self) -> int:
        """The first second after the window."""
        return self.as_of_s + self.horizon_days * DAY_S


@dataclass(frozen=True, eq=False)
class TargetTruth:
    """What counts as a hit for one target, for the customers who have something to hit.

    Attributes:
        customer_row: shape (m,), int32, rising.
        products: shape (m, n_products), bool; each row has at least one, indices sorted.
        orders_before: shape (m,), int32; how many orders each customer made before the fold, at least 1.
    """

    customer_row: IntArray
    products: sparse.csr_array
    orders_before: IntArray

    def only(self, customers: IntArray) -> "TargetTruth":
        """The same of those who are among `customers`."""
        kept = np.flatnonzero(np.isin(self.customer_row, customers))
        return TargetTruth(self.customer_row[kept], self.products[kept], self.orders_before[kept])


@dataclass(frozen=True, eq=False)
class Truth:
    """What was bought in a fold's window by customers with a purchase before it.

    Attributes:
        targets: `all` is every distinct product, `new` those the customer had never bought, `next_order`
            those of the customer's first order in the window.
        unknown_customers: customers who bought in the window and never before; in none of the targets.
        unsold_share: share of the pairs of `all` whose product nobody had bought before. They stay in.
    """

    targets: dict[Target, TargetTruth]
    unknown_customers: int
    unsold_share: float


def split(interactions: Interactions, fold: Fold) -> tuple[Interactions, Truth]:
    """The history as it was known at the fold, and what was bought after it."""
    history = interactions.before(fold.as_of_s)
    orders_before = count_orders(history)
    in_window = (interactions.at_s >= fold.as_of_s) & (interactions.at_s < fold.end_s)
    is_known = orders_before[interactions.customer_row] > 0
    kept = np.flatnonzero(in_window & is_known)
    customer, product = interactions.customer_row[kept], interactions.product_row[kept]
    order = interactions.order_row[kept]

    # Entries are sorted by customer and time: a customer's first entry belongs to the first order.
    _, first, of = np.unique(customer, return_index=True, return_inverse=True)
    in_next_order = order == order[first][of]
    pairs = np.unique(pair_keys(customer, product, history.n_products))
    is_new = ~np.isin(pairs, pair_keys(history.customer_row, history.product_row, history.n_products))
    next_order = np.unique(pair_keys(customer[in_next_order], product[in_next_order], history.n_products))
    is_sold = np.bincount(history.product_row, minlength=history.n_products) > 0
    unsold = ~is_sold[pairs % history.n_products]
    truth = Truth(
        targets={
            "all": _target(pairs, orders_before, history.n_products),
            "new": _target(pairs[is_new], orders_before, history.n_products),
            "next_order": _target(next_order, orders_before, history.n_products),
        },
        unknown_customers=len(np.unique(interactions.customer_row[in_window & ~is_known])),
        unsold_share=float(unsold.mean()) if len(pairs) else 0.0,
    )
    return history, truth


def count_orders(interactions: Interactions) -> IntArray:
    """Distinct orders of each customer, shape (n_customers,), int32."""
    customer = interactions.customer_row[interactions.first_of_order]
    counts = np.bincount(customer, minlength=interactions.n_customers)
    return counts.astype(np.int32)


def last_folds(end_s: int, horizon_days: int, timezone: str, *, count: int = 3) -> list[Fold]:
    """The last windows side by side before `end_s`, oldest first.

    The last one ends at the last midnight not after `end_s`, so that no window has a day that was cut short.
    """
    last_day = local_day(end_s, timezone)
    days = [last_day - timedelta(days=horizon_days * back) for back in range(count, 0, -1)]
    return [Fold(midnight_s(day, timezone), horizon_days) for day in days]


def _target(pairs: LongArray, orders_before: IntArray, n_products: int) -> TargetTruth:
    """The truth of sorted distinct (customer, product) pairs."""
    customer, counts = np.unique(pairs // max(n_products, 1), return_counts=True)
    customer_row = customer.astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    cells = (np.ones(len(pairs), np.bool_), pairs % max(n_products, 1), indptr)
    products = sparse.csr_array(cells, shape=(len(customer_row), n_products))
    return TargetTruth(customer_row, products, orders_before[customer_row])
