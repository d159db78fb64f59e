"""What the night learns from a record: purchases, returns and redemptions, and whose are left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
import sqlalchemy as sa

from storage.record.consent import Consent
from storage.record.erasure_key import ErasureKey
from storage.record.events import EventType
from storage.record.live import IS_TRADE
from storage.record.record import Record
from storage.record.statements import consent_lock
from storage.record.tables import customers, events, tombstones

NEVER_S = 2**62
NO_CONSENT = "no consent to learn from it"
ERASED = "customer erased"
PAGE = 20_000  # rows for each look: on SQLite nobody can write meanwhile

SCHEMA = {
    "type": pl.String(),
    "event_id": pl.String(),
    "customer_id": pl.String(),
    "product_id": pl.String(),
    "purchased_at": pl.Int64(),
    "received_at": pl.Int64(),
    "order_id": pl.String(),
    "quantity": pl.Float32(),
    "unit_price": pl.Float32(),
    "discount": pl.Float32(),
    "offer_id": pl.String(),
}
REDEMPTIONS = {"offer_id": pl.String(), "customer_id": pl.String(), "redeemed_at": pl.Int64()}


@dataclass(frozen=True)
class Wishes:
    """Whom the night may learn from.

    Attributes:
        trains: the consent `train` of those who said something.
        by_default: of all others.
        erased_s: when customers were erased, by the keyed hash of the id, in Unix seconds.
        tombstone: number of the latest erasure that was seen; 0 before the first.
    """

    key: ErasureKey
    trains: Mapping[str, bool]
    by_default: bool
    erased_s: Mapping[bytes, int]
    tombstone: int

    def since(self, customer_id: str) -> tuple[int, str]:
        """Since when it may learn from a customer, in Unix seconds, 0 for always; and why not before."""
        said = self.trains.get(customer_id)
        erased_s = self.erased_s.get(self.key.hash_of(customer_id)) if self.erased_s else None
        if erased_s is not None and said is None:
            return NEVER_S, ERASED
        if not (self.by_default if said is None else said):
            return NEVER_S, NO_CONSENT
        return (0, "") if erased_s is None else (erased_s + 1, ERASED)  # a new consent began a new life


@dataclass(frozen=True, eq=False)
class Recorded:
    """A record as a night reads it.

    Attributes:
        purchases, returns: columns customer_id, product_id, order_id (null where unknown), purchased_at (of a
            return: when it came back) in Unix seconds, quantity, unit_price, discount, in the order of time.
        redemptions: offer_id, customer_id, redeemed_at in Unix seconds: one for each order, or second where
            it has no id.
        last_event: number of the last event that was read; all up to it were, and none after it.
        unreadable_consents: cells of the shop's table of customers that are neither a yes nor a no.
        default, other_default: what this night allows customers who said nothing, and what the service does
            if that is another; presets, empty where it isn't known.
    """

    purchases: pl.DataFrame
    returns: pl.DataFrame
    wishes: Wishes
    redemptions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REDEMPTIONS))
    last_event: int = 0
    unreadable_consents: int = 0
    default: str = ""
    other_default: str = ""


def read_recorded(record: Record, default: Consent) -> Recorded:
    """All purchases and returns of a record, in many short looks, and last of all what customers want.

    So whoever was erased before this returns is known to be, though the events were read.

    Args:
        default: what is allowed by a customer who said nothing.
    Raises:
        RecordUnavailableError, SchemaError, ErasureKeyError: it can't be read.
    """
    pages = []
    last, end = 0, _last_event(record)
    while last < end:
        pages.append(_page(record, last, last + PAGE))
        last += PAGE
    lines = pl.concat(pages) if pages else pl.DataFrame(schema=SCHEMA)
    lines = lines.sort("purchased_at", "event_id")
    purchases, returns = (
        lines.filter(pl.col("type") == kind.value).drop("type", "event_id")
        for kind in (EventType.PURCHASE, EventType.RETURN)
    )
    bought, back = purchases.drop("offer_id"), returns.drop("offer_id")
    return Recorded(bought, back, _wishes(record, default), _redemptions(purchases), end)


def _redemptions(purchases: pl.DataFrame) -> pl.DataFrame:
    """As budgets count them: the lines of one order, or without one of one second, are one."""
    redeemed = purchases.filter(pl.col("offer_id").is_not_null()).rename({"purchased_at": "redeemed_at"})
    second = pl.when(pl.col("order_id").is_null()).then("redeemed_at").alias("second")
    one = ["offer_id", "customer_id", "order_id", "second"]
    once = redeemed.with_columns(second).unique(one, keep="first", maintain_order=True)
    return once.select(*REDEMPTIONS)


def _last_event(record: Record) -> int:
    """Number of the last event, once all those with lower ones can be seen.

    Postgres numbers an event when it is inserted, and transactions commit in any order: whoever waits for all
    that hold this lock, as every one that inserts events does, has none of them left.
    """
    with record.reading() as connection:
        consent_lock(connection, exclusive=True)
        return int(connection.scalar(sa.select(sa.func.max(events.c.id))) or 0)


def _page(record: Record, after: int, until: int) -> pl.DataFrame:
    columns = [events.c[name] for name in SCHEMA if name in events.c]
    times = {"purchased_at": events.c.at_ms, "received_at": events.c.received_ms}
    seconds = [(column // 1000).label(name) for name, column in times.items()]
    rows = sa.select(*columns, *seconds).where(events.c.id > after, events.c.id <= until, IS_TRADE)
    with record.reading() as connection:
        found = connection.execute(rows).all()
    names = [*(column.name for column in columns), *times]
    by_name = dict(zip(names, zip(*found, strict=True), strict=True)) if found else {}
    return pl.DataFrame({name: by_name.get(name, ()) for name in SCHEMA}, schema=SCHEMA)


def _wishes(record: Record, default: Consent) -> Wishes:
    told = sa.select(customers.c.customer_id, customers.c.train).where(customers.c.train.is_not(None))
    gone = sa.select(tombstones.c.customer_hash, tombstones.c.erased_ms, tombstones.c.number)
    with record.reading() as connection:
        trains = {customer_id: bool(train) for customer_id, train in connection.execute(told)}
        stones = connection.execute(gone).all()
    erased_s = {bytes(hashed): erased_ms // 1000 for hashed, erased_ms, _ in stones}
    last = max((number for _, _, number in stones), default=0)
    return Wishes(record.key, trains, default.train, erased_s, last)
