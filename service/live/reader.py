"""Reads from the record what is new of customers: all of it at the start and for another version, after that
what changed; in pieces, so that none takes longer than the door to the record waits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import batched

from service.live.customers import LiveCustomers
from service.record import Door
from storage.record.changes import CustomerChanges, Tombstone, clock_now, customer_changes_since
from storage.record.consent import Consent
from storage.record.live import (
    CustomerNow,
    Since,
    customers_now,
    first_event_since,
    tombstones_after,
    who_allows,
    who_traded,
)
from storage.record.record import Record

PIECE = 1000  # events, customers or erasures that are read in one go

type SinceOf = Callable[[], Since | None]


@dataclass
class _Fill:
    """How far the trade since a night has been read: from which event to go on, whose it was so far."""

    since: Since
    after_event: int | None
    found: set[str] = field(default_factory=set)


class LiveReader:
    """Keeps one worker's customers at what the record says. Not for two threads at once.

    Args:
        since_of: which events the version that answers doesn't know; None before there is one.
    Attributes:
        seen: up to where of the record's clock changes were taken in; None before the first look.
    """

    def __init__(self, door: Door, live: LiveCustomers, since_of: SinceOf) -> None:
        self._door, self._live, self._since_of = door, live, since_of
        self.seen: int | None = None
        self._is_late = False
        self._fill: _Fill | None = None
        self._since: Since | None = None
        self._after_consent: str | None = None

    @property
    def is_behind(self) -> bool:
        """Whether something isn't read yet of the past, or of what changed."""
        return self._is_late or self._after_consent is not None or self._is_filling

    @property
    def _is_filling(self) -> bool:
        return self._fill is not None and self._fill.after_event is not None

    def look(self) -> None:
        """Take in what changed since the last look, or of very much the first part.

        Raises:
            RefusedError: the record can't be used now; what was known goes on.
        """
        if self.seen is None:
            self._begin()
        else:
            self._take_changes(self.seen)
        since = self._since_of()
        if since != self._since:
            fill = _Fill(since, self._door.do(lambda record: _first(record, since))) if since else None
            self._since, self._fill = since, fill  # now: what failed is begun again by the next look

    def go_on(self) -> None:
        """Read the next piece of what is behind. Raises as `look`."""
        if self._is_late and self.seen is not None:
            self._take_changes(self.seen)
        elif self._after_consent is not None:
            self._after_consent = self._consents(self._after_consent, but=None)
        elif self._fill is not None:
            self._read_piece(self._fill)

    def _begin(self) -> None:
        """Who was erased, then who forbids what the shop's default allows: before this is known, no
        answer is personal. Who began a new life comes later."""

        def read(record: Record, erasure: int) -> tuple[int, list[Tombstone]]:
            with record.reading() as connection:
                now = clock_now(connection)  # first: what comes meanwhile comes again
                stones = tombstones_after(connection, erasure, PIECE)
                self._live.erase(stones, record.key.hash_of)
                return now, stones

        now, stones = self._door.do(partial(read, erasure=0))
        while len(stones) == PIECE:
            _, stones = self._door.do(partial(read, erasure=stones[-1].number))
        after: str | None = ""
        while after is not None:
            after = self._consents(after, but=self._live.default)
        self._live.heard(now)
        self.seen, self._after_consent = now, ""

    def _consents(self, after: str, *, but: Consent | None) -> str | None:
        """Read the next customers who said something themselves; the last one's id, None at the end."""

        def read(record: Record) -> tuple[list[CustomerNow], str | None]:
            with record.reading() as connection:
                found, last = who_allows(connection, after, PIECE, but=but)
                wanted = found if but is not None else [one for one in found if self._live.was_erased(one)]
                return customers_now(connection, wanted, self._since), last

        customers, last = self._door.do(read)
        self._take(customers)
        return last

    def _take_changes(self, seen: int) -> None:
        def read(record: Record) -> tuple[CustomerChanges, list[CustomerNow]]:
            with record.reading() as connection:
                changes = customer_changes_since(connection, seen, PIECE)
                if changes.erased:
                    self._live.erase(changes.erased, record.key.hash_of)
                return changes, customers_now(connection, changes.customer_ids[:PIECE], self._since)

        changes, customers = self._door.do(read)
        self._take(customers)
        for some in batched(changes.customer_ids[PIECE:], PIECE):
            self._take(self._door.do(partial(self._now, customer_ids=some)))
        self.seen, self._is_late = changes.now, not changes.is_all  # last: what failed comes again
        if changes.is_all:  # else somebody may have refused since what is known
            self._live.heard(changes.now)

    def _now(self, record: Record, customer_ids: tuple[str, ...]) -> list[CustomerNow]:
        with record.reading() as connection:
            return customers_now(connection, customer_ids, self._since)

    def _read_piece(self, fill: _Fill) -> None:
        after = fill.after_event
        if after is None:
            return

        def read(record: Record) -> tuple[set[str], int | None, list[CustomerNow]]:
            with record.reading() as connection:
                found, last = who_traded(connection, after, fill.since, PIECE)
                return found, last, customers_now(connection, found - fill.found, fill.since)

        found, last, customers = self._door.do(read)
        self._take(customers)
        fill.found |= found
        fill.after_event = last
        if last is None:
            self._live.keep(fill.found)
            fill.found = set()

    def _take(self, customers: list[CustomerNow]) -> None:
        for customer in customers:
            self._live.take(customer)
        if self._is_filling and self._fill is not None:
            self._fill.found.update(customer.customer_id for customer in customers)


def _first(record: Record, since: Since) -> int:
    with record.reading() as connection:
        return first_event_since(connection, since)
