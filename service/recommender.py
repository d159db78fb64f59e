"""Which products a customer gets: the own list first, then rung by rung down the ladder until n are found."""

import struct
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import repeat
from typing import NamedTuple, Protocol

import numpy as np

from models.arrays import BoolArray, IntArray
from service.errors import RefusedError
from service.live.session import FIRST_LINE, Session, assembled, session_of
from service.live.told import NOT_PERSONAL, Told
from service.packed import Columns, Entry, owner_of, pack, unpack
from service.parameters import N_MAX, Query
from service.rules.book import RuleBook
from service.rules.effects import Place
from service.rules.placed import PlacedRules
from service.rules.ruling import Moved, Ruling, in_new_order
from service.served import NONE, UNKNOWN, ServedVersion
from storage.evidence import NO_EVIDENCE

LIST_LENGTH = 50  # of a list in Redis, which then takes less than 750 bytes; more is read on in the map
ANCHORS = 50  # most recent products of a customer's history whose neighbours are scored
SLACK = 50  # popular products that are looked at one by one beyond those that are missing
MOST_READ = 256  # that are looked at before those that can't come are sorted out


class Rung(Enum):
    """Where a product of an answer came from, in the order of the ladder; the shop's pins stand beside it."""

    PINNED = "pinned"
    OWN = "own"
    SCORES = "scores"
    SIMILAR = "similar"
    CATEGORY = "category"
    POPULAR = "popular"


NO_PINS: Mapping[int, str] = {}

type Pick = tuple[int, Rung, int, float]
"""One product of an answer: its row, its rung, its evidence (as `storage.evidence` has it; below the rung
SCORES there is none) and its probability, UNKNOWN or 0 to 1. A plain tuple: answers make ten."""


@dataclass(slots=True)
class OwnList:
    """A customer's assembled list.

    Attributes:
        customer_row: NONE of somebody whom the night didn't see, or may not be seen with.
        told: what the worker knew when it was assembled; None if there was nothing new.
        columns: as it was assembled; it may be only the beginning.
        rules, ruling: what was in force, and of it what concerns this customer.
        moved: products of it that the rules move.
        bought: what the rules leave out because it was bought lately.
        session: what was bought since the night.
        written: what was already written of it, by product row, with prices as of `price_changes`.
    """

    served: ServedVersion
    customer_row: int
    told: Told | None
    columns: Columns
    rules: PlacedRules
    ruling: Ruling
    moved: list[Moved] = field(default_factory=list)
    bought: frozenset[int] = frozenset()
    session: Session | None = None
    written: dict[int, str] = field(default_factory=dict)
    price_changes: int = 0

    def probability(self, product_row: int) -> float:
        """Of a product, UNKNOWN if it isn't in the list."""
        place = _place_of(product_row, self.columns.rows.tobytes())
        if place == NONE:
            return UNKNOWN
        probability = self.columns.probability[place]
        return probability if probability >= 0 else UNKNOWN  # a NaN isn't


def _place_of(product_row: int, rows: bytes) -> int:
    """Where a row stands among int32 rows, NONE if it doesn't; one look through bytes is soon done."""
    wanted = struct.pack("i", product_row)
    found = rows.find(wanted)
    while found % 4 and found != NONE:  # across two rows
        found = rows.find(wanted, found + 1)
    return found // 4


class Answer(NamedTuple):
    """Products, best first.

    Attributes:
        own: None for an unknown customer.
        level: where the list was read.
        pinned: the rule that put a product where it stands, by product row.
    """

    picks: list[Pick]
    own: OwnList | None
    level: str
    pinned: Mapping[int, str]

    @property
    def source(self) -> str:
        """`session` if the customer bought something since the night; else `personal` if the customer's own
        history is the reason of at least one product.

        Being in the own list isn't enough: the night fills it with what is popular.
        """
        if self.own is not None and self.own.session is not None:
            return "session"
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

    def get(self, customer_id: str, rules: PlacedRules, told: Told | None) -> OwnList | None:
        if rules.served is not self._served:
            self._served, self._lists = rules.served, {}  # a list holds the files of its version open
        entry = self._lists.get(customer_id)
        if entry is None or entry[0] < self._clock():
            return None
        own = entry[1]
        return own if own.rules is rules and own.told is told else None

    def put(self, customer_id: str, own: OwnList) -> None:
        if not self._life_s or own.served is not self._served:
            return
        if len(self._lists) >= self._size:
            self._lists.clear()  # they would be gone within a second anyway
        self._lists[customer_id] = (self._clock() + self._life_s, own)


def nothing_new(customer_id: str) -> Told | None:
    """What is new of every customer where nothing is learned between two nights."""
    return None


class Recommender:
    """The use case behind the routes.

    Args:
        first_level: lists of this worker.
        cache: lists outside it; None: every list is read from the version's map.
        news_of: what happened to a customer since the night, None for nothing. A list made before is no list
            of theirs.
        only_changed: leave the cache to customers with something new. The others' lists stand in the map as
            they are, which is read in less time than a cache is asked.
        book: the merchandiser's rules.
        clock: Unix seconds.
    """

    def __init__(
        self,
        first_level: FirstLevel,
        cache: ListCache | None,
        news_of: Callable[[str], Told | None] = nothing_new,
        *,
        only_changed: bool = False,
        book: RuleBook | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._first_level, self._cache = first_level, cache
        self._book = book or RuleBook()
        self._news_of, self._only_changed, self._clock = news_of, only_changed, clock

    def recommend(self, served: ServedVersion, customer_id: str, query: Query) -> Answer:
        """The next best products of a customer.

        Returns:
            exactly query.n products whenever so many may be shown, none twice, none that was excluded or that
            the rules hide.
        Raises:
            RefusedError: the category isn't known.
        """
        rules = self._book.at(served, query.placement)
        told = self._news_of(customer_id)
        if told is NOT_PERSONAL:
            return self._of_nobody(rules, query)
        own, level = self._own_list(rules, customer_id, told)
        if own is None:
            basket = _Basket(rules.of_stranger(customer_id), query)
            level = "popular" if query.category is None else "category"
        else:
            basket = _Basket(own.ruling.fresh(), query, own=own)
            if own.moved:
                basket.take_own(in_new_order(own.columns, own.moved))
            else:
                basket.take_own(own.columns.entries())
                if not basket.is_full:
                    basket.take_own(_rest(own))
            if not basket.is_full and own.customer_row != NONE:
                basket.take_scores(own.customer_row)
        basket.take_trends(basket.category)
        if own is not None and own.session is not None:
            basket.take_held(own.session)
        return basket.answer(own, level)

    def _of_nobody(self, rules: PlacedRules, query: Query) -> Answer:
        """What somebody gets whose answers may not be personal: nothing of them is looked at."""
        basket = _Basket(rules.of_nobody(), query)
        basket.take_trends(basket.category)
        return basket.answer(None, "popular" if query.category is None else "category")

    def popular(self, served: ServedVersion, query: Query) -> Answer:
        """The most popular products, of a category or of all."""
        basket = _Basket(self._book.at(served, query.placement).of_nobody(), query)
        basket.take_trends(basket.category)
        return basket.answer(None, "popular")

    def similar(self, served: ServedVersion, product_row: int, query: Query) -> Answer:
        """Products that the same customers bought, filled with the trend of the product's category."""
        basket = _Basket(self._book.at(served, query.placement).of_nobody(), query, without=product_row)
        basket.take_similar(product_row)
        basket.take_trends(served.category_row[product_row] if basket.category == NONE else basket.category)
        return basket.answer(None, "popular")

    def _own_list(
        self, rules: PlacedRules, customer_id: str, told: Told | None
    ) -> tuple[OwnList | None, str]:
        own = self._first_level.get(customer_id, rules, told)
        if own is not None:
            return own, "worker"
        served = rules.served
        customer_row = NONE
        if told is None or told.has_night:
            customer_row = served.customers.find(customer_id)
        session = session_of(served, customer_row, told, self._clock()) if told and told.lines else None
        if customer_row == NONE and session is None:
            return None, ""
        columns, level = self._columns(served, customer_id, customer_row, told, session)
        if customer_row != NONE:
            ruling = rules.of_person(customer_row)
        elif told is not None and told.has_night:
            ruling = rules.of_stranger(customer_id)
        else:
            ruling = rules.of_nobody()
        own = OwnList(served, customer_row, told, columns, rules, ruling, session=session)
        _put_under_rules(own)
        self._first_level.put(customer_id, own)
        return own, level

    def _columns(
        self,
        served: ServedVersion,
        customer_id: str,
        customer_row: int,
        told: Told | None,
        session: Session | None,
    ) -> tuple[Columns, str]:
        if self._cache is None or (self._only_changed and told is None):
            return _made(served, customer_row, session), "map"
        epoch, mark = (told.epoch, told.mark) if told else (0, 0)
        owner = owner_of(served.version_id, served.variant, customer_id, epoch, mark)
        value = self._cache.get(served.version_id, served.variant, customer_id, epoch)
        columns = unpack(owner, value) if value is not None else None
        if columns is not None:
            return columns, "redis"
        columns = _made(served, customer_row, session)
        value = pack(owner, columns.first(LIST_LENGTH))
        self._cache.put(served.version_id, served.variant, customer_id, value, epoch)
        return columns, "map"


def _made(served: ServedVersion, customer_row: int, session: Session | None) -> Columns:
    return assembled(session) if session else served.candidates(customer_row)


def _rest(own: OwnList) -> Iterable[Entry]:
    """What comes after a list that may be only the beginning."""
    n = len(own.columns.rows)
    if own.session is None:
        return own.served.candidates(own.customer_row).entries(n)
    return assembled(own.session).entries(n) if n == LIST_LENGTH else ()


def _put_under_rules(own: OwnList) -> None:
    """Note what the rules change of a list."""
    ruling = own.ruling
    if ruling.factors is not None:
        whole = _made(own.served, own.customer_row, own.session)
        own.columns = own.columns.followed_by(whole) if own.told else whole  # else any list is the map's
        own.moved = ruling.moved(own.columns)
    if ruling.bought:
        own.bought = _bought_lately(own)


def _bought_lately(own: OwnList) -> frozenset[int]:
    """What rules leave out, because it was bought lately."""
    ruling, today = own.ruling, own.rules.today
    of_night = ruling.bought_rows(own.customer_row, today) if own.customer_row != NONE else frozenset()
    if own.session is None:
        return of_night
    bought = own.session.bought
    return of_night | {
        one.product_row for one in bought if ruling.was_too_recent(one.product_row, today - one.day)
    }


type Counted = tuple["memoryview[int]", int, dict[int, int]]
"""A limit: the group of each product, how many may be of one, and how many there are."""


class _Basket:
    """An answer in the making: takes what may be shown and isn't in it, until it is full.

    Args:
        own: the list of the customer, where there is one.
        without: a product that isn't shown, in addition to those of the query.
    """

    def __init__(
        self, ruling: Ruling, query: Query, *, own: OwnList | None = None, without: int = NONE
    ) -> None:
        served = ruling.served
        self._served, self._ruling, self._n, self._own = served, ruling, query.n, own
        self.category = NONE
        if query.category is not None:
            self.category = served.category_rows.get(query.category, NONE)
            if self.category == NONE:
                raise RefusedError("unknown_category", "category", "no product has this category")
        self.taken = {served.products.find(product_id) for product_id in query.exclude}
        if without != NONE:
            self.taken.add(without)
        if own is not None and own.bought:
            self.taken |= own.bought
        self.picks: list[Pick] = []
        self._counts: list[Counted] = []
        if ruling.limits:
            of_one = query.category is not None  # "at most n per category" is no word on a category by itself
            self._counts = [
                (limit.groups, limit.at_most, {NONE: -N_MAX - 1})  # so many without a group never come
                for limit in ruling.limits
                if not (of_one and limit.is_of_categories)
            ]
        self._pins: list[tuple[Place, int]] = []
        if ruling.pins:
            self._take_pins()
        self._held: list[int] = []
        if own is not None and own.session is not None:
            self._held = [row for row in own.session.held if row not in self.taken]
            self.taken.update(self._held)

    def answer(self, own: OwnList | None, level: str) -> Answer:
        """What was taken, with the pins at their places."""
        picks, pinned = self.picks, NO_PINS
        if self._pins:
            pinned = {row: pin.rule_id for pin, row in self._pins}
            for pin, row in self._pins:
                probability = own.probability(row) if own else UNKNOWN
                picks.insert(pin.position - 1, (row, Rung.PINNED, NO_EVIDENCE, probability))
        return Answer(picks, own, level, pinned)

    @property
    def is_full(self) -> bool:
        return len(self.picks) >= self._n

    def take_own(self, entries: Iterable[Entry]) -> None:
        self._take(entries, Rung.OWN)

    def take_held(self, session: Session) -> None:
        """What was bought just now and isn't due yet: only if nothing else is left."""
        if self.is_full or not self._held:
            return
        self.taken.difference_update(self._held)
        places = {one.product_row: FIRST_LINE + line for line, one in enumerate(session.bought)}
        self._take(((row, places[row], UNKNOWN) for row in self._held), Rung.OWN)

    def take_similar(self, product_row: int) -> None:
        """The product's neighbours, the most similar first."""
        rows = self._served.similar_product[product_row]
        rows = rows[rows != NONE]
        if self._ruling.factors is not None:
            scores = self._served.similar_score[product_row][: len(rows)] * self._ruling.factors[rows]
            rows = rows[np.argsort(-scores, kind="stable")]
        self._take_rows(rows.tolist(), Rung.SIMILAR)

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
        if self._ruling.factors is not None:
            totals *= self._ruling.factors[products]
        anchors = places[order][first]
        best = np.lexsort((products, -totals))
        found = zip(products[best].tolist(), anchors[best].tolist(), strict=True)
        self._take(((row, anchor, UNKNOWN) for row, anchor in found), Rung.SCORES)

    def take_trends(self, category: int) -> None:
        """Fill with the trend of a category, and with the popular of all if no category was asked for."""
        if self.is_full:
            return
        self._take_popular(self._ruling.trends[category], Rung.CATEGORY)
        if self.category == NONE and not self.is_full:
            self._take_popular(self._ruling.popular, Rung.POPULAR)

    def _take_popular(self, rows: IntArray, rung: Rung) -> None:
        most = self._n - len(self.picks) + len(self.taken) + SLACK
        self._take_rows(rows[:most].tolist(), rung)
        rest = rows[most:]
        while rest.size and not self.is_full:
            rest = rest[self._may_come(rest)]
            self._take_rows(rest[:MOST_READ].tolist(), rung)
            rest = rest[MOST_READ:]

    def _may_come(self, rows: IntArray) -> BoolArray:
        """Which rows nothing keeps out but that they may be in the basket already."""
        may: BoolArray = self._ruling.mask[rows]
        for groups, at_most, counts in self._counts:
            full = [group for group, count in counts.items() if count >= at_most]
            may = may & ~np.isin(np.asarray(groups)[rows], full)
        return may

    def _take_pins(self) -> None:
        """Put pins aside: their places are kept free, and they count for the limits that others keep."""
        held: set[int] = set()
        for pin in self._ruling.pins:
            row = next((row for row in pin.rows if self._is_free(row)), NONE)
            if row == NONE or pin.position > self._n or pin.position in held:
                continue
            held.add(pin.position)
            self.taken.add(row)
            self._pins.append((pin, row))
            _counted(row, self._counts, is_pin=True)
        self._n -= len(self._pins)

    def _is_free(self, row: int) -> bool:
        fits = self.category in (NONE, self._served.category_row[row])
        return fits and row not in self.taken and bool(self._ruling.shown[row])

    def _take_rows(self, rows: list[int], rung: Rung) -> None:
        self._take(zip(rows, repeat(NO_EVIDENCE), repeat(UNKNOWN)), rung)

    def _take(self, entries: Iterable[Entry], rung: Rung) -> None:
        category, taken, picks, n = self.category, self.taken, self.picks, self._n
        if len(picks) >= n:
            return
        shown, category_row, limits = self._ruling.shown, self._served.category_row, self._counts
        for row, evidence, probability in entries:
            if row in taken or not shown[row] or (category != NONE and category_row[row] != category):
                continue
            if limits and not _counted(row, limits):
                continue
            taken.add(row)
            picks.append((row, rung, evidence, probability if probability >= 0 else UNKNOWN))  # a NaN isn't
            if len(picks) >= n:
                return


def _counted(row: int, limits: list[Counted], *, is_pin: bool = False) -> bool:
    """Count a product for each limit; False if one is reached, and then for none. A pin always counts."""
    if not is_pin:
        for groups, at_most, counts in limits:
            if counts.get(groups[row], 0) >= at_most:
                return False
    for groups, _, counts in limits:
        group = groups[row]
        counts[group] = counts.get(group, 0) + 1
    return True
