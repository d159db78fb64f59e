"""What a shop puts forward and when: leaflets, displays, front pages, price cuts for everybody."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from models.arrays import DAY_S, BoolArray, FloatArray, IntArray, LongArray


def _none(kind: type[np.generic]) -> np.ndarray:
    return np.empty(0, kind)


@dataclass(frozen=True, eq=False)
class Promotions:
    """Periods in which products were, or are, put forward; one entry for each product and period.

    Attributes:
        product_row: shape (n,), int32.
        starts_s, ends_s: shape (n,), int64, Unix seconds; the end itself is no part of it.
        reach: shape (n,), float32, at least 0: how much of the shop shows it, such as
            the share of its branches.
        known_s: how long before it begins each counts as known, seconds.
    """

    product_row: IntArray = field(default_factory=lambda: _none(np.int32))
    starts_s: LongArray = field(default_factory=lambda: _none(np.int64))
    ends_s: LongArray = field(default_factory=lambda: _none(np.int64))
    reach: FloatArray = field(default_factory=lambda: _none(np.float32))
    known_s: int = field(default=DAY_S, kw_only=True)

    def __len__(self) -> int:
        return len(self.product_row)

    def only(self, mask: BoolArray) -> Self:
        """The entries where `mask` holds."""
        return replace(
            self,
            product_row=self.product_row[mask],
            starts_s=self.starts_s[mask],
            ends_s=self.ends_s[mask],
            reach=self.reach[mask],
        )

    def before(self, as_of_s: int) -> Self:
        """What was known then: what had begun, and what began less than `known_s` later.

        A day is the least that makes sense: the last purchase is of the evening, the next leaflet of
        midnight. How much earlier a plan is made, now and for past promotions, only the shop can say.
        """
        is_known = self.starts_s < as_of_s + max(self.known_s, 1)
        return self if is_known.all() else self.only(is_known)

    def since(self, start_s: int) -> Self:
        """What was not over by then."""
        return self.only(self.ends_s > start_s)

    def share_of(self, start_s: int, end_s: int, n_products: int) -> FloatArray:
        """How much each product was put forward from start to end: the mean reach, shape (n_products,)."""
        both_s = np.minimum(self.ends_s, end_s) - np.maximum(self.starts_s, start_s)
        weight = np.maximum(both_s, 0) * self.reach / max(end_s - start_s, 1)
        return np.bincount(self.product_row, weight, n_products).astype(np.float32)
