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


def insert_new_rows(
    connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], told: sa.Column[Any]
) -> list[Any]:
    """Insert rows, leave out those whose key is there already, and tell a column of those inserted.

    Postgres gets a column in one parameter, not one for each cell: 100 events took 2 ms at best instead of 7.
    """
    statement = insert_new(connection, table)
    if connection.dialect.name == "sqlite":
        return list(connection.execute(statement.returning(told), rows).scalars())
    names = list(rows[0])
    columns = [
        sa.literal([row[name] for row in rows], postgresql.ARRAY(table.c[name].type)) for name in names
    ]
    lines = sa.func.unnest(*columns).table_valued(*names).render_derived()
    chosen = sa.select(*(lines.c[name] for name in names))
    return list(connection.execute(statement.from_select(names, chosen).returning(told)).scalars())


def upsert(
    connection: sa.Connection, table: sa.Table, columns: Iterable[str]
) -> sqlite.Insert | postgresql.Insert:
    """An insert that, where the primary key is there already, sets these columns."""
    statement = _insert(connection, table)
    changed = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed)


def insert_sum(connection: sa.Connection, table: sa.Table, name: str) -> sqlite.Insert | postgresql.Insert:
    """An insert that, where the primary key is there already, adds to a column."""
    statement = _insert(connection, table)
    summed = {name: table.c[name] + statement.excluded[name]}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=summed)


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def among(connection: sa.Connection, column: sa.Column[Any], values: list[Any]) -> sa.ColumnElement[bool]:
    """Whether a column is one of these values; on Postgres one prepared statement for any number of them."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(values, postgresql.ARRAY(column.type)))
    return column.in_(values)


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


def take_time(connection: sa.Connection, limit_ms: int) -> None:
    """Let each statement of this transaction take as long as that; SQLite ends none anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.set_config("statement_timeout", str(limit_ms), True)))


def consent_lock(connection: sa.Connection, *, exclusive: bool) -> None:
    """Keep consent as it is until this transaction ends; exclusive: to change it.

    Events are let in by what their customer allowed: without this, an erasure could slip in between the look
    and the insert. On SQLite every writer is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock if exclusive else sa.func.pg_advisory_xact_lock_shared
        connection.execute(sa.select(lock(_CONSENT_LOCK)))
