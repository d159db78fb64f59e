"""Stock, price and margin of products now: a version's own, and over them what the shop told since."""

import threading
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from models.arrays import BoolArray, FloatArray, IntArray
from storage.record.changes import ProductState
from storage.versions.strings import IdIndex

NOT_COUNTED = -1
"""A stock that nobody counts."""


class Shelf:
    """The live values of one version's products, by row. Arrays change in place, under whoever reads them.

    Attributes:
        stock: int32; 0 is out of stock, NOT_COUNTED is in stock.
        price, margin: float32, NaN where unknown.
        in_stock: bool.
        changes: grows with each change of anything.
        worth: what one sold unit earns: the margin, else a share of the price, else what the night took for
            it from what was paid; NaN where none is known.
        price_changes: grows with each change of a price or of a worth.
        repriced: rows whose price changed; whoever keeps texts with prices takes them out.
    """

    def __init__(
        self,
        products: IdIndex,
        stock: IntArray,
        price: FloatArray,
        margin: FloatArray,
        margin_share: float,
        worth: FloatArray,
    ) -> None:
        self._products = products
        self._told_by_night = stock, price, margin
        self._margin_share = margin_share
        self.stock, self.price, self.margin = stock.copy(), price.copy(), margin.copy()
        self.in_stock: BoolArray = stock != 0
        self.changes = self.price_changes = 0
        self.repriced: set[int] = set()
        self._nights_worth = worth
        assumed = np.where(np.isnan(price), self._nights_worth, price * np.float32(margin_share))
        self.worth: FloatArray = np.where(np.isnan(margin), assumed, margin).astype(np.float32)

    def apply(self, values: ProductState) -> None:
        """Put these values in force. A product that the version doesn't have is none of its business."""
        row = self._products.find(values.product_id)
        if row < 0:
            return
        stock, price, margin = self._told_by_night
        self.stock[row] = stock[row] if values.stock is None else max(values.stock, 0)
        self.in_stock[row] = self.stock[row] != 0
        self.margin[row] = _or_nights(values.margin, margin, row)
        before, worth_before = self.price[row], self.worth[row]
        self.price[row] = _or_nights(values.price, price, row)
        if not np.array_equal(before, self.price[row], equal_nan=True):
            self.repriced.add(row)
            self.price_changes += 1
        self.worth[row] = self._worth(row)
        if not np.array_equal(worth_before, self.worth[row], equal_nan=True):
            self.price_changes += 1
        self.changes += 1  # last: whoever sees it finds all of the above

    def _worth(self, row: int) -> float:
        if not np.isnan(self.margin[row]):
            return float(self.margin[row])
        if np.isnan(self.price[row]):
            return float(self._nights_worth[row])
        return float(self.price[row] * np.float32(self._margin_share))


class LiveProducts:
    """All that was told of products since this worker began to listen, for each version that answers.

    What is told of a product before its version comes isn't lost: the version takes it when it is opened.
    """

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, ProductState]] = {}
        self._shelves: WeakSet[Shelf] = WeakSet()
        self._turn = threading.Lock()

    def apply(self, product: ProductState, number: int) -> None:
        """A product's values from now on, in all that answers, unless a later change of it is here already.

        Args:
            number: of the change, in the record. Whoever asked for one and what follows those of other
                workers come here in any order.
        """
        with self._turn:
            if number < self._told.get(product.product_id, (0,))[0]:
                return
            self._told[product.product_id] = number, product
            for shelf in self._shelves:
                shelf.apply(product)

    def begin_anew(self) -> None:
        """Changes are numbered anew, as in a record that has lost its last ones; values stay."""
        with self._turn:
            self._told = {product_id: (0, product) for product_id, (_, product) in self._told.items()}

    def carry_to(self, shelf: Shelf) -> None:
        """Bring a version up to date, before it answers, and from now on."""
        with self._turn:
            for _, product in self._told.values():
                shelf.apply(product)
            self._shelves.add(shelf)


def _or_nights(value: float | None, told_by_night: NDArray[np.float32], row: int) -> float:
    return float(told_by_night[row]) if value is None else value
