"""What changed since the number N of the record's clock: what every worker asks several times a second."""

from dataclasses import dataclass

import sqlalchemy as sa

from storage.record.tables import customers, products_live, record_clock, rules_versions, tombstones


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
    """

    now: int
    customer_ids: tuple[str, ...] = ()
    erased: tuple[Tombstone, ...] = ()


@dataclass(frozen=True, slots=True)
class ShopChanges:
    """What changed of products and rules after a number, as it is now; `now` as in CustomerChanges."""

    now: int
    products: tuple[ProductState, ...] = ()
    rules_changed: bool = False


def clock_now(connection: sa.Connection) -> int:
    """The record's clock, which every change moves on."""
    return int(connection.execute(sa.select(record_clock.c.now)).scalar_one())


def customer_changes_since(connection: sa.Connection, since: int) -> CustomerChanges:
    """What changed of customers after `since`, within a transaction that reads; 0 for all there is.

    Where nothing changed, this is one look at one row. On Postgres the transaction may see more than the
    clock said when it was read: then that comes once more the next time, and nothing is missed.
    """
    now = clock_now(connection)
    if now <= since:
        return CustomerChanges(now)
    changed = sa.select(customers.c.customer_id).where(customers.c.epoch > since)
    gone = sa.select(tombstones.c.number, tombstones.c.customer_hash, tombstones.c.epoch).where(
        tombstones.c.epoch > since
    )
    return CustomerChanges(
        now,
        tuple(connection.execute(changed).scalars()),
        tuple(Tombstone(number, bytes(hashed), epoch) for number, hashed, epoch in connection.execute(gone)),
    )


def shop_changes_since(connection: sa.Connection, since: int) -> ShopChanges:
    """The same of products and rules: of a shop with millions of customers it costs no more than of a small
    one."""
    now = clock_now(connection)
    if now <= since:
        return ShopChanges(now)
    live = sa.select(
        products_live.c.product_id, products_live.c.stock, products_live.c.price, products_live.c.margin
    ).where(products_live.c.changed > since)
    rules = sa.select(rules_versions.c.number).where(rules_versions.c.changed > since).limit(1)
    return ShopChanges(
        now,
        tuple(ProductState(*row) for row in connection.execute(live)),
        connection.execute(rules).first() is not None,
    )
