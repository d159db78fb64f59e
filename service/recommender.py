"""Which products a customer gets: the own list first, then rung by rung down the ladder until n are found."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np

from models.arrays import IntArray
from service.errors import RefusedError
from service.packed import owner_of, pack, unpack
from service.parameters import Query
from service.served import NONE, UNKNOWN, ServedVersion

LIST_LENGTH = 100  # of a list that is cached; filters that need more read on in the map
ANCHORS = 50  # most recent products of a customer's history whose neighbours are scored


class Rung(Enum):
    """Where a product of an answer came from, in the order of the ladder."""

    OWN = "own"
    SCORES = "scores"
    SIMILAR = "similar"
    CATEGORY = "category"
    POPULAR = "popular"


type Pick = tuple[int, Rung, int, float]
"""One product of an answer: its row, its rung, its evidence (for OWN and SCORES a place in the customer's
history or -1, else -1) and its probability, UNKNOWN or 0 to 1. A plain tuple: answers make ten."""


@dataclass(slots=True)
class OwnList:
    """A known customer's assembled list. `written` keeps what was already written of it, by product row."""

    served: ServedVersion
    customer_row: int
    rows: list[int]
    evidence: list[int]
    probability: list[float]
    written: dict[int, str] = field(default_factory=dict)


class Answer(NamedTuple):
    """Products, best first. `own` is None for an unknown customer, `level` says where its list was read."""

    picks: list[Pick]
    own: OwnList | None
    level: str

    @property
    def source(self) -> str:
        """`personal` if the customer's own history is the reason of at least one product.

        Being in the own list isn't enough: the night fills it with what is popular.
        """
        personal = any(evidence != NONE for _, _, evidence, _ in self.picks)
        return "personal" if personal else "popular"


class ListCache(Protocol):
    """Packed lists outside this process. It never raises: what can't be read isn't there."""

    def get(self, version_id: str, variant: str, customer_id: str) -> bytes | None: ...
    def put(self, version_id: str, variant: str, customer_id: str, value: bytes) -> None: ...


class FirstLevel:
    """The lists that this worker used within the last second."""

    def __init__(self, size: int, life_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._life_s, self._clock = size, life_s, clock
        self._lists: dict[str, tuple[float, OwnList]] = {}
        self._served: ServedVersion | None = None

    def get(self, customer_id: str, served: ServedVersion) -> OwnList | None:
        entry = self._lists.get(customer_id)
        if entry is None or entry[0] < self._clock() or entry[1].served is not served:
            return None
        return entry[1]

    def put(self, customer_id: str, own: OwnList) -> None:
        if not self._life_s:
            return
        if len(self._lists) >= self._size or own.served is not self._served:
            self._lists.clear()  # they would be gone within a second anyway, and hold the version they are of
            self._served = own.served
        self._lists[customer_id] = (self._clock() + self._life_s, own)


class Recommender:
    """The use case behind the routes. Without a cache it reads every list from the version's map."""

    def __init__(self, first_level: FirstLevel, cache: ListCache | None) -> None:
        self._first_level, self._cache = first_level, cache

    def recommend(self, served: ServedVersion, customer_id: str, query: Query) -> Answer:
        """The next best products of a customer.

        Returns:
            exactly query.n products whenever so many may be shown, none twice, none that was excluded.
        Raises:
            RefusedError: the category isn't known.
        """
        basket = _Basket(served, query)
        own, level = self._own_list(served, customer_id)
        if own is not None:
            basket.take_own(own.rows, own.evidence, own.probability)
            if not basket.is_full:
                basket.take_own(*served.candidates(own.customer_row, LIST_LENGTH, None))
            if not basket.is_full:
                basket.take_scores(own.customer_row)
        basket.take_trends(basket.category)
        return Answer(basket.picks, own, level)

    def popular(self, served: ServedVersion, query: Query) -> Answer:
        """The most popular products, of a category or of all."""
        basket = _Basket(served, query)
        basket.take_trends(basket.category)
        return Answer(basket.picks, None, "popular")

    def similar(self, served: ServedVersion, product_row: int, query: Query) -> Answer:
        """Products that the same customers bought, filled with the trend of the product's category."""
        basket = _Basket(served, query)
        basket.taken.add(product_row)
        neighbours = served.similar_product[product_row]
        basket.take(neighbours[neighbours != NONE].tolist(), Rung.SIMILAR)
        basket.take_trends(
            int(served.category_row[product_row]) if basket.category == NONE else basket.category
        )
        return Answer(basket.picks, None, "popular")

    def _own_list(self, served: ServedVersion, customer_id: str) -> tuple[OwnList | None, str]:
        own = self._first_level.get(customer_id, served)
        if own is not None:
            return own, "worker"
        customer_row = served.customers.find(customer_id)
        if customer_row == NONE:
            return None, "popular"
        own, level = self._cached(served, customer_id, customer_row), "redis"
        if own is None:
            own, level = self._assembled(served, customer_id, customer_row), "map"
        self._first_level.put(customer_id, own)
        return own, level

    def _cached(self, served: ServedVersion, customer_id: str, customer_row: int) -> OwnList | None:
        if self._cache is None:
            return None
        value = self._cache.get(served.version_id, served.variant, customer_id)
        if value is None:
            return None
        entries = unpack(owner_of(served.version_id, served.variant, customer_id), value)
        return OwnList(served, customer_row, *entries) if entries else None

    def _assembled(self, served: ServedVersion, customer_id: str, customer_row: int) -> OwnList:
        own = OwnList(served, customer_row, *served.candidates(customer_row, 0, LIST_LENGTH))
        if self._cache is not None:
            owner = owner_of(served.version_id, served.variant, customer_id)
            value = pack(owner, own.rows, own.evidence, own.probability)
            self._cache.put(served.version_id, served.variant, customer_id, value)
        return own


class _Basket:
    """An answer in the making: takes what may be shown and isn't in it, until it is full."""

    def __init__(self, served: ServedVersion, query: Query) -> None:
        self._served, self._n = served, query.n
        self.category = NONE
        if query.category is not None:
            self.category = served.category_rows.get(query.category, NONE)
            if self.category == NONE:
                raise RefusedError("unknown_category", "category", "no product has this category")
        self.taken = {served.products.find(product_id) for product_id in query.exclude}
        self.picks: list[Pick] = []

    @property
    def is_full(self) -> bool:
        return len(self.picks) >= self._n

    def take_own(self, rows: list[int], evidence: list[int], probability: list[float]) -> None:
        self._take(zip(rows, evidence, probability, strict=True), Rung.OWN)

    def take(self, rows: list[int], rung: Rung) -> None:
        self._take(((row, NONE, UNKNOWN) for row in rows), rung)

    def take_scores(self, customer_row: int) -> None:
        """Score every neighbour of what the customer bought last: the sum of similarities to those products.

        The product of the history that adds most is the evidence; ties go to the more recent one, and ties
        between scores to the lower product row.
        """
        start, stop = self._served.history_of(customer_row)
        history = self._served.history_product[start : min(stop, start + ANCHORS)]
        neighbours = self._served.similar_product[history]
        places, columns = np.nonzero(neighbours != NONE)
        if not len(places):
            return
        products = neighbours[places, columns]
        scores = self._served.similar_score[history[places], columns].astype(np.float64)
        order = np.lexsort((places, -scores, products))
        products, first = np.unique(products[order], return_index=True)
        totals = np.add.reduceat(scores[order], first)
        anchors = places[order][first]
        best = np.lexsort((products, -totals))
        found = zip(products[best].tolist(), anchors[best].tolist(), strict=True)
        self._take(((row, anchor, UNKNOWN) for row, anchor in found), Rung.SCORES)

    def take_trends(self, category: int) -> None:
        """Fill with the trend of a category, and with the popular of all if no category was asked for."""
        self._take_popular(self._served.trend(category), Rung.CATEGORY)
        if self.category == NONE:
            self._take_popular(self._served.popular, Rung.POPULAR)

    def _take_popular(self, rows: IntArray, rung: Rung) -> None:
        if not self.is_full:
            self.take(rows[: self._n + len(self.taken)].tolist(), rung)  # each one passed over is in `taken`

    def _take(self, entries: Iterable[tuple[int, int, float]], rung: Rung) -> None:
        served, category, taken, picks, n = self._served, self.category, self.taken, self.picks, self._n
        if len(picks) >= n:
            return
        in_stock, category_row = served.in_stock, served.category_row
        for row, evidence, probability in entries:
            if row in taken or not in_stock[row] or (category != NONE and category_row[row] != category):
                continue
            taken.add(row)
            picks.append((row, rung, evidence, probability))
            if len(picks) >= n:
                return
