"""What each customer was shown and how often, at placements where a rule of frequency holds; nowhere else."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Protocol

import numpy as np

from models.arrays import DAY_S, NONE
from service.answering.own_list import Pick
from service.answering.packed_showings import (
    at_most_showings,
    newer_part,
    packed_showing,
    times_shown,
    where_of,
)
from service.rules.effects import Often
from service.rules.file import MOST_SHOWN_DAYS
from service.rules.placed import PlacedRules
from service.rules.ruling import Ruling
from storage.versions.strings import IdIndex

FRESH_S = 1.0  # how long a worker goes by what it knows before it asks the store again
KEPT_CUSTOMERS = 5_000
MOST_BYTES = 16 * 1024  # of a customer, after which the older half goes; about 170 answers of ten products
LIFE_S = (MOST_SHOWN_DAYS + 1) * DAY_S
MOST_COUNTED = 8  # rules, placements and days of a customer whose counts are kept
MOST_COUNTED_BYTES = 2 * 1024 * 1024  # of showings of which counts are kept; counts take up to ten times it
PRODUCTS, OFFERS = "products", "offers"
NOTHING: frozenset[int] = frozenset()
ROW = itemgetter(0)  # of a pick


class ShowingsStore(Protocol):
    """Where all workers find them. It never raises; what can't be kept isn't."""

    def showings(self, name: str) -> tuple[bool, bytes | None]:
        """Whether it answers, and if so what is kept under a name."""

    def add_showings(self, name: str, value: bytes, life_s: int, *, anew: bool) -> None:
        """Put a value behind what is kept, or in its place."""

    def flush(self) -> None:
        """Wait until all is kept."""


class Customers(Protocol):
    """Who knows under which name customers are counted."""

    def showings_name(self, customer_id: str) -> str: ...


class ShowingsCounters(Protocol):
    """Who counts what was left out."""

    def held_back(self, what: str, n: int) -> None: ...


@dataclass(slots=True)
class _Counted:
    """How often what a rule is about was shown somewhere since a day.

    Attributes:
        index: of the rows.
        times: by row, below as often as the rule allows.
        enough: rows of what was shown as often as that; the same object until that changes.
    """

    index: IdIndex
    times: dict[int, int]
    enough: frozenset[int]

    def add(self, rule: Often, rows: Sequence[int]) -> None:
        """One more showing of each."""
        times, meant, full = self.times, rule.meant, []
        for row in rows:
            if meant is not None and not meant[row]:
                continue
            n = times.get(row, 0) + 1
            if n < rule.at_most:
                times[row] = n
            else:
                full.append(row)
                times.pop(row, None)
        if full:
            self.enough = self.enough.union(full)


@dataclass(slots=True)
class _Known:
    """What a worker knows of a customer.

    Attributes:
        until_s: when the store is to be asked again.
        most: no fewer showings than there are.
        counted: what was counted of it so far: by rule, where, and since which day.
    """

    value: bytes
    until_s: float = 0.0
    most: int = field(init=False)
    counted: dict[tuple[Often, int, int], _Counted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.most = at_most_showings(self.value)

    def add(self, index: IdIndex, where: int, rows: Sequence[int], today: int) -> bytes:
        """What was shown today; the same as it is kept."""
        hashes = index.hashes_of(rows)
        showing = packed_showing(today, where, hashes)
        self.value += showing
        self.most += 1
        for (rule, at, _), counted in list(self.counted.items()):  # another thread may count more
            if at != where:
                continue
            if counted.index is not index:
                self.counted.clear()  # of another version
                break
            counted.add(rule, rows)
        return showing

    def begin_with(self, value: bytes) -> None:
        """Know this instead."""
        self.value, self.most = value, at_most_showings(value)
        self.counted.clear()

    def count(self, index: IdIndex, rule: Often, where: int, since: int) -> _Counted:
        """What was shown there from a day on; it is kept, and what is shown from now on added."""
        shown, meant = times_shown(self.value, where, since), rule.meant
        rows = index.rows_of(np.fromiter(shown, np.uint64, len(shown))).tolist()
        times, enough = {}, []
        for row, n in zip(rows, shown.values(), strict=True):
            if row != NONE and (meant is None or meant[row]):
                if n < rule.at_most:
                    times[row] = n
                else:
                    enough.append(row)
        if len(self.counted) >= MOST_COUNTED:
            self.counted.clear()
        counted = self.counted[rule, where, since] = _Counted(index, times, frozenset(enough))
        return counted


class Showings:
    """The showings that one worker knows.

    Args:
        store: None: a worker knows its own.
        clock: monotonic seconds.
    Attributes:
        is_alone: something was counted here that the store had no answer for.
    """

    def __init__(
        self,
        customers: Customers,
        store: ShowingsStore | None,
        counters: ShowingsCounters | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._customers, self._store, self._counters, self._clock = customers, store, counters, clock
        self._known: dict[str, _Known] = {}
        self._counted_bytes = 0
        self._products: IdIndex | None = None  # of the version that was answered from last
        self._changes = threading.Lock()  # a version that comes warms up in another thread
        self.is_alone = False

    def products_shown_enough(
        self, rules: PlacedRules, ruling: Ruling, customer_id: str, placement: str | None
    ) -> frozenset[int]:
        """Rows of the products that rules of frequency hold back from a customer, whose answers may be
        personal: whoever asks has asked that before."""
        where, index = where_of(PRODUCTS, placement), rules.served.products
        return self._enough(ruling.often, index, rules.today, customer_id, where, PRODUCTS)

    def offers_shown_enough(
        self, rules: PlacedRules, ruling: Ruling, customer_id: str, placement: str | None
    ) -> frozenset[int]:
        """Rows of the offers that they hold back, likewise."""
        where, index = where_of(OFFERS, placement), rules.served.offers.ids
        return self._enough(ruling.offers_often, index, rules.today, customer_id, where, OFFERS)

    def note(
        self,
        rules: PlacedRules,
        customer_id: str,
        placement: str | None,
        picks: Sequence[Pick],
        offer_rows: Sequence[int],
    ) -> None:
        """Count the products and the offers of an answer, where a rule wants them counted; of a customer
        whose answers may be personal: whoever shows them has asked that before."""
        shown: list[tuple[IdIndex, int, Sequence[int]]] = []
        if rules.counts_products and picks:
            rows = list(map(ROW, picks))
            shown.append((rules.served.products, where_of(PRODUCTS, placement), rows))
        if rules.counts_offers and offer_rows:
            shown.append((rules.served.offers.ids, where_of(OFFERS, placement), offer_rows))
        if not shown:
            return
        if rules.served.products is not self._products:
            self._products = rules.served.products
            self._forget_counts()  # they hold the files of their version open
        name, value = self._customers.showings_name(customer_id), b""
        known = self._known.get(name) or self._keep(name, _Known(b""), 0.0)
        for index, where, rows_of_it in shown:
            value += known.add(index, where, rows_of_it, rules.today)
        self._make_room(len(value))
        anew = len(known.value) > MOST_BYTES
        if anew:
            value = newer_part(known.value, MOST_BYTES // 2, rules.today - MOST_SHOWN_DAYS)
            known.begin_with(value)
        if self._store is not None:
            self._store.add_showings(name, value, LIFE_S, anew=anew)

    def to_ask(self, customer_id: str) -> str | None:
        """Under which name the store is to be asked before the next answer; None if that isn't due yet."""
        name = self._customers.showings_name(customer_id)
        known = self._known.get(name)
        return name if known is None or self._clock() >= known.until_s else None

    def take(self, name: str, has_answer: bool, value: bytes | None) -> _Known:
        """What is known after what the store said. A worker without an answer goes by what it knew, and asks
        again later."""
        known = self._known.get(name)
        if not has_answer:
            self.is_alone = True
        elif known is None or known.value != (value or b""):
            known = None
        return self._keep(name, known or _Known(value or b""), self._clock() + FRESH_S)

    def flush(self) -> None:
        """Wait until the store has what was noted."""
        if self._store is not None:
            self._store.flush()

    def _enough(
        self, limits: Sequence[Often], index: IdIndex, today: int, customer_id: str, where: int, what: str
    ) -> frozenset[int]:
        """Rows of what was shown as often as a rule allows."""
        if not limits:
            return NOTHING
        known, found = self._known_of(customer_id), NOTHING
        for rule in limits:
            if known.most < rule.at_most:
                continue
            since = today - rule.days + 1
            counted = known.counted.get((rule, where, since))
            if counted is None or counted.index is not index:
                self._make_room(len(known.value))
                counted = known.count(index, rule, where, since)
            enough = counted.enough
            found = found | enough if found else enough
        if found and self._counters is not None:
            self._counters.held_back(what, len(found))
        return found

    def _known_of(self, customer_id: str) -> _Known:
        name = self._customers.showings_name(customer_id)
        known = self._known.get(name)
        if known is not None and self._clock() < known.until_s:
            return known
        return self.take(name, *(self._store.showings(name) if self._store is not None else (False, None)))

    def _keep(self, name: str, known: _Known, until_s: float) -> _Known:
        known.until_s = until_s
        with self._changes:
            all_known = self._known
            all_known.pop(name, None)  # so that it stands last
            if len(all_known) >= KEPT_CUSTOMERS:
                del all_known[next(iter(all_known))]  # the one that the store was asked for longest ago
            all_known[name] = known
        return known

    def _make_room(self, n_bytes: int) -> None:
        """For counts of this many bytes more."""
        if self._counted_bytes > MOST_COUNTED_BYTES:
            self._forget_counts()
        self._counted_bytes += n_bytes

    def _forget_counts(self) -> None:
        """Of all customers: whoever comes again is counted again."""
        with self._changes:
            self._counted_bytes = 0
            for known in self._known.values():
                known.counted.clear()
