"""What changed since the number N of the record's clock: what every worker asks several times a second.

Each look reads a bounded amount: after a restart, or when a purge touched everybody, it takes several,
since a worker waits for the record no longer than a moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.record.tables import customers, products_live, record_clock, rules_versions, tombstones

ALL = 2**62  # no number is as high


@dataclass(frozen=True, slots=True)
class ProductState:
    """What a product's live values are now; None: what the version says."""

    product_id: str
    stock: int | None
    price: float | None
    margin: float | None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A customer who was erased, by the keyed hash of the id."""

    number: int
    customer_hash: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class CustomerChanges:
    """Of which customers something changed after a number, and who was erased.

    Attributes:
        now: the number up to which this goes: what to ask with next.
        is_all: whether there was nothing after that; else ask again at once.
    """

    now: int
    customer_ids: tuple[str, ...] = ()
    erased: tuple[Tombstone, ...] = ()
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class ShopChanges:
    """What changed of products and rules after a number, as it is now; `now` and `is_all` as in
    CustomerChanges. Each product comes with the number of its change."""

    now: int
    products: tuple[tuple[int, ProductState], ...] = ()
    rules_changed: bool = False
    is_all: bool = True


def clock_now(connection: sa.Connection) -> int:
    """The record's clock, which every change moves on."""
    return int(connection.execute(sa.select(record_clock.c.now)).scalar_one())


def customer_changes_since(connection: sa.Connection, since: int, most: int) -> CustomerChanges:
    """What changed of customers after `since`, within a transaction that reads; 0 for all there is.

    Where nothing changed, this is one look at one row. On Postgres the transaction may see more than the
    clock said when it was read: then that comes once more the next time, and nothing is missed.

    Args:
        most: customers, and erasures, that one look tells, the first to change; more only where one
            transaction changed more of them. Erasures don't wait for customers who changed before them.
    """
    now = clock_now(connection)
    if now <= since:
        return CustomerChanges(now)
    rows, rows_until = _first_changed(connection, (customers.c.epoch, customers.c.customer_id), since, most)
    columns = (tombstones.c.epoch, tombstones.c.number, tombstones.c.customer_hash)
    stones, stones_until = _first_changed(connection, columns, since, most)
    until = min(now, rows_until, stones_until)  # on Postgres what was read first may lack what came after now
    return CustomerChanges(
        until,
        tuple(row.customer_id for row in rows if row.epoch <= until),
        tuple(Tombstone(row.number, bytes(row.customer_hash), row.epoch) for row in stones),
        until >= now,
    )


def _first_changed(
    connection: sa.Connection, columns: Sequence[sa.Column[Any]], since: int, most: int
) -> tuple[Sequence[sa.Row[Any]], int]:
    """The first rows that changed after `since`, and up to which number these are all: the rows of one
    transaction, such as a replay of erasures, have the same.

    Args:
        columns: the epoch, then what is wanted.
    """
    epoch = columns[0]
    changed = sa.select(*columns).where(epoch > since).order_by(epoch).limit(most + 1)
    rows = connection.execute(changed).all()
    if len(rows) <= most:
        return rows, ALL
    left_out = rows[most].epoch
    whole = [row for row in rows if row.epoch < left_out]
    if whole:
        return whole, whole[-1].epoch
    return connection.execute(sa.select(*columns).where(epoch == left_out)).all(), left_out


def shop_changes_since(connection: sa.Connection, since: int, most: int) -> ShopChanges:
    """The same of products and rules: of a shop with millions of customers it costs no more than of a small
    one. `most` is of products."""
    now = clock_now(connection)
    if now <= since:
        return ShopChanges(now)
    columns = products_live.c
    live = sa.select(columns.product_id, columns.stock, columns.price, columns.margin, columns.changed)
    # Each product has its own number: none is cut off at the border of two looks.
    live = live.where(columns.changed > since).order_by(columns.changed).limit(most)
    products = connection.execute(live).all()
    until = products[-1].changed if len(products) == most else now
    rules = sa.select(rules_versions.c.number).where(rules_versions.c.changed > since).limit(1)
    return ShopChanges(
        until,
        tuple((row.changed, ProductState(*row[:4])) for row in products),
        connection.execute(rules).first() is not None,
        until >= now,
    )
