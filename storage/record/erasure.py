"""Erases a customer from the record: every row in one transaction, and a tombstone that stands for good."""

from dataclasses import dataclass

import sqlalchemy as sa

from storage.record.audit import note
from storage.record.budgets import forget_promises
from storage.record.consent import PRESETS, Consent, consent_of
from storage.record.erasure_key import ErasureKey
from storage.record.record import Record
from storage.record.statements import consent_lock, next_change, take_time
from storage.record.tables import (
    consent_log,
    customers,
    events,
    exposures,
    offer_promises,
    quarantine,
    tombstones,
)

ERASE_MS = 60_000  # of one statement: Postgres ended it at the limit of a worker, each time it was asked for
HOLDS_IDS = (events, quarantine, customers, consent_log, exposures)
"""The tables in which a customer's id may stand, but for promises, which go on counting without it."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A receipt.

    Attributes:
        number: of the tombstone; a night that saw this number knows of the erasure.
        rows: how many were deleted, by table.
    """

    number: int
    epoch: int
    erased_ms: int
    rows: dict[str, int]


def erase(record: Record, customer_id: str, *, now_ms: int, client: str) -> Erasure:
    """Delete all that the record holds of a customer. It is done when this returns, else nothing was.

    Raises:
        RecordUnavailableError: it can't be done now: it must be asked again.
    """
    with record.writing() as connection:
        erasure = _erase(connection, record.key, customer_id, now_ms=now_ms, client=client)
    record.truncate_log()
    return erasure


def _erase(
    connection: sa.Connection, key: ErasureKey, customer_id: str, *, now_ms: int, client: str
) -> Erasure:
    consent_lock(connection, exclusive=True)
    take_time(connection, ERASE_MS)
    promises = forget_promises(connection, customer_id)
    rows = {}
    for table in HOLDS_IDS:
        deleted = connection.execute(sa.delete(table).where(table.c.customer_id == customer_id))
        rows[table.name] = deleted.rowcount
    rows[offer_promises.name] = promises
    hashed = key.hash_of(customer_id)
    connection.execute(sa.delete(tombstones).where(tombstones.c.customer_hash == hashed))
    note(connection, "erasure", {}, now_ms=now_ms, client=client)
    epoch = next_change(connection)
    stone = {"customer_hash": hashed, "erased_ms": now_ms, "epoch": epoch}
    made = connection.execute(sa.insert(tombstones).returning(tombstones.c.number), stone)
    return Erasure(int(made.scalar_one()), epoch, now_ms, rows)


def allowed_by(connection: sa.Connection, key: ErasureKey, customer_id: str, default: Consent) -> Consent:
    """What a customer allows. Whoever was erased allows nothing until they say so, whatever the default."""
    mine = tombstones.c.customer_hash == key.hash_of(customer_id)
    is_gone = connection.scalar(sa.select(tombstones.c.number).where(mine)) is not None
    return consent_of(connection, customer_id, PRESETS["nothing"] if is_gone else default)


def erasures_after(connection: sa.Connection, number: int) -> int:
    """How many customers were erased after the erasure of this number; 0 for all."""
    rows = sa.select(sa.func.count()).select_from(tombstones).where(tombstones.c.number > number)
    return int(connection.scalar(rows) or 0)
