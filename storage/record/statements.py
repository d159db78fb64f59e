"""Statements that SQLite and Postgres share and standard SQL does not have, and the clock of changes."""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.record.tables import record_clock

_CONSENT_LOCK = 0x6E62636F6E73  # of Postgres' advisory locks
IN_MAX = 1000  # values in one list


def insert_new(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves out rows whose key is there already."""
    return _insert(connection, table).on_conflict_do_nothing()


def upsert(
    connection: sa.Connection, table: sa.Table, columns: Iterable[str]
) -> sqlite.Insert | postgresql.Insert:
    """An insert that, where the primary key is there already, sets these columns."""
    statement = _insert(connection, table)
    changed = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed)


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def parts(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Distinct values, sorted, in lists that are short enough for one statement."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), IN_MAX):
        yield ordered[start : start + IN_MAX]


def next_change(connection: sa.Connection) -> int:
    """The next number of the clock; it is whoever waits for it that commits first.

    Ask late: until the transaction ends no other one gets a number. That is what makes the numbers come true
    in their order, so that nobody who saw N can miss what has a lower one.
    """
    tick = sa.update(record_clock).values(now=record_clock.c.now + 1).returning(record_clock.c.now)
    return int(connection.execute(tick).scalar_one())


def consent_lock(connection: sa.Connection, *, exclusive: bool) -> None:
    """Keep consent as it is until this transaction ends; exclusive: to change it.

    Events are let in by what their customer allowed: without this, an erasure could slip in between the look
    and the insert. On SQLite every writer is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock if exclusive else sa.func.pg_advisory_xact_lock_shared
        connection.execute(sa.select(lock(_CONSENT_LOCK)))
