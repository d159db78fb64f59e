"""Goes through a large table in short looks: on SQLite nobody can commit while somebody reads."""

from collections.abc import Iterator

import sqlalchemy as sa

from storage.record.record import Record

STRETCH = 20_000  # row numbers of one look


def stretches(record: Record, table: sa.Table) -> Iterator[sa.ColumnElement[bool]]:
    """A condition on the table's rows for each look, in the order of their numbers; none for numbers that are
    long gone."""
    key, after = table.c.id, 0
    while True:
        with record.reading() as connection:
            first = connection.scalar(sa.select(sa.func.min(key)).where(key > after))
        if first is None:
            return
        after = int(first) - 1 + STRETCH
        yield key.between(first, after)
