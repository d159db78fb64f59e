"""Reads from the record what is new of customers: all of it at the start and for another version, in pieces;
after that, what changed."""

from collections.abc import Callable
from dataclasses import dataclass, field

from service.live.customers import LiveCustomers
from service.record import Door
from storage.record.changes import CustomerChanges, clock_now, customer_changes_since
from storage.record.live import (
    CustomerNow,
    Defaults,
    Since,
    all_tombstones,
    customers_now,
    first_event_since,
    who_allows,
    who_traded,
)
from storage.record.record import Record

PIECE = 1000  # events or customers that are read in one go

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
        defaults: the shop's.
    """

    def __init__(self, door: Door, live: LiveCustomers, since_of: SinceOf, *, defaults: Defaults) -> None:
        self._door, self._live, self._since_of = door, live, since_of
        self._defaults = defaults
        self._seen: int | None = None
        self._fill: _Fill | None = None
        self._since: Since | None = None
        self._after_consent: str | None = None

    @property
    def seen(self) -> int | None:
        """Up to where of the record's clock changes were taken in; None before the first look."""
        return self._seen

    @property
    def is_behind(self) -> bool:
        """Whether something of the past isn't read yet."""
        return self._after_consent is not None or self._is_filling

    @property
    def _is_filling(self) -> bool:
        return self._fill is not None and self._fill.after_event is not None

    def look(self) -> None:
        """Take in what changed since the last look.

        Raises:
            RefusedError: the record can't be used now; what was known goes on.
        """
        if self._seen is None:
            self._begin()
        else:
            self._take_changes(self._seen)
        since = self._since_of()
        if since != self._since:
            fill = _Fill(since, self._door.do(lambda record: _first(record, since))) if since else None
            self._since, self._fill = since, fill  # now: what failed is begun again by the next look

    def go_on(self) -> None:
        """Read the next piece of what is behind. Raises as `look`."""
        if self._after_consent is not None:
            self._after_consent = self._consents(self._after_consent, but=None)
        elif self._fill is not None:
            self._read_piece(self._fill)

    def _begin(self) -> None:
        """Who was erased, then who doesn't allow what the shop's default allows: before this is known, no
        answer is personal. Who began a new life comes later."""

        def read(record: Record) -> int:
            with record.reading() as connection:
                now = clock_now(connection)  # first: what comes meanwhile comes again
                self._live.erase(all_tombstones(connection), record.key.hash_of)
                return now

        now = self._door.do(read)
        after: str | None = ""
        while after is not None:
            after = self._consents(after, but=self._defaults)
        self._live.heard()
        self._seen, self._after_consent = now, ""

    def _consents(self, after: str, *, but: Defaults | None) -> str | None:
        """Read the next customers who said something themselves; the last one's id, None at the end."""

        def read(record: Record) -> tuple[list[str], list[CustomerNow]]:
            with record.reading() as connection:
                found = who_allows(connection, after, PIECE, but=but)
                wanted = found if but is not None else [one for one in found if self._live.was_erased(one)]
                return found, customers_now(connection, wanted, self._since)

        found, customers = self._door.do(read)
        self._take(customers)
        return found[-1] if len(found) == PIECE else None

    def _take_changes(self, seen: int) -> None:
        since = self._since

        def read(record: Record) -> tuple[CustomerChanges, list[CustomerNow]]:
            with record.reading() as connection:
                changes = customer_changes_since(connection, seen)
                if changes.erased:
                    self._live.erase(changes.erased, record.key.hash_of)
                return changes, customers_now(connection, changes.customer_ids, since)

        changes, customers = self._door.do(read)
        self._take(customers)
        self._seen = changes.now  # last: what failed comes again
        self._live.heard()

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
