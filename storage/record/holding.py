"""How much a record holds, for whoever runs it."""

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from storage.record.record import Record
from storage.record.schema import found_schema
from storage.record.stretches import stretches
from storage.record.tables import customers, events, quarantine, tombstones


@dataclass(frozen=True, slots=True)
class Holding:
    """Counts of rows.

    Attributes:
        events, quarantine: by type, and by reason.
    """

    schema: int
    events: dict[str, int]
    quarantine: dict[str, int]
    customers: int
    erased: int


def holding(record: Record) -> Holding:
    """What is held now; goes through all events."""
    kept, aside = _counts(record, events.c.type), _counts(record, quarantine.c.reason)
    with record.reading() as connection:
        known, erased = _count(connection, customers), _count(connection, tombstones)
        return Holding(found_schema(connection), kept, aside, known, erased)


def _counts(record: Record, column: sa.Column[str]) -> dict[str, int]:
    counts = Counter[str]()
    for stretch in stretches(record, column.table):
        rows = sa.select(column, sa.func.count()).where(stretch).group_by(column)
        with record.reading() as connection:
            counts.update({name: int(n) for name, n in connection.execute(rows)})
    return dict(sorted(counts.items()))


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
