"""What each customer was shown and how often, at placements where a rule of frequency holds; nowhere else.

A showing is a few bytes: the shop's day, where, and the hashes of the ids, which every version has at hand.
"""

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from zlib import crc32

from service.live.told import NOT_PERSONAL, Told
from service.own_list import Pick
from service.rules.effects import Often
from service.rules.file import MOST_SHOWN_DAYS
from service.rules.placed import PlacedRules
from service.rules.ruling import Ruling

FRESH_S = 1.0  # as long a worker goes by what it knows before it asks the store again
KEPT_CUSTOMERS = 10_000
MOST_BYTES = 16 * 1024  # of a customer, after which the older half goes; about 190 answers of ten products
LIFE_S = (MOST_SHOWN_DAYS + 1) * 86_400
PRODUCTS, OFFERS = "products", "offers"
NOTHING: frozenset[int] = frozenset()
HEAD = struct.Struct("<HIB")
"""Of a showing: the day (days since 1970-01-01), where, and the number of 64-bit hashes that follow."""


class ShowingsStore(Protocol):
    """Where all workers find them. It never raises; what can't be kept isn't."""

    def showings(self, name: str) -> tuple[bool, bytes | None]:
        """Whether it answers, and if so what is kept under a name."""

    def add_showings(self, name: str, value: bytes, life_s: int, *, anew: bool) -> None:
        """Put a value behind what is kept, or in its place."""

    def flush(self) -> None:
        """Wait until all is kept."""


class Customers(Protocol):
    """Who knows what customers allow, and under which name they are counted."""

    def of(self, customer_id: str) -> Told | None: ...
    def showings_name(self, customer_id: str) -> str: ...


class ShowingsCounters(Protocol):
    """Who counts what was left out."""

    def held_back(self, what: str, n: int) -> None: ...


@dataclass(slots=True)
class _Known:
    """What a worker knows of a customer.

    Attributes:
        value: as the store has it, and behind it what was shown here meanwhile.
        until_s: when the store is to be asked again.
        times: how often each was shown, by where and since which day; of what was asked for.
    """

    value: bytes
    until_s: float = 0.0
    times: dict[tuple[int, int], Counter[int]] = field(default_factory=dict)

    def times_shown(self, where: int, since: int) -> Counter[int]:
        """How often each hash was shown there from a day on."""
        times = self.times.get((where, since))
        if times is None:
            times = self.times[where, since] = Counter()
            for day, at, hashes in _showings(self.value):
                if at == where and day >= since:
                    times.update(hashes)
        return times

    def add(self, day: int, where: int, hashes: Sequence[int], packed: bytes) -> None:
        self.value += packed
        for (at, since), times in self.times.items():
            if at == where and day >= since:
                times.update(hashes)


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
        self.is_alone = False

    def products_shown_enough(
        self, rules: PlacedRules, ruling: Ruling, customer_id: str, placement: str | None
    ) -> frozenset[int]:
        """Rows of the products that rules of frequency hold back from a customer."""
        found: set[int] = set()
        for rule, hashes in self._enough(ruling.often, rules.today, customer_id, placement, PRODUCTS):
            rows = rules.served.products.rows_of(hashes)
            found.update((rows if rule.about is None else rows[rule.about[rows]]).tolist())
        return self._held_back(PRODUCTS, found)

    def offers_shown_enough(
        self, rules: PlacedRules, ruling: Ruling, customer_id: str, placement: str | None
    ) -> frozenset[int]:
        """Rows of the offers that they hold back."""
        found: set[int] = set()
        for _, hashes in self._enough(ruling.offers_often, rules.today, customer_id, placement, OFFERS):
            found.update(rules.served.offers.ids.rows_of(hashes).tolist())
        return self._held_back(OFFERS, found)

    def note_products(
        self, rules: PlacedRules, customer_id: str, placement: str | None, picks: Sequence[Pick]
    ) -> None:
        """Count the products of an answer, where a rule wants them counted."""
        if rules.counts_products:
            hashes = rules.served.products.hashes_of(pick[0] for pick in picks)
            self._note(rules.today, customer_id, where_of(PRODUCTS, placement), hashes)

    def note_offers(
        self, rules: PlacedRules, customer_id: str, placement: str | None, offer_rows: Sequence[int]
    ) -> None:
        """Count the offers of an answer, where a rule wants them counted."""
        if rules.counts_offers and offer_rows:
            hashes = rules.served.offers.ids.hashes_of(offer_rows)
            self._note(rules.today, customer_id, where_of(OFFERS, placement), hashes)

    def to_ask(self, customer_id: str) -> str | None:
        """Under which name the store is to be asked before the next answer; None if that isn't due yet."""
        name = self._customers.showings_name(customer_id)
        return name if self._is_due(name) else None

    def take(self, name: str, has_answer: bool, value: bytes | None) -> None:
        """What the store said. A worker without an answer goes by what it knows, and asks again later."""
        known = self._known.get(name)
        if not has_answer:
            self.is_alone = True
        elif known is None or known.value != (value or b""):
            known = None
        self._keep(name, known or _Known(value or b""), self._clock() + FRESH_S)

    def flush(self) -> None:
        """Wait until the store has what was noted."""
        if self._store is not None:
            self._store.flush()

    def _enough(
        self, limits: Sequence[Often], today: int, customer_id: str, placement: str | None, what: str
    ) -> Iterator[tuple[Often, list[int]]]:
        """What was shown as often as a rule allows, as hashes."""
        if not limits or self._customers.of(customer_id) is NOT_PERSONAL:
            return
        known, where = self._known_of(customer_id), where_of(what, placement)
        for rule in limits:
            times = known.times_shown(where, today - rule.days + 1)
            enough = [one for one, n in times.items() if n >= rule.at_most]
            if enough:
                yield rule, enough

    def _known_of(self, customer_id: str) -> _Known:
        name = self._customers.showings_name(customer_id)
        if self._is_due(name):
            self.take(name, *(self._store.showings(name) if self._store is not None else (False, None)))
        return self._known[name]

    def _is_due(self, name: str) -> bool:
        known = self._known.get(name)
        return known is None or self._clock() >= known.until_s

    def _keep(self, name: str, known: _Known, until_s: float) -> _Known:
        self._known.pop(name, None)
        if len(self._known) >= KEPT_CUSTOMERS:
            del self._known[next(iter(self._known))]  # the one that the store was asked for longest ago
        known.until_s = until_s
        self._known[name] = known
        return known

    def _note(self, today: int, customer_id: str, where: int, hashes: list[int]) -> None:
        if not hashes or self._customers.of(customer_id) is NOT_PERSONAL:
            return
        name = self._customers.showings_name(customer_id)
        known = self._known.get(name) or self._keep(name, _Known(b""), 0.0)
        packed = HEAD.pack(today, where, len(hashes)) + struct.pack(f"<{len(hashes)}Q", *hashes)
        known.add(today, where, hashes, packed)
        anew = len(known.value) > MOST_BYTES
        if anew:
            known.value = packed = _newer_half(known.value, today)
            known.times.clear()
        if self._store is not None:
            self._store.add_showings(name, packed, LIFE_S, anew=anew)

    def _held_back(self, what: str, rows: set[int]) -> frozenset[int]:
        if rows and self._counters is not None:
            self._counters.held_back(what, len(rows))
        return frozenset(rows)


@lru_cache(1024)
def where_of(what: str, placement: str | None) -> int:
    """Where it was shown, as a number: PRODUCTS or OFFERS at a placement."""
    return crc32(f"{what}\n{placement or ''}".encode())


def _showings(value: bytes) -> list[tuple[int, int, tuple[int, ...]]]:
    """Day, where and hashes of each, in the order of time; nothing of what can't be read."""
    found, start = [], 0
    try:
        while start < len(value):
            day, where, n = HEAD.unpack_from(value, start)
            start += HEAD.size
            found.append((day, where, struct.unpack_from(f"<{n}Q", value, start)))
            start += 8 * n
    except struct.error:
        return []
    return found


def _newer_half(value: bytes, today: int) -> bytes:
    kept: list[bytes] = []
    length = 0
    for day, where, hashes in reversed(_showings(value)):
        packed = HEAD.pack(day, where, len(hashes)) + struct.pack(f"<{len(hashes)}Q", *hashes)
        length += len(packed)
        if day <= today - MOST_SHOWN_DAYS or length > MOST_BYTES // 2:
            break
        kept.append(packed)
    return b"".join(reversed(kept))
