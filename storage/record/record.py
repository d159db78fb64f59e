"""The record as others open it: transactions that read or write, and one sort of error for all that fails."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from storage.record.engine import (
    LOCK_MS,
    STATEMENT_MS,
    WRITES,
    expect_there,
    file_of,
    first_line,
    is_full,
    open_engine,
    parse_url,
)
from storage.record.erasure_key import ErasureKey, load_erasure_key
from storage.record.errors import BadRecordUrlError, ErasureKeyError, NoBackupError, RecordUnavailableError
from storage.record.folder import new_private_file
from storage.record.schema import check_schema
from storage.record.statements import insert_new
from storage.record.tables import record_facts

FILE = Path("record") / "record.db"
_KEY_FACT = "erasure key"


def record_url(root: Path, url: str | None) -> URL:
    """Where the record is: at the URL that was given, else in a file of the store.

    Raises:
        BadRecordUrlError: the URL can't be used.
    """
    if url:
        return parse_url(url)
    return URL.create("sqlite", database=str((root / FILE).absolute()))


class Record:
    """A record of one process. It connects when it is first used; the first use checks schema and key.

    Args:
        key: hides the ids of customers that were erased.
        lock_ms, statement_ms, is_watched: as of `open_engine`.
    """

    def __init__(
        self,
        url: URL,
        key: ErasureKey,
        *,
        lock_ms: int = LOCK_MS,
        statement_ms: int = STATEMENT_MS,
        is_watched: bool = False,
    ) -> None:
        self.name = url.render_as_string(hide_password=True)
        self.key = key
        self._engine = open_engine(url, lock_ms=lock_ms, statement_ms=statement_ms, is_watched=is_watched)
        self._is_checked = self._is_key_noted = False
        sa.event.listen(self._engine, "invalidate", self._check_again)

    @property
    def is_postgres(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that reads one state of the record.

        Raises:
            RecordUnavailableError: it can't be reached, or something failed within.
            SchemaError, ErasureKeyError: it isn't a record for this release or this key.
        """
        with _our_errors(), self._engine.connect() as connection, connection.begin():
            self._check(connection)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes: all of it is durable when the block ends, or nothing happened.

        Raises:
            RecordUnavailableError: as `reading`; at the very end it may have happened all the same.
        """
        if not self._is_checked:
            with self.reading():
                pass
        with (
            _our_errors(),
            self._engine.connect().execution_options(**WRITES) as connection,
            connection.begin(),
        ):
            self._note_key(connection)
            yield connection

    def back_up(self, target: Path) -> None:
        """Copy one state of a SQLite record to a file that isn't there yet, while it is used.

        Raises:
            NoBackupError: it is no SQLite file, or the target is there.
            RecordUnavailableError: it can't be read, or the copy not written.
        """
        if self.is_postgres:
            raise NoBackupError("pg_dump copies a record in Postgres")
        with self.reading():
            pass
        try:
            new_private_file(target)  # its own rights, before anything is in it
        except FileExistsError as err:
            raise NoBackupError(f"{target} is there already") from err
        try:
            with _our_errors(), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("VACUUM INTO ?", (str(target),))
        except BaseException:
            target.unlink()  # a part of a record would be taken for one
            raise

    def truncate_log(self) -> None:
        """Let nothing that was deleted stay in SQLite's write-ahead log, where there is one.

        Raises:
            RecordUnavailableError: somebody reads an older state of the record just now.
        """
        if self.is_postgres:
            return
        with _our_errors(), closing(self._engine.raw_connection()) as connection:
            (is_busy, *_) = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise RecordUnavailableError("its log can't be emptied, since it is being read: ask again")

    def close(self) -> None:
        """Close all connections that aren't in use."""
        self._engine.dispose()

    def _check_again(self, *_: object) -> None:
        """A connection was lost: what is there now may be another record."""
        self._is_checked = self._is_key_noted = False

    def _check(self, connection: sa.Connection) -> None:
        if not self._is_checked:
            check_schema(connection, self.name)
            self._is_key_noted = self._is_our_key(connection)
            self._is_checked = True

    def _note_key(self, connection: sa.Connection) -> None:
        """Note in a new record which key it is begun with."""
        if not self._is_key_noted:
            fact = {"name": _KEY_FACT, "value": self.key.fingerprint}
            connection.execute(insert_new(connection, record_facts), fact)
            self._is_key_noted = self._is_our_key(connection)

    def _is_our_key(self, connection: sa.Connection) -> bool:
        """Whether the record was begun with our key; no, if with none yet."""
        value = sa.select(record_facts.c.value).where(record_facts.c.name == _KEY_FACT)
        known = connection.scalar(value)
        if known is not None and known != self.key.fingerprint:
            raise ErasureKeyError(f"{self.name} was begun with another one: every machine needs the same")
        return known is not None


def open_record(
    root: Path,
    url: str | None,
    secret: str | None,
    *,
    lock_ms: int,
    statement_ms: int,
    is_watched: bool = False,
) -> Record:
    """The record of a store, with its key.

    Where its file isn't there no key is made: a key alone says that the record is elsewhere.

    Args:
        root, url: as of `record_url`.
        secret: as of `load_erasure_key`.
        lock_ms, statement_ms, is_watched: as of `Record`.
    Raises:
        BadRecordUrlError, SchemaError, ErasureKeyError: it can't be used.
    """
    if url is None:
        expect_no_other_record(root)
    where = record_url(root, url)
    if (file := file_of(where)) is not None:
        expect_there(file)
    key = load_erasure_key(root, secret)
    return Record(where, key, lock_ms=lock_ms, statement_ms=statement_ms, is_watched=is_watched)


def expect_no_other_record(root: Path) -> None:
    """Refuse to take the store for one without a record where it is elsewhere, and nobody said where.

    Then a night would learn from customers who said no, and nothing would expire. It is known by what a
    service keeps here wherever its record is: the erasure key, and its count of exposures.

    Raises:
        BadRecordUrlError: it is so.
    """
    folder = (root / FILE).parent
    if folder.is_dir() and any(folder.iterdir()) and not (root / FILE).exists():
        raise BadRecordUrlError(
            f"{folder} has what a service keeps beside one, and no {FILE.name}: where it is a Postgres, name "
            "it by NEXTBEST_RECORD_URL; where it is lost, restore it; else run `nbo-serve record migrate`"
        )


@contextmanager
def _our_errors() -> Iterator[None]:
    """Turn what SQLAlchemy and the drivers raise into our own error, without the statement's values."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as err:  # the latter of what goes past SQLAlchemy
        raise RecordUnavailableError(first_line(err), is_full=is_full(getattr(err, "orig", err))) from err
