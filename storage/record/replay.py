"""Brings erasures back into a record that was restored: who was erased since the backup must stay erased."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import batched

import sqlalchemy as sa

from storage.record.budgets import forget_promises
from storage.record.erasure import HOLDS_IDS
from storage.record.errors import BadTombstonesError
from storage.record.record import Record
from storage.record.statements import IN_MAX, consent_lock, next_change, parts
from storage.record.tables import offer_promises, tombstones


@dataclass(frozen=True, slots=True)
class Stone:
    """An erasure, by the keyed hash of whose it was."""

    number: int
    customer_hash: bytes
    erased_ms: int


def stones_of(record: Record) -> list[Stone]:
    """All erasures that a record knows, in their order.

    Raises:
        RecordUnavailableError: it can't be read.
    """
    rows = sa.select(tombstones.c.number, tombstones.c.customer_hash, tombstones.c.erased_ms)
    with record.reading() as connection:
        found = connection.execute(rows.order_by(tombstones.c.number)).all()
    return [Stone(number, bytes(hashed), erased_ms) for number, hashed, erased_ms in found]


def lines_of(stones: Iterable[Stone]) -> Iterator[str]:
    """Erasures as JSON, a line each; no line has an id."""
    for stone in stones:
        yield json.dumps([stone.number, stone.customer_hash.hex(), stone.erased_ms])


def parse_lines(lines: Iterable[str]) -> list[Stone]:
    """Erasures from such lines.

    Raises:
        BadTombstonesError: with the number of the line at fault.
    """
    stones = []
    for number, line in enumerate(lines, 1):
        try:
            stone_number, hashed, erased_ms = json.loads(line)
            stone = Stone(int(stone_number), bytes.fromhex(hashed), int(erased_ms))
        except (ValueError, TypeError) as err:
            raise BadTombstonesError(number) from err
        if len(stone.customer_hash) != 32:
            raise BadTombstonesError(number)
        stones.append(stone)
    return stones


def replay(record: Record, stones: Iterable[Stone]) -> int:
    """Erase again whom a record doesn't know to be erased, in one transaction; how many that were.

    An erasure that the record knows is left alone: a new life may have begun after it.

    Raises:
        RecordUnavailableError: nothing was done.
    """
    with record.writing() as connection:
        consent_lock(connection, exclusive=True)
        known = {
            bytes(hashed): erased_ms
            for hashed, erased_ms in connection.execute(
                sa.select(tombstones.c.customer_hash, tombstones.c.erased_ms)
            )
        }
        missing = {
            stone.customer_hash: stone
            for stone in stones
            if stone.erased_ms > known.get(stone.customer_hash, -1)
        }
        if missing:
            _delete(connection, [one for one in _ids(connection) if record.key.hash_of(one) in missing])
            _insert(connection, list(missing.values()))
    record.truncate_log()
    return len(missing)


def _ids(connection: sa.Connection) -> set[str]:
    return {
        customer_id
        for table in (*HOLDS_IDS, offer_promises)
        for customer_id in connection.execute(sa.select(table.c.customer_id).distinct()).scalars()
    }


def _delete(connection: sa.Connection, customer_ids: list[str]) -> None:
    for customer_id in customer_ids:
        forget_promises(connection, customer_id)
    for table in HOLDS_IDS:
        for some in parts(customer_ids):
            connection.execute(sa.delete(table).where(table.c.customer_id.in_(some)))


def _insert(connection: sa.Connection, stones: list[Stone]) -> None:
    """With the numbers that they had: nights noted those. Some at a time have a number of the clock, since
    workers are told all that one number changed in one look."""
    for some in parts(stone.customer_hash for stone in stones):
        connection.execute(sa.delete(tombstones).where(tombstones.c.customer_hash.in_(some)))
    for page in batched(stones, IN_MAX):
        epoch = next_change(connection)
        rows = [asdict(stone) | {"epoch": epoch} for stone in page]
        connection.execute(sa.insert(tombstones), rows)
    if connection.dialect.name == "postgresql":  # SQLite goes on after the highest by itself
        last = sa.select(sa.func.max(tombstones.c.number)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence("tombstones", "number")
        connection.execute(sa.select(sa.func.setval(sequence, last)))
