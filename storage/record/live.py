"""What the day must know of customers: what they bought since a night, what they allow, who was erased."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from storage.record.changes import Tombstone
from storage.record.consent import Consent
from storage.record.events import TRADE, EventType
from storage.record.statements import parts
from storage.record.tables import customers, events, tombstones

CLOCKS_DIFFER_MS = 600_000
"""So much later than it happened an event may seem to be received; twice what the intake lets through."""
READ_BY_MS = 2 * 3_600_000
"""So long after a night began it has read the record: what came in later it can't know, with any number."""
MOST_SEARCHED = 50_000
AT_ONCE = 5000
"""Rows that one look goes through, whether they are wanted or not: however many there are of them, a worker's
door waits for it no longer than a moment."""

IS_TRADE = events.c.type.in_([kind.value for kind in TRADE])


@dataclass(frozen=True, slots=True)
class Since:
    """Which events a version doesn't know: those at its as_of or later, and those that its night didn't read.

    Attributes:
        as_of_ms, made_ms: Unix milliseconds; the latter is when the night began.
        last_event: number of the last event that it read; None where it didn't note that: then it read what
            came in before it began.
    """

    as_of_ms: int
    made_ms: int
    last_event: int | None = None

    @property
    def unread_ms(self) -> int:
        """What came in at this time or later wasn't read. A record that was restored gives numbers anew."""
        return self.made_ms if self.last_event is None else self.made_ms + READ_BY_MS

    def has(self, number: int, at_ms: int, received_ms: int) -> bool:
        """Whether an event is one of these."""
        is_unread = self.last_event is not None and number > self.last_event
        return is_unread or at_ms >= self.as_of_ms or received_ms >= self.unread_ms


class Trade(NamedTuple):
    """A purchase or a return.

    Attributes:
        offer_id: that a purchase redeemed.
    """

    product_id: str
    is_return: bool
    at_ms: int
    order_id: str | None
    quantity: float
    offer_id: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerNow:
    """What counts of a customer now.

    Attributes:
        epoch: 0 if the record has nothing of the customer any more.
        personalise, experiment: None is the shop's default.
        trade: since the night, in the order of time.
    """

    customer_id: str
    epoch: int
    personalise: bool | None
    experiment: bool | None
    trade: tuple[Trade, ...]


def customers_now(
    connection: sa.Connection, customer_ids: Iterable[str], since: Since | None
) -> list[CustomerNow]:
    """These customers, within a transaction that reads.

    Epochs are read first: on Postgres the trade may then be newer than its epoch, never older.

    Args:
        since: None: no trade is asked for.
    """
    wanted = sorted(set(customer_ids))
    states: dict[str, tuple[int, bool | None, bool | None]] = {}
    trade: dict[str, list[Trade]] = defaultdict(list)
    for some in parts(wanted):
        said = customers.c
        rows = sa.select(said.customer_id, said.epoch, said.personalise, said.experiment)
        for customer_id, *state in connection.execute(rows.where(said.customer_id.in_(some))):
            states[customer_id] = (state[0], state[1], state[2])
        if since is not None:
            for customer_id, one in _trade(connection, some, since):
                trade[customer_id].append(one)
    return [
        CustomerNow(customer_id, *states.get(customer_id, (0, None, None)), tuple(trade[customer_id]))
        for customer_id in wanted
    ]


def _trade(connection: sa.Connection, customer_ids: list[str], since: Since) -> Iterable[tuple[str, Trade]]:
    columns = ("customer_id", "product_id", "type", "at_ms", "order_id", "quantity", "offer_id")
    rows = (
        sa.select(*(events.c[name] for name in columns))
        .where(events.c.customer_id.in_(customer_ids), IS_TRADE, is_new(since))
        .order_by(events.c.at_ms, events.c.id)
    )
    for customer_id, product_id, kind, at_ms, order_id, quantity, offer_id in connection.execute(rows):
        is_return = kind == EventType.RETURN.value
        yield customer_id, Trade(product_id, is_return, at_ms, order_id, quantity or 1.0, offer_id)


def is_new(since: Since) -> sa.ColumnElement[bool]:
    """`Since.has`, of a row of events."""
    new = (events.c.at_ms >= since.as_of_ms) | (events.c.received_ms >= since.unread_ms)
    may_be = events.c.received_ms >= min(since.as_of_ms - CLOCKS_DIFFER_MS, since.unread_ms)  # by an index
    if since.last_event is None:
        return may_be & new
    is_unread = events.c.id > since.last_event
    return (may_be | is_unread) & (new | is_unread)


def ids_of_new(since: Since, *which: sa.ColumnElement[bool]) -> sa.CompoundSelect[int]:
    """Numbers of events, of which those that `is_new` are all among them; each part by an index of its own,
    where an index has which they are and then the number, or when they came in."""
    earliest_ms = min(since.as_of_ms - CLOCKS_DIFFER_MS, since.unread_ms)
    parts_of_it = [events.c.received_ms >= earliest_ms]
    if since.last_event is not None:
        parts_of_it.append(events.c.id > since.last_event)
    return sa.union(*(sa.select(events.c.id).where(*which, one) for one in parts_of_it))


def first_event_since(connection: sa.Connection, since: Since) -> int:
    """Number of an event before all that `since` is about; 0 for the first.

    Numbers don't follow times: what is released from quarantine is numbered anew, with the time when it came.
    So each client's part of the index by time is asked: of a table of years only what is new is read, and of
    that the first MOST_SEARCHED, as the first of them that isn't released comes before all that follow.
    """
    earliest_ms = min(since.as_of_ms, since.made_ms) - CLOCKS_DIFFER_MS
    clients = sa.select(sa.func.min(events.c.client).label("client")).cte(recursive=True)
    next_one = sa.select(sa.func.min(events.c.client)).where(events.c.client > clients.c.client)
    clients = clients.union_all(sa.select(next_one.scalar_subquery()).where(clients.c.client.is_not(None)))
    new = (
        sa.select(events.c.id)
        .where(events.c.client == clients.c.client, events.c.received_ms >= earliest_ms)
        .order_by(events.c.received_ms)
        .limit(MOST_SEARCHED)
        .correlate(clients)
        .subquery()
    )
    first = sa.select(sa.func.min(new.c.id)).scalar_subquery()
    found = connection.scalar(sa.select(sa.func.min(first)).select_from(clients))
    before = int(found) - 1 if found else int(connection.scalar(sa.select(sa.func.max(events.c.id))) or 0)
    return before if since.last_event is None else min(before, since.last_event)


def who_traded(
    connection: sa.Connection, after_event: int, since: Since, limit: int
) -> tuple[set[str], int | None]:
    """Customers of the next events after a number, and the number to go on with; None at the end."""
    end = after_event + AT_ONCE
    rows = (
        sa.select(events.c.id, events.c.customer_id, events.c.at_ms, events.c.received_ms)
        .where(events.c.id > after_event, events.c.id <= end, IS_TRADE)
        .order_by(events.c.id)
        .limit(limit)
    )
    found, last, n = set(), after_event, 0
    for number, customer_id, at_ms, received_ms in connection.execute(rows):
        last, n = number, n + 1
        if since.has(number, at_ms, received_ms):
            found.add(customer_id)
    if n == limit:
        return found, last
    return found, end if end < int(connection.scalar(sa.select(sa.func.max(events.c.id))) or 0) else None


def who_allows(
    connection: sa.Connection, after_customer: str, limit: int, *, but: Consent | None
) -> tuple[list[str], str | None]:
    """Customers who said themselves what they allow, after an id, in the order of ids; and the id to go on
    with, None at the end.

    Args:
        but: leave out those who said just this of answers and experiments, the shop's default; None leaves
            out nobody.
    """
    said: sa.ColumnElement[bool] = customers.c.personalise.is_not(None)
    if but is not None:
        said = sa.or_(
            customers.c.personalise.is_(not but.personalise), customers.c.experiment.is_(not but.experiment)
        )
    some = sa.select(customers.c.customer_id).where(customers.c.customer_id > after_customer)
    some = some.order_by(customers.c.customer_id)
    end = connection.scalar(some.offset(AT_ONCE - 1).limit(1))
    among_them = said if end is None else said & (customers.c.customer_id <= end)
    found = list(connection.execute(some.where(among_them).limit(limit)).scalars())
    return found, found[-1] if len(found) == limit else end


def tombstones_after(connection: sa.Connection, number: int, limit: int | None = None) -> list[Tombstone]:
    """Who was erased after the erasure of this number, 0 for all; the first of them, in the order of
    numbers."""
    rows = sa.select(tombstones.c.number, tombstones.c.customer_hash, tombstones.c.epoch)
    rows = rows.where(tombstones.c.number > number).order_by(tombstones.c.number).limit(limit)
    return [Tombstone(number, bytes(hashed), epoch) for number, hashed, epoch in connection.execute(rows)]
