"""A version as the day reads it: its arrays mapped, its products in the orders that answers need."""

from copy import copy
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from models.arrays import NONE, DoubleArray, FloatArray, IntArray
from models.errors import DamagedVersionError, UnroutedVariantError
from models.numerics.by_group import ByGroup
from models.session import Moves, SessionFigures
from models.strangers import Counts, Proposers, by_places
from models.taste import Taste
from service.answering.packed import Columns
from service.live.products import Shelf
from service.versions.cells import Cells
from service.versions.standing import new_in_shop, popular_in_category
from storage.record.live import Since
from storage.versions.offers import PublishedOffers
from storage.versions.order_keys import order_key
from storage.versions.people import People
from storage.versions.required import check_answers
from storage.versions.strings import IdIndex
from storage.versions.version import Version

UNKNOWN = -1.0  # a probability
EPOCH = date(1970, 1, 1)
KEPT_ROWS = 10_000  # of customers, about 200 bytes each


class Histories(NamedTuple):
    """What customers bought, by `ServedVersion.history_of`, the most recent purchase first; one entry each of
    all columns for each customer and product.

    Attributes:
        product: row.
        times: distinct orders.
        last_day: of the last one, days since 1970-01-01.
        interval_days: mean days between them, NaN for a single one.
        due_day: when to expect it again, days since 1970-01-01; 0 if that isn't known.
    """

    product: "memoryview[int]"
    times: "memoryview[int]"
    last_day: "memoryview[int]"
    interval_days: "memoryview[float]"
    due_day: "memoryview[int]"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class ServedVersion:
    """One version and the variant of it that answers.

    What answers read one by one are views of the mapped arrays: an element of a view costs half of what numpy
    takes for it.

    Attributes:
        zone: the shop's time zone.
        last_day: of the history, the shop's local date, in days since 1970-01-01.
        recent_days: length of the window up to then in which `recent_buyers` bought.
        shelf: stock, price and margin, as they are now.
        prices: the shelf's.
        customer_row: finds a customer's row by id, NONE for one whom it doesn't know. Whoever comes once
            comes again soon, and so it is kept: a search goes through memory that no cache has.
        replaced_product: rows of the products by which others were replaced.
        category_row, brand_row: by product row, -1 for none.
        is_popular_in, is_new: by product row, as in `service.versions.standing`.
        first_day: on which each product was first bought, days since 1970-01-01; 0 where nobody did.
        popular: rows of every product, most popular first; what nobody bought yet last, the newest first.
        people: what else the shop says of customers.
        similar_product, similar_score: shape (n_products, m), best first, -1 and 0 where there are fewer.
        alike: shape (n_products, m), product rows, the most alike first, -1 where there are fewer.
        history_product: `histories.product` as an array.
        history_start: shape (n_customers + 1,): where the history of each begins; the last is where all end.
        candidate_rows: shape (n_customers, m): product rows, best first, -1 where there are fewer.
        candidate_evidence: the same shape, as in `storage.versions.evidence`.
        product_interval: after how many days whoever bought a product once is expected to buy it again; NaN
            if nobody bought it or its like again.
        order_keys: of the latest lines of orders that the night had, sorted.
        horizon_days: within which purchases are expected.
        moves: what the night knows of orders that follow another.
        session: how much what was bought since moves a list.
        proposers, stranger_counts: what makes the list of somebody whom the night didn't see.
        taste: proposes products to somebody whom the night didn't see; None of a night without `als`.
        offers: of the shop's campaigns; none of a night that knew none.
        since: which events it doesn't know.
        tombstone: number of the latest erasure that the night knew; what it has of those after is void.
        key: that only a reader of the version has, on whatever machine.
        bound_rules: what books of rules come to on it, by book: it lives as long as the version.
    """

    def __init__(self, version: Version, variant: str) -> None:
        check_answers(version, variant)
        self.version_id, self.variant = version.version_id, variant
        self.key = version.key()
        self.as_of: datetime = version.manifest.as_of
        self.recent_days = version.manifest.history.recent_days
        self.zone = self._zone(version.manifest.history.timezone)
        self.last_day = self._last_day()
        self._version = version
        self.customers, self.products = version.ids("customers"), version.ids("products")
        self.customer_row = lru_cache(KEPT_ROWS)(self.customers.find)
        n_customers, n_products = len(self.customers), len(self.products)
        self._replaced, self.replaced_product = self._of_replaced()
        self.titles, self.urls = version.strings("products/title"), version.strings("products/url")
        self.image_urls = version.strings("products/image_url")
        for name in ("title", "url", "image_url"):
            version.array_of(f"products/{name}/offsets", np.int64, n_products + 1)
        self.shelf = self._shelf(n_products)
        self.prices = self.shelf.price
        self.recent_buyers = version.array_of("popular/recent_buyers", np.int32, n_products)
        self.buyers = version.array_of("popular/buyers", np.int32, n_products)
        self._take_neighbours(n_products)
        self.history_start = version.array_of("history/indptr", np.int64, n_customers + 1)
        self._starts = memoryview(self.history_start)
        self.history_product = version.array_of("history/product", np.int32)
        self.histories = self._histories(len(self.history_product))
        self._take_candidates(variant)
        categories = version.strings("categories")
        self.categories = [categories[row] for row in range(len(categories))]
        self.category_rows = {name: row for row, name in enumerate(self.categories)}
        category_row: IntArray = version.array_of("products/category_row", np.int32, n_products)
        self.category_row = memoryview(category_row)
        self.is_popular_in = memoryview(popular_in_category(self.recent_buyers, category_row))
        self.first_day: NDArray[np.uint16] = version.array_of("popular/first_day", np.uint16, n_products)
        self.is_new = memoryview(new_in_shop(self.first_day, self.last_day, self.recent_days))
        self.popular = self._popular(version.array_of("popular/order", np.int32))
        self.trends = ByGroup.of(self.popular, category_row, len(self.categories))
        brands = version.strings("brands")
        self.brands = [brands[row] for row in range(len(brands))]
        self.brand_row = memoryview(version.array_of("products/brand_row", np.int32, n_products))
        self.people = People(version, n_customers)
        self.product_interval = memoryview(version.array_of("products/interval_days", np.float32, n_products))
        self.order_keys: NDArray[np.uint64] = version.array_of("history/order_keys", np.uint64)
        self.horizon_days = version.manifest.horizon_days
        self.session, self.stranger_counts = self._session_figures(), self._counts()
        self.moves = self._moves(n_products, len(categories))
        self.taste = self._taste(n_products)
        self.proposers = Proposers(self.alike, self.trends, self.category_row, self.taste, self.popular)
        self.offers = PublishedOffers(version, n_customers, n_products)
        self.bound_rules: WeakKeyDictionary[object, object] = WeakKeyDictionary()
        self.tombstone = version.manifest.history.tombstone or 0
        self.since = Since(
            _ms(self.as_of), _ms(version.manifest.created_at), version.manifest.history.last_event
        )

    def of_variant(self, variant: str) -> "ServedVersion":
        """The same version with the lists of another variant; all else is shared.

        Raises:
            UnroutedVariantError: the night left no lists of this variant.
            DamagedVersionError: they can't be used.
        """
        manifest = self._version.manifest
        if variant not in manifest.routed:
            raise UnroutedVariantError(self.version_id, variant, manifest.routed)
        other = copy(self)
        other.variant, other.bound_rules = variant, WeakKeyDictionary()
        other._take_candidates(variant)
        return other

    def named(self, variant: str) -> "ServedVersion":
        """The same under the name of a variant that needs no lists, as what is popular."""
        other = copy(self)
        other.variant, other.bound_rules = variant, WeakKeyDictionary()
        return other

    @cached_property
    def cells(self) -> Cells:
        """Products by brand and category at once; only who must know both asks for them."""
        brand_row, category_row = np.asarray(self.brand_row), np.asarray(self.category_row)
        return Cells.of(brand_row, category_row, len(self.brands), len(self.categories))

    def title(self, product_row: int) -> str:
        """A product's title, its id where the shop gave none."""
        return self.titles[product_row] or self.products[product_row]

    def history_of(self, customer_row: int) -> tuple[int, int]:
        """Where a customer's history begins and ends in `histories`."""
        return self._starts[customer_row], self._starts[customer_row + 1]

    def place_of(self, customer_row: int, product_row: int) -> int:
        """Where in `histories` a product stands that the customer bought."""
        start, stop = self.history_of(customer_row)
        return start + self.histories.product[start:stop].tolist().index(product_row)

    def find_place(self, customer_row: int, product_row: int) -> int:
        """The same, NONE for a product that the customer didn't buy."""
        start, stop = self.history_of(customer_row)
        places = np.flatnonzero(self.history_product[start:stop] == product_row)
        return start + int(places[0]) if len(places) else NONE

    def has_order(self, customer_id: str, order_id: str, product_row: int) -> bool:
        """Whether the night had this line of an order among those of its last days."""
        key = np.uint64(order_key(customer_id, order_id, self.products[product_row]))
        place = int(np.searchsorted(self.order_keys, key))
        return place < len(self.order_keys) and bool(self.order_keys[place] == key)

    def product_row(self, product_id: str) -> int:
        """The row of a product, also by an id under which it was sold before it was replaced; NONE for an id
        that no product has or had. Of stock and prices ask `products`: those of an old pack are its own."""
        row = self.products.find(product_id)
        if row == NONE and (old := self._replaced.find(product_id)) != NONE:
            row = int(self.replaced_product[old])
        return row

    def proposed_to_stranger(
        self, similar: IntArray, rows: list[int], times: list[int]
    ) -> tuple[IntArray, DoubleArray]:
        """What somebody whom the night didn't see gets by a few products, and what each counts.

        Args:
            similar: of `goes_with` those.
            rows: the products, the latest first.
            times: in how many orders each was bought.
        Returns:
            as of `by_places`; nothing where these products say nothing: what is popular comes by itself.
        """
        proposed, counts = self.proposers.proposals(similar, rows, times), self.stranger_counts._asdict()
        if not any(len(found) and counts[name] for name, found in proposed if name != "popular"):
            proposed = []
        return by_places([(found, counts[name]) for name, found in proposed], self.session.first)

    def candidates(self, customer_row: int) -> Columns:
        """A customer's candidates, best first; evidence are places in the customer's history."""
        start = customer_row * self._list_length
        stop = start + self._list_length
        rows, evidence, probability = self._lists
        if start < stop and rows[stop - 1] == NONE:
            stop = start + rows[start:stop].tolist().index(NONE)
        return Columns(rows[start:stop], evidence[start:stop], probability[start:stop])

    def _take_neighbours(self, n_products: int) -> None:
        self.similar_product = self._version.array_of("similar/product", np.int32, n_products)
        self.similar_score = self._version.array_of("similar/score", np.float32, n_products)
        self.alike: IntArray = np.zeros((n_products, 0), np.int32)
        if self._version.has("alike/product"):  # not of an earlier checkout's night
            self.alike = self._version.array_of("alike/product", np.int32, n_products)

    def _of_replaced(self) -> tuple[IdIndex, IntArray]:
        if not self._version.has("replaced/product"):  # of a shop that replaced none
            return IdIndex.build([]), np.zeros(0, np.int32)
        ids = self._version.ids("replaced")
        return ids, self._version.array_of("replaced/product", np.int32, len(ids))

    def _take_candidates(self, variant: str) -> None:
        self.candidate_rows = self._version.array_of(
            f"candidates/{variant}/product", np.int32, len(self.customers)
        )
        self.candidate_evidence = self._version.array_of(
            f"candidates/{variant}/evidence", np.uint8, self.candidate_rows.shape
        )
        self._lists = self._candidates(variant)

    def _candidates(self, variant: str) -> Columns:
        """The lists of all customers, one after another, each of `_list_length` places, -1 after its end."""
        rows, evidence = self.candidate_rows, self.candidate_evidence
        self._list_length = rows.size // max(len(rows), 1)
        name = f"candidates/{variant}/probability"
        if self._version.has(name):
            probability = self._version.array_of(name, np.float16, rows.shape).reshape(-1)
        else:  # of a variant that knows none
            probability = np.broadcast_to(np.float16(UNKNOWN), rows.size)
        return Columns(
            memoryview(rows.reshape(-1)), memoryview(evidence.reshape(-1)), memoryview(probability)
        )

    def _histories(self, length: int) -> Histories:
        due = np.broadcast_to(np.uint16(0), length)
        if self._version.has("history/due_day"):  # else a night without `due`
            due = self._version.array_of("history/due_day", np.uint16, length)
        return Histories(
            memoryview(self.history_product),
            memoryview(self._version.array_of("history/times", np.uint16, length)),
            memoryview(self._version.array_of("history/last_day", np.uint16, length)),
            memoryview(self._version.array_of("history/interval_days", np.float16, length)),
            memoryview(due),
        )

    def _moves(self, n_products: int, n_categories: int) -> Moves:
        interval = self._version.array_of("categories/interval_days", np.float32, n_categories)
        return Moves(
            self.category_row,
            memoryview(interval),
            self._category_left(n_categories),
            self._lift(n_products),
            self.horizon_days,
        )

    def _lift(self, n_products: int) -> FloatArray:
        lift: FloatArray = self._version.array_of("follow_up/lift", np.float32, n_products)
        if lift.shape != (n_products,) or not (np.isfinite(lift).all() and (lift > 0).all()):
            raise self._version.damaged("follow_up/lift", "not all are above 0")
        return lift

    def _session_figures(self) -> SessionFigures:
        found = self._version.array_of("session/figures", np.float64, (3,)).tolist()
        if self._version.has("session/similar"):  # else of an earlier checkout's night
            found += self._version.array_of("session/similar", np.float64, (1,)).tolist()
        figures = SessionFigures(*found)
        is_able = figures.first > 0 and 0 <= figures.steps_back <= 1 and 0 < figures.half_life < np.inf
        if not (is_able and 0 <= figures.similar < np.inf):
            raise self._version.damaged("session/figures", f"can't be: {figures}")
        return figures

    def _category_left(self, n_categories: int) -> FloatArray:
        if not self._version.has("follow_up/category_left"):  # of an earlier checkout's night
            return np.full(n_categories, 1 - self.session.steps_back, np.float32)
        left = self._version.array_of("follow_up/category_left", np.float32, n_categories)
        if not ((left > 0) & (left <= 1)).all():
            raise self._version.damaged("follow_up/category_left", "shares that are none")
        return left

    def _counts(self) -> Counts:
        if not self._version.has("session/stranger_counts"):  # of an earlier checkout's night
            return Counts(alike=0.0, popular=0.0)
        n = len(Counts._fields)
        counts = self._version.array_of("session/stranger_counts", np.float64, (n,)).tolist()
        if not all(0 <= count < np.inf for count in counts):
            raise self._version.damaged("session/stranger_counts", f"can't be: {counts}")
        return Counts(*counts)

    def _taste(self, n_products: int) -> Taste | None:
        if not self._version.has("taste/product"):
            return None
        product = self._version.array_of("taste/product", np.int32)
        every = self._version.array_of("variants/als/product_factors", np.float32, n_products)
        n_factors = every.shape[-1]
        pool = self._version.array_of("taste/factors", np.float32, (len(product), n_factors))
        matrix = self._version.array_of("taste/matrix", np.float32, (n_factors, n_factors))
        return Taste(product, pool, every, matrix)

    def _zone(self, timezone: str) -> ZoneInfo:
        try:
            return ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            why = f"this machine knows no time zone {timezone!r}"
            raise DamagedVersionError(f"{self.version_id}/manifest.json", why) from err

    def _last_day(self) -> int:
        before_s = timedelta(seconds=1)  # as_of is the first second that isn't in the history
        return ((self.as_of - before_s).astimezone(self.zone).date() - EPOCH).days

    def _shelf(self, n_products: int) -> Shelf:
        stock = self._version.array_of("products/stock", np.int32, n_products)
        price = self._version.array_of("products/price", np.float32, n_products)
        margin = self._version.array_of("products/margin", np.float32, n_products)
        share = float(self._version.array_of("value/margin_share", np.float32, 1)[0])
        worth = self._version.array_of("products/worth", np.float32, n_products)
        return Shelf(self.products, stock, price, margin, share, worth)

    def _popular(self, scored: IntArray) -> IntArray:
        if scored.size and not 0 <= scored.min() <= scored.max() < len(self.products):
            raise self._version.damaged("popular/order", "rows of no product")
        has_score = np.zeros(len(self.products), np.bool_)
        has_score[scored] = True
        return np.concatenate([scored, np.flatnonzero(~has_score).astype(np.int32)])
