"""What a rule does to the products of one version: each effect is arrays of rows, made once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.arrays import BoolArray, IntArray

ANY_NUMBER = 1_000_000  # more than any answer has

type Allowed = Callable[[], BoolArray]


@dataclass(frozen=True, slots=True, eq=False)
class Hide:
    """Rows that may not be shown; with `allowed` only those for which it says no, as of now.

    Attributes:
        rows: None for all products.
        allowed: for each of the rows; it looks at live values.
    """

    rows: IntArray | None
    allowed: Allowed | None = None

    def apply(self, shown: BoolArray) -> None:
        where = slice(None) if self.rows is None else self.rows
        if self.allowed is None:
            shown[where] = False
        else:
            shown[where] &= self.allowed()


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Rows whose score is multiplied."""

    rows: IntArray
    factor: float


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """At most this many products of one brand, or of one category.

    Attributes:
        most: by row of the brand or category, ANY_NUMBER where the rule isn't about it; the last entry is for
            products without.
    """

    most: IntArray
    is_of_categories: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The first of these rows that may be shown stands at a position.

    Attributes:
        rows: in the order of preference; without the products that the version doesn't know.
    """

    rule_id: str
    position: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bought:
    """Not what was bought within this many days; `about` says by row whether it is meant (None: all)."""

    days: int
    about: BoolArray | None


@dataclass(frozen=True, slots=True, eq=False)
class Often:
    """Not what was shown so often within this many days; `about` says by product row whether it is meant."""

    at_most: int
    days: int
    about: BoolArray | None = None
    is_of_offers: bool = False
    meant: "memoryview[int] | None" = field(init=False)
    """`about`, read one by one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "meant", None if self.about is None else memoryview(self.about))


@dataclass(frozen=True, slots=True)
class Vary:
    """How much less a product counts that is like one above it, as in `service.rules.diversity`."""

    strength: float


type Effect = Hide | Scale | Limit | Place | Bought | Often | Vary


def as_mask(rows: IntArray | None, n_products: int) -> BoolArray | None:
    """Rows as a mask; None stays all."""
    if rows is None:
        return None
    mask = np.zeros(n_products, np.bool_)
    mask[rows] = True
    return mask
