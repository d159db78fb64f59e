"""What a shop puts forward and when: leaflets, displays, front pages, price cuts for everybody."""

from dataclasses import dataclass, field
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
    """

    product_row: IntArray = field(default_factory=lambda: _none(np.int32))
    starts_s: LongArray = field(default_factory=lambda: _none(np.int64))
    ends_s: LongArray = field(default_factory=lambda: _none(np.int64))
    reach: FloatArray = field(default_factory=lambda: _none(np.float32))

    def __len__(self) -> int:
        return len(self.product_row)

    def only(self, mask: BoolArray) -> Self:
        """The entries where `mask` holds."""
        return type(self)(self.product_row[mask], self.starts_s[mask], self.ends_s[mask], self.reach[mask])

    def before(self, as_of_s: int) -> Self:
        """What begins within a day: the last purchase is of the evening, the next leaflet of midnight.

        A plan for later counts as unknown, since nobody says when it was made.
        """
        begun = self.starts_s < as_of_s + DAY_S
        return self if begun.all() else self.only(begun)

    def since(self, start_s: int) -> Self:
        """What was not over by then."""
        return self.only(self.ends_s > start_s)

    def share_of(self, start_s: int, end_s: int, n_products: int) -> FloatArray:
        """How much each product was put forward from start to end: the mean reach, shape (n_products,)."""
        both_s = np.minimum(self.ends_s, end_s) - np.maximum(self.starts_s, start_s)
        weight = np.maximum(both_s, 0) * self.reach / max(end_s - start_s, 1)
        return np.bincount(self.product_row, weight, n_products).astype(np.float32)
