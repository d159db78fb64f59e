"""A table as the result of a query, fetched in batches."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from models.errors import BadHistoryError
from storage.history.clean import LINE
from storage.history.contract import Table
from storage.record.engine import first_line
from storage.silent_server import end_when_silent

BATCH_ROWS = 50_000


class Database:
    """A shop's database, only ever read."""

    def __init__(self, url: str) -> None:
        """Open a database.

        Args:
            url: as SQLAlchemy knows it; `postgresql://` goes through psycopg.
        Raises:
            BadHistoryError: the URL can't be used.
        """
        try:
            parsed = sa.make_url(url)
            if parsed.drivername in ("postgresql", "postgres"):
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.name = parsed.render_as_string(hide_password=True)
            self._engine = sa.create_engine(parsed, poolclass=sa.NullPool)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError, ValueError) as err:
            why = "must be a folder, sqlite:///FILE or postgresql://HOST/NAME; for others see docs/data.md"
            raise BadHistoryError("--data", why) from err
        if parsed.drivername == "postgresql+psycopg":  # other drivers have other options
            end_when_silent(self._engine)
        file = parsed.database
        if parsed.get_backend_name() == "sqlite" and file and file != ":memory:" and not Path(file).is_file():
            raise BadHistoryError(self.name, "no such file")  # sqlite would make an empty one

    def has(self, table: Table) -> bool:
        try:
            return bool(sa.inspect(self._engine).has_table(table.name))
        except sa.exc.SQLAlchemyError as err:
            raise self._refused(err) from err

    def batches(self, table: Table, query: str | None) -> Iterator[pl.DataFrame]:
        """Batches of the query's columns, and LINE, the number of the row from 1.

        Raises:
            BadHistoryError: the database refuses.
        """
        whole = sa.select(sa.text("*")).select_from(sa.table(table.name))
        try:
            with (
                self._engine.connect().execution_options(stream_results=True) as connection,
                _sent(connection, query) if query else connection.execute(whole) as result,
            ):
                names = list(result.keys())
                self._check_names(names, table)
                yield _frame(names, [], 1)
                first = 1
                for rows in result.partitions(BATCH_ROWS):
                    yield _frame(names, rows, first)
                    first += len(rows)
        except sa.exc.SQLAlchemyError as err:
            raise self._refused(err, table) from err

    def _check_names(self, names: list[str], table: Table) -> None:
        """Of two columns of one name nobody can tell which is meant."""
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            why = f"two columns {twice!r}: name the columns in the query"
            raise BadHistoryError(f"{self.name}, {table.name}", why)

    def _refused(self, err: sa.exc.SQLAlchemyError, table: Table | None = None) -> BadHistoryError:
        why = first_line(err)
        if "infinity'" in why:  # Postgres has such times, Python has none
            why += ": a time without end is empty here, such as NULLIF(ends_at, 'infinity') in the query"
        return BadHistoryError(self.name if table is None else f"{self.name}, {table.name}", why)


def _sent(connection: sa.Connection, query: str) -> sa.CursorResult[Any]:
    """A shop's own SQL as it is written: no colon or % in it stands for a parameter."""
    return connection.execution_options(no_parameters=True).exec_driver_sql(query)


def _frame(names: list[str], rows: Sequence[Sequence[Any]], first: int) -> pl.DataFrame:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    series = [_series(name, values) for name, values in zip(names, columns, strict=True)]
    return pl.DataFrame([pl.Series(LINE, range(first, first + len(rows)), dtype=pl.Int64), *series])


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """A column as typed as its values; as text where they are of several types (SQLite allows that), or of
    one that isn't read further, such as a UUID."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1 and not (Decimal in kinds and _has_nameless(values)):
        try:
            series = pl.Series(name, values, strict=True)
            if series.dtype not in (pl.Object, pl.Duration):
                return series
        except (TypeError, ValueError, OverflowError, RuntimeError, pl.exceptions.PolarsError):
            pass  # RuntimeError: numbers of more digits than polars has
    return pl.Series(name, [_as_text(value) for value in values], dtype=pl.String)


def _has_nameless(values: Sequence[Any]) -> bool:
    """Whether NaN or infinity is among decimals, at which polars panics."""
    return any(value is not None and not value.is_finite() for value in values)


def _as_text(value: object) -> str | None:
    """A value as a CSV file would have it; ids as they are where the column could be typed."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return re.sub(r"\.0+$", "", f"{value:f}")
    if isinstance(value, list):
        return ";".join(str(one) for one in value if one is not None)
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
