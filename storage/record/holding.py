"""How much a record holds, for whoever runs it."""

from dataclasses import dataclass

import sqlalchemy as sa

from storage.record.schema import found_schema
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


def holding(connection: sa.Connection) -> Holding:
    """What is held now; reads through all events."""
    return Holding(
        found_schema(connection),
        _counts(connection, events.c.type),
        _counts(connection, quarantine.c.reason),
        _count(connection, customers),
        _count(connection, tombstones),
    )


def _counts(connection: sa.Connection, column: sa.Column[str]) -> dict[str, int]:
    rows = sa.select(column, sa.func.count()).group_by(column).order_by(column)
    return {name: int(n) for name, n in connection.execute(rows)}


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
