"""A version as the day reads it: its arrays mapped, its products in the orders that answers need."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from models.arrays import BoolArray, IntArray
from models.errors import DamagedVersionError
from service.packed import Entries
from storage.versions import Version

NONE = -1
UNKNOWN = -1.0  # a probability
EPOCH = date(1970, 1, 1)


class ServedVersion:
    """One version and the variant of it that answers.

    Attributes:
        last_day: of the history, the shop's local date, in days since 1970-01-01.
        recent_days: length of the window up to then in which `recent_buyers` bought.
        in_stock: shape (n_products,): may be shown.
        popular: rows of every product that may be shown, most popular first, without a score last, by row.
        similar_product, similar_score: shape (n_products, m), best first, -1 and 0 where there are fewer.
        history_product: rows of what customers bought, by `history_of`, the most recent purchase first.
        history_start: shape (n_customers + 1,): where the history of each begins; the last is where all end.
        candidate_rows: shape (n_customers, m): product rows, best first, -1 where there are fewer.
    """

    def __init__(self, version: Version, variant: str) -> None:
        self.version_id, self.variant = version.version_id, variant
        self.as_of: datetime = version.manifest.as_of
        self.recent_days = version.manifest.history.recent_days
        self.last_day = self._last_day(version.manifest.history.timezone)
        self._version = version
        self.customers, self.products = version.ids("customers"), version.ids("products")
        n_customers, n_products = len(self.customers), len(self.products)
        self.titles, self.urls = version.strings("products/title"), version.strings("products/url")
        self.image_urls = version.strings("products/image_url")
        for name in ("title", "url", "image_url"):
            self._expect(f"products/{name}/offsets", np.int64, n_products + 1)
        self.prices = self._expect("products/price", np.float32, n_products)
        self.recent_buyers = self._expect("popular/recent_buyers", np.int32, n_products)
        self.buyers = self._expect("popular/buyers", np.int32, n_products)
        self.similar_product = self._expect("similar/product", np.int32, n_products)
        self.similar_score = self._expect("similar/score", np.float32, n_products)
        self.history_start = self._expect("history/indptr", np.int64, n_customers + 1)
        self.history_product = self._expect("history/product", np.int32)
        n_history = len(self.history_product)
        self.history_times = self._expect("history/times", np.uint16, n_history)
        self.history_last_day = self._expect("history/last_day", np.uint16, n_history)
        self.history_interval_days = self._expect("history/interval_days", np.float16, n_history)
        self.history_due_day = self._due_day(n_history)
        self.candidate_rows = self._expect(f"candidates/{variant}/product", np.int32, n_customers)
        self._evidence = self._expect(f"candidates/{variant}/evidence", np.int16, n_customers)
        self._probability = self._probabilities(f"candidates/{variant}/probability")
        categories = version.strings("categories")
        self.categories = [categories[row] for row in range(len(categories))]
        self.category_rows = {name: row for row, name in enumerate(self.categories)}
        self.category_row: IntArray = self._expect("products/category_row", np.int32, n_products)
        self.in_stock: BoolArray = self._expect("products/stock", np.int32, n_products) != 0
        self.popular = self._popular(self._expect("popular/order", np.int32))
        self._by_category, self._category_start = self._trends()

    def history_of(self, customer_row: int) -> tuple[int, int]:
        """Where a customer's history begins and ends in the arrays `history_...`."""
        return int(self.history_start[customer_row]), int(self.history_start[customer_row + 1])

    def candidates(self, customer_row: int, start: int, stop: int | None) -> Entries:
        """Part of a customer's candidates, best first; evidence are places in the history."""
        rows = self.candidate_rows[customer_row, start:stop]
        rows = rows[rows != NONE]
        part = slice(start, start + len(rows))
        evidence, probability = self._evidence[customer_row, part], self._probability[customer_row, part]
        told = np.nan_to_num(probability, nan=UNKNOWN)
        return rows.tolist(), evidence.tolist(), told.tolist()

    def trend(self, category_row: int) -> IntArray:
        """Products of a category that may be shown, most popular first; of no category for -1."""
        if category_row == NONE:
            return self._by_category[:0]
        start, stop = self._category_start[category_row : category_row + 2]
        return self._by_category[start:stop]

    def _probabilities(self, name: str) -> NDArray[Any]:
        """Beside each candidate; NaN, which is unknown, from a variant that knows none."""
        shape = self.candidate_rows.shape
        if f"{name}.npy" not in self._version.manifest.files:
            return np.broadcast_to(np.float16(np.nan), shape)
        array = self._expect(name, np.float16, shape[0])
        if array.shape != shape:
            what = f"shape {array.shape} does not fit the candidates'"
            raise DamagedVersionError(f"{self.version_id}/{name}.npy", what)
        return array

    def _due_day(self, n_history: int) -> NDArray[Any]:
        """When each product of the history is due again; 0, which is unknown, from a night without `due`."""
        if "history/due_day.npy" in self._version.manifest.files:
            return self._expect("history/due_day", np.uint16, n_history)
        return np.broadcast_to(np.uint16(0), n_history)

    def _last_day(self, timezone: str) -> int:
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            why = f"this machine knows no time zone {timezone!r}"
            raise DamagedVersionError(f"{self.version_id}/manifest.json", why) from err
        before_s = timedelta(seconds=1)  # as_of is the first second that isn't in the history
        return ((self.as_of - before_s).astimezone(zone).date() - EPOCH).days

    def _popular(self, scored: IntArray) -> IntArray:
        if scored.size and not 0 <= scored.min() <= scored.max() < len(self.products):
            raise DamagedVersionError(f"{self.version_id}/popular/order.npy", "rows of no product")
        has_score = np.zeros(len(self.products), np.bool_)
        has_score[scored] = True
        every = np.concatenate([scored, np.flatnonzero(~has_score).astype(np.int32)])
        shown: IntArray = every[self.in_stock[every]]
        return shown

    def _trends(self) -> tuple[IntArray, NDArray[np.int64]]:
        category = self.category_row[self.popular]
        by_category = self.popular[np.argsort(category, kind="stable")]
        bounds = np.arange(len(self.categories) + 1)
        return by_category, np.searchsorted(np.sort(category), bounds)

    def _expect(self, name: str, kind: type[np.generic], length: int | None = None) -> NDArray[Any]:
        """An array of the version, refused if it does not fit the others."""
        array = self._version.array(name)
        if array.dtype != kind or (length is not None and len(array) != length):
            what = f"{array.dtype} of shape {array.shape} does not fit the version"
            raise DamagedVersionError(f"{self.version_id}/{name}.npy", what)
        return array
