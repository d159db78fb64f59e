"""Which products a customer gets: the own list first, then rung by rung down the ladder until n are found."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np

from models.arrays import IntArray
from service.errors import RefusedError
from service.packed import Columns, Entry, owner_of, pack, unpack
from service.parameters import Query
from service.served import NONE, UNKNOWN, ServedVersion
from storage.evidence import NO_EVIDENCE

LIST_LENGTH = 50  # of a list in Redis, which then takes less than 750 bytes; more is read on in the map
ANCHORS = 50  # most recent products of a customer's history whose neighbours are scored


class Rung(Enum):
    """Where a product of an answer came from, in the order of the ladder."""

    OWN = "own"
    SCORES = "scores"
    SIMILAR = "similar"
    CATEGORY = "category"
    POPULAR = "popular"


type Pick = tuple[int, Rung, int, float]
"""One product of an answer: its row, its rung, its evidence (as `storage.evidence` has it; below the rung
SCORES there is none) and its probability, UNKNOWN or 0 to 1. A plain tuple: answers make ten."""


@dataclass(slots=True)
class OwnList:
    """A known customer's assembled list. `written` keeps what was already written of it, by product row."""

    served: ServedVersion
    customer_row: int
    epoch: int
    columns: Columns
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
        for pick in self.picks:
            if pick[2] != NO_EVIDENCE:
                return "personal"
        return "popular"


class ListCache(Protocol):
    """Packed lists outside this process. It never raises: what can't be read isn't there."""

    def get(self, version_id: str, variant: str, customer_id: str, epoch: int) -> bytes | None: ...
    def put(self, version_id: str, variant: str, customer_id: str, value: bytes, epoch: int) -> None: ...


class FirstLevel:
    """The lists that this worker used within the last second, all of one version."""

    def __init__(self, size: int, life_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._life_s, self._clock = size, life_s, clock
        self._served: ServedVersion | None = None
        self._lists: dict[str, tuple[float, OwnList]] = {}

    def get(self, customer_id: str, served: ServedVersion, epoch: int) -> OwnList | None:
        if served is not self._served:
            self._served, self._lists = served, {}  # a list holds the files of its version open
        entry = self._lists.get(customer_id)
        if entry is None or entry[0] < self._clock() or entry[1].epoch != epoch:
            return None
        return entry[1]

    def put(self, customer_id: str, own: OwnList) -> None:
        if not self._life_s or own.served is not self._served:
            return
        if len(self._lists) >= self._size:
            self._lists.clear()  # they would be gone within a second anyway
        self._lists[customer_id] = (self._clock() + self._life_s, own)


def nothing_new(customer_id: str) -> int:
    """The epoch of every customer as long as nothing is learned between two nights."""
    return 0


class Recommender:
    """The use case behind the routes.

    Args:
        first_level: lists of this worker.
        cache: lists outside it; None: every list is read from the version's map.
        epoch_of: a number that grows with all that happens to a customer since the night, 0 for nothing. A
            list of another epoch is no list of theirs.
        only_changed: leave the cache to customers with an epoch. The others' lists stand in the map as they
            are, which is read in less time than a cache is asked.
    """

    def __init__(
        self,
        first_level: FirstLevel,
        cache: ListCache | None,
        epoch_of: Callable[[str], int] = nothing_new,
        *,
        only_changed: bool = False,
    ) -> None:
        self._first_level, self._cache = first_level, cache
        self._epoch_of, self._only_changed = epoch_of, only_changed

    def recommend(self, served: ServedVersion, customer_id: str, query: Query) -> Answer:
        """The next best products of a customer.

        Returns:
            exactly query.n products whenever so many may be shown, none twice, none that was excluded.
        Raises:
            RefusedError: the category isn't known.
        """
        basket = _Basket(served, query)
        own, level = self._own_list(served, customer_id)
        if own is None:
            level = "popular" if query.category is None else "category"
        else:
            basket.take_own(own.columns.entries())
            if not basket.is_full:
                basket.take_own(served.candidates(own.customer_row).entries(len(own.columns.rows)))
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
        basket.take_trends(served.category_row[product_row] if basket.category == NONE else basket.category)
        return Answer(basket.picks, None, "popular")

    def _own_list(self, served: ServedVersion, customer_id: str) -> tuple[OwnList | None, str]:
        epoch = self._epoch_of(customer_id)
        own = self._first_level.get(customer_id, served, epoch)
        if own is not None:
            return own, "worker"
        customer_row = served.customers.find(customer_id)
        if customer_row == NONE:
            return None, ""
        columns, level = self._columns(served, customer_id, customer_row, epoch)
        own = OwnList(served, customer_row, epoch, columns)
        self._first_level.put(customer_id, own)
        return own, level

    def _columns(
        self, served: ServedVersion, customer_id: str, customer_row: int, epoch: int
    ) -> tuple[Columns, str]:
        if self._cache is None or (self._only_changed and not epoch):
            return served.candidates(customer_row), "map"
        owner = owner_of(served.version_id, served.variant, customer_id, epoch)
        value = self._cache.get(served.version_id, served.variant, customer_id, epoch)
        columns = unpack(owner, value) if value is not None else None
        if columns is not None:
            return columns, "redis"
        columns = served.candidates(customer_row)
        value = pack(owner, columns.first(LIST_LENGTH))
        self._cache.put(served.version_id, served.variant, customer_id, value, epoch)
        return columns, "map"


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

    def take_own(self, entries: Iterable[Entry]) -> None:
        self._take(entries, Rung.OWN)

    def take(self, rows: list[int], rung: Rung) -> None:
        self._take([(row, NO_EVIDENCE, UNKNOWN) for row in rows], rung)

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

    def _take(self, entries: Iterable[Entry], rung: Rung) -> None:
        served, category, taken, picks, n = self._served, self.category, self.taken, self.picks, self._n
        if len(picks) >= n:
            return
        in_stock, category_row = served.in_stock, served.category_row
        for row, evidence, probability in entries:
            if row in taken or not in_stock[row] or (category != NONE and category_row[row] != category):
                continue
            taken.add(row)
            picks.append((row, rung, evidence, probability if probability >= 0 else UNKNOWN))  # a NaN isn't
            if len(picks) >= n:
                return
