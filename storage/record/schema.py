"""Looks at a record's schema before anything is written, and brings an older one up to date under a lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from storage.record.engine import WRITES, file_of, first_line, open_engine
from storage.record.errors import RecordUnavailableError, SchemaError
from storage.record.folder import private_file
from storage.record.tables import METADATA, SCHEMA, record_clock

_LOCK = 0x6E657874626573  # of Postgres' advisory locks, for migrations
_MIGRATION_MS = 600_000


def found_schema(connection: sa.Connection) -> int:
    """The number of a record's schema; 0 where nothing was made yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return 0
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return int(found) if found else 0


def check_schema(connection: sa.Connection, name: str) -> None:
    """Refuse a record that this release can't use.

    Raises:
        SchemaError: it is newer or older.
    """
    found = found_schema(connection)
    _refuse_newer(found, name)
    if found < SCHEMA:
        first = "stop the services of the older release and " if found else ""
        why = f"it has schema {found}, and {SCHEMA} is needed: {first}run `nbo-serve record migrate`"
        raise SchemaError(name, why)


def prepare(url: URL, *, upgrades: bool = True) -> int:
    """Make the record's tables, or bring them up to date; one process at a time. Returns what it was before.

    Args:
        upgrades: False: tables of an older release stay as they are.
    Raises:
        SchemaError: it is newer than this release.
        RecordUnavailableError: it can't be reached or changed.
    """
    name = url.render_as_string(hide_password=True)
    engine = open_engine(url, lock_ms=_MIGRATION_MS, statement_ms=_MIGRATION_MS, is_watched=True)
    try:
        file = file_of(url)
        if file is not None:
            private_file(file)
        with engine.connect() as connection:
            found = found_schema(connection)
        _refuse_newer(found, name)
        if found < SCHEMA and (upgrades or not found):
            _migrate(engine, file, name)
    except (sa.exc.SQLAlchemyError, OSError) as err:
        raise RecordUnavailableError(f"{name}: {first_line(err)}") from err
    finally:
        engine.dispose()
    return found


def _migrate(engine: sa.Engine, file: Path | None, name: str) -> None:
    with _one_at_a_time(file), engine.connect().execution_options(**WRITES) as connection, connection.begin():
        if file is None:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        found = found_schema(connection)
        _refuse_newer(found, name)
        if found:
            from storage.record.migrate import migrate  # noqa: PLC0415  # Alembic is slow to import

            migrate(connection)
        else:
            _make(connection)


def _make(connection: sa.Connection) -> None:
    """Make all tables of the newest schema at once, where there are none."""
    METADATA.create_all(connection)
    connection.execute(sa.insert(record_clock), {"id": 1, "now": 0})
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
        " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    stamp = sa.insert(sa.table("alembic_version", sa.column("version_num")))
    connection.execute(stamp, {"version_num": f"{SCHEMA:04d}"})


@contextmanager
def _one_at_a_time(file: Path | None) -> Iterator[None]:
    """A lock on the file's folder: who waits for SQLite's own gives up sooner than a migration may take."""
    if file is None:
        yield
        return
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _refuse_newer(found: int, name: str) -> None:
    if found > SCHEMA:
        why = (
            f"it has schema {found}, and this release knows {SCHEMA}: install the release that made it, or"
            " restore a backup from before"
        )
        raise SchemaError(name, why)
