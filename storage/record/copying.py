"""Copies a whole record into an empty one, as when a shop goes from SQLite to Postgres.

Numbers stay as they are: a night, a version and a worker know by them what they have read.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from storage.record.errors import NotEmptyError
from storage.record.record import Record
from storage.record.tables import METADATA, record_clock, record_facts

ROWS = 5000  # at once
_MADE_WITH = (record_clock, record_facts)  # which a new record has rows of


def copy_record(source: Record, target: Record) -> dict[str, int]:
    """Copy every row, in one transaction of each. SQLite lets nobody write to the source meanwhile; what is
    written to a Postgres while it is read may be missed.

    Returns:
        How many rows by table, of those that have any.
    Raises:
        NotEmptyError: something stands in the target.
        RecordUnavailableError, SchemaError, ErasureKeyError: one of both can't be used; nothing was copied.
    """
    copied = {}
    with source.writing() as old, target.writing() as new:
        for table in METADATA.sorted_tables:
            if table not in _MADE_WITH and new.execute(sa.select(sa.literal(1)).select_from(table)).first():
                raise NotEmptyError(target.name, table.name)
        for table in METADATA.sorted_tables:
            new.execute(sa.delete(table))
            n = 0
            for rows in _pages(old, table):
                new.execute(sa.insert(table), rows)
                n += len(rows)
            if table.autoincrement_column is not None:
                _number_from(new, table.autoincrement_column, _last_number(old, table.autoincrement_column))
            if n and table not in _MADE_WITH:
                copied[table.name] = n
    return copied


def _pages(connection: sa.Connection, table: sa.Table) -> Iterator[list[dict[str, object]]]:
    ordered = sa.select(table).order_by(*table.primary_key)
    found = connection.execute(ordered, execution_options={"yield_per": ROWS})
    for page in found.mappings().partitions():
        yield [dict(row) for row in page]


def _last_number(connection: sa.Connection, column: sa.Column[int]) -> int:
    """The last number that a table gave a row, also one that was deleted since; 0 before the first."""
    if connection.dialect.name == "sqlite":
        last = "SELECT seq FROM sqlite_sequence WHERE name = :name"
        return connection.scalar(sa.text(last), {"name": column.table.name}) or 0
    state = sa.select(sa.column("last_value", sa.BigInteger), sa.column("is_called", sa.Boolean))
    number, is_called = connection.execute(state.select_from(sa.text(_sequence(connection, column)))).one()
    return number if is_called else 0


def _number_from(connection: sa.Connection, column: sa.Column[int], last: int) -> None:
    """Let a table go on after this number."""
    if connection.dialect.name != "sqlite":
        if last:
            of = {"sequence": _sequence(connection, column), "last": last}
            connection.execute(sa.text("SELECT setval(CAST(:sequence AS regclass), :last)"), of)
        return
    of = {"name": column.table.name, "last": last}
    connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), of)
    connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), of)


def _sequence(connection: sa.Connection, column: sa.Column[int]) -> str:
    """The name of the sequence that numbers a table's rows, in Postgres."""
    found = sa.select(sa.func.pg_get_serial_sequence(column.table.name, column.name))
    return str(connection.scalar(found))
