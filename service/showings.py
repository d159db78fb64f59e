"""What each customer was shown and how often, at placements where a rule of frequency holds; nowhere else."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.live.told import NOT_PERSONAL, Told
from service.own_list import Pick
from service.rules.effects import Often
from service.rules.file import MOST_SHOWN_DAYS
from service.rules.placed import PlacedRules
from service.rules.ruling import Ruling
from service.served import NONE

FRESH_S = 1.0  # as long a worker goes by what it knows before it asks the store again
KEPT_CUSTOMERS = 10_000
MOST_BYTES = 16 * 1024  # of a customer, after which the older half goes; about 150 answers of ten products
LIFE_S = (MOST_SHOWN_DAYS + 1) * 86_400
PRODUCTS, OFFERS = "products", "offers"
NOTHING: frozenset[int] = frozenset()

type Line = tuple[int, str, str, list[str]]
"""A showing: the shop's day (days since 1970-01-01), the placement, PRODUCTS or OFFERS, and the ids."""


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


@dataclass
class _Known:
    value: bytes
    until_s: float


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
        products = rules.served.products
        found: set[int] = set()
        for rule, product_id in self._enough(ruling.often, rules.today, customer_id, placement, PRODUCTS):
            row = products.find(product_id)
            if row != NONE and (rule.about is None or rule.about[row]):
                found.add(row)
        self._count(PRODUCTS, len(found))
        return frozenset(found)

    def offers_shown_enough(
        self, rules: PlacedRules, ruling: Ruling, customer_id: str, placement: str | None
    ) -> frozenset[str]:
        """Ids of the offers that they hold back."""
        enough = self._enough(ruling.offers_often, rules.today, customer_id, placement, OFFERS)
        found = frozenset(offer_id for _, offer_id in enough)
        self._count(OFFERS, len(found))
        return found

    def note_products(
        self, rules: PlacedRules, customer_id: str, placement: str | None, picks: Sequence[Pick]
    ) -> None:
        """Count the products of an answer, where a rule wants them counted."""
        if rules.counts_products:
            products = rules.served.products
            self._note(rules, customer_id, placement, PRODUCTS, [products[pick[0]] for pick in picks])

    def note_offers(
        self, rules: PlacedRules, customer_id: str, placement: str | None, offer_ids: Iterable[str]
    ) -> None:
        """Count the offers of an answer, where a rule wants them counted."""
        if rules.counts_offers:
            self._note(rules, customer_id, placement, OFFERS, list(offer_ids))

    def flush(self) -> None:
        """Wait until the store has what was noted."""
        if self._store is not None:
            self._store.flush()

    def _enough(
        self, limits: Sequence[Often], today: int, customer_id: str, placement: str | None, what: str
    ) -> Iterator[tuple[Often, str]]:
        """What was shown as often as a rule allows."""
        if not limits or self._customers.of(customer_id) is NOT_PERSONAL:
            return
        lines = _lines(self._value(self._customers.showings_name(customer_id)))
        here = [line for line in lines if line[1] == (placement or "") and line[2] == what]
        for rule in limits:
            times: Counter[str] = Counter()
            for day, _, _, ids in here:
                if day > today - rule.days:
                    times.update(ids)
            yield from ((rule, one) for one, n in times.items() if n >= rule.at_most)

    def _note(
        self, rules: PlacedRules, customer_id: str, placement: str | None, what: str, ids: list[str]
    ) -> None:
        if not ids or self._customers.of(customer_id) is NOT_PERSONAL:
            return
        name = self._customers.showings_name(customer_id)
        known = self._known.get(name) or self._keep(name, b"", 0.0)
        added = f"{json.dumps([rules.today, placement or '', what, ids])},".encode()
        known.value += added
        anew = len(known.value) > MOST_BYTES
        if anew:
            known.value = added = _newer_half(known.value, rules.today)
        if self._store is not None:
            self._store.add_showings(name, added, LIFE_S, anew=anew)

    def _value(self, name: str) -> bytes:
        known, now_s = self._known.get(name), self._clock()
        if known is not None and now_s < known.until_s:
            return known.value
        if self._store is not None:
            has_answer, value = self._store.showings(name)
            if has_answer:
                return self._keep(name, value or b"", now_s + FRESH_S).value
        self.is_alone = True
        return known.value if known is not None else b""

    def _keep(self, name: str, value: bytes, until_s: float) -> _Known:
        self._known.pop(name, None)
        if len(self._known) >= KEPT_CUSTOMERS:
            del self._known[next(iter(self._known))]  # the one that the store was asked for longest ago
        known = self._known[name] = _Known(value, until_s)
        return known

    def _count(self, what: str, n: int) -> None:
        if n and self._counters is not None:
            self._counters.held_back(what, n)


def _lines(value: bytes) -> list[Line]:
    """What was noted, in the order of time; nothing of what can't be read."""
    try:
        lines: list[Line] = json.loads(b"[%b]" % value[:-1])
    except ValueError:
        return []
    return lines


def _newer_half(value: bytes, today: int) -> bytes:
    lines = [line for line in _lines(value) if line[0] > today - MOST_SHOWN_DAYS]
    texts = [f"{json.dumps(line)}," for line in lines]
    length = sum(map(len, texts))
    while length > MOST_BYTES // 2:
        length -= len(texts.pop(0))
    return "".join(texts).encode()
