"""Connections to the record: SQLite in a file of ours, or the shop's Postgres, both with bounded waits.

A transaction begins as a reader's; `WRITES` makes it a writer's, which on SQLite takes the lock at once: a
reader that turns into a writer later would have to be refused where another one was faster.
"""

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from storage.record.errors import USABLE_URL, BadRecordUrlError, SchemaError
from storage.silent_server import end_when_silent

WRITES = {"record_writes": True}
POOL_WAIT_S = 0.2
# A connection to a host that is gone ends in about 10 s; 2 s to connect is the shortest that libpq knows.
DEAD_HOST = {
    "connect_timeout": 2,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
LOCK_MS = 150
STATEMENT_MS = 2000

# Until then, several processes that write in WAL mode could damage the file: sqlite.org/wal.html
SAFE_WAL = (3, 51, 3)
FULL_OR_BROKEN = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CANTOPEN")


def parse_url(url: str) -> URL:
    """The URL of a record: `sqlite:///FILE`, or `postgresql://...`, which goes through psycopg.

    Raises:
        BadRecordUrlError: it is neither.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
            return parsed.set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError) as err:
        raise BadRecordUrlError(USABLE_URL) from err
    if parsed.drivername != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise BadRecordUrlError(USABLE_URL)
    return parsed


def file_of(url: URL) -> Path | None:
    """The file of an SQLite record; None for Postgres."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def expect_there(file: Path) -> None:
    """Raises SchemaError where a record's file isn't there."""
    if not file.exists():
        raise SchemaError(str(file), "there is none yet: run `nbo-serve record migrate`")


def open_engine(
    url: URL, *, lock_ms: int = LOCK_MS, statement_ms: int = STATEMENT_MS, is_watched: bool = False
) -> sa.Engine:
    """An engine that connects when it is first used; make it after a fork, never before. Its errors hide what
    statements were about, which is customers' ids.

    Args:
        lock_ms: longest wait for a lock that somebody else holds.
        statement_ms: longest time of one statement, as the server counts it; Postgres only.
        is_watched: end what waits for a server that doesn't even count any more; for those who would wait.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, lock_ms)
    options = f"-c statement_timeout={statement_ms} -c lock_timeout={lock_ms}"
    options += f" -c idle_in_transaction_session_timeout={10 * statement_ms}"
    # Where the default is stricter, whoever waited for a lock of ours would see what was before it.
    options += r" -c default_transaction_isolation=read\ committed"
    engine = sa.create_engine(
        url,
        pool_size=2,
        max_overflow=2,
        pool_timeout=POOL_WAIT_S,
        pool_recycle=1800,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": options, "application_name": "nextbest", **DEAD_HOST},
    )
    sa.event.listen(engine, "handle_error", _hide_row)
    if is_watched:
        end_when_silent(engine)
    return engine


def is_full(err: BaseException | None) -> bool:
    """Whether there was no room to write to."""
    return (
        _sqlite_name(err).startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE"))
        or getattr(err, "sqlstate", None) == "53100"
    )


def first_line(err: Exception) -> str:
    """What a database says, without the statement that it was said about."""
    cause = getattr(err, "orig", None) or err
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def _hide_row(context: sa.ExceptionContext) -> None:
    """Leave out which row a Postgres refused: its DETAIL shows the row or its key, with customers' ids, and
    stands in every trace of what is raised from this."""
    for err in (context.original_exception, context.sqlalchemy_exception):
        if err is not None and err.args:
            err.args = (str(err.args[0]).partition("\n")[0], *err.args[1:])


def _sqlite(url: URL, lock_ms: int) -> sa.Engine:
    file = Path(url.database or "").absolute()

    def connect() -> sqlite3.Connection:
        expect_there(file)  # SQLite would make an empty one
        # isolation_level None: Python's module would begin transactions by rules of its own.
        return sqlite3.connect(
            f"{file.as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )

    engine = sa.create_engine(url, pool_timeout=POOL_WAIT_S, hide_parameters=True, creator=connect)
    has_safe_wal = sqlite3.sqlite_version_info >= SAFE_WAL

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        entry.info["file"] = _mark(file)
        connection.execute(f"PRAGMA busy_timeout={lock_ms}")
        if has_safe_wal:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        else:
            # EXTRA is FULL and the folder: else a power cut may bring back the journal, and undo a commit.
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=EXTRA")
        connection.execute("PRAGMA secure_delete=ON")

    @sa.event.listens_for(engine, "checkout")
    def check(_: sqlite3.Connection, entry: ConnectionPoolEntry, __: PoolProxiedConnection) -> None:
        if entry.info["file"] != _mark(file):  # a backup was put in its place: this one still reads the other
            raise sa.exc.DisconnectionError("another file is there")

    @sa.event.listens_for(engine, "checkin")
    def let_go(connection: sqlite3.Connection | None, _: ConnectionPoolEntry) -> None:
        if connection is not None:  # else it was broken
            connection.execute("PRAGMA shrink_memory")  # 2 MB of pages, which others change meanwhile

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("record_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @sa.event.listens_for(engine, "handle_error")
    def drop_if_broken(context: sa.ExceptionContext) -> None:
        if _sqlite_name(context.original_exception).startswith(FULL_OR_BROKEN):
            context.is_disconnect = True

    return engine


def _mark(file: Path) -> tuple[int, int] | None:
    """What tells a file from one that takes its place; None where there is none."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _sqlite_name(err: BaseException | None) -> str:
    """What SQLite calls an error, such as SQLITE_FULL; empty for others."""
    return getattr(err, "sqlite_errorname", None) or ""
