"""Records for tests: an empty one on SQLite or on a real Postgres, and events to put into it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import URL

from service.errors import RefusedError
from service.record import NOT_READ
from storage.record.engine import file_of, open_engine, parse_url
from storage.record.erasure_key import ErasureKey
from storage.record.events import DailyCaps, Event, EventType, Outcome, Sending
from storage.record.intake import Intake
from storage.record.migrate import FOLDER
from storage.record.record import Record
from storage.record.schema import prepare

SECRET = "0123456789abcdef"  # noqa: S105
KEY = ErasureKey(SECRET)
NOON_MS = 1_800_014_400_000 // 86_400_000 * 86_400_000 + 43_200_000
PRODUCTS = {"milk", "bread", "butter"}
SHOP = Sending("", "key-1", NOON_MS)
PATIENT_MS = 20_000  # other tests keep the machine busy


@contextmanager
def empty_record(url: URL) -> Iterator[Record]:
    """A record with the newest schema; on Postgres it is taken away afterwards."""
    prepare(url)
    try:
        with opened(url) as record:
            yield record
    finally:
        if file_of(url) is None:
            clear(url)


@contextmanager
def opened(url: URL, key: ErasureKey = KEY) -> Iterator[Record]:
    """A record that may be there or not."""
    record = Record(url, key, lock_ms=PATIENT_MS)
    try:
        yield record
    finally:
        record.close()


def make_older(connection: sa.Connection, revision: str) -> None:
    """The tables of an older release, in a record that has none."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


class Door:
    """The way of a worker to a record, without its bounds; it can be shut."""

    def __init__(self, record: Record) -> None:
        self._record, self.is_shut = record, False

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        if self.is_shut:
            raise RefusedError("record_unavailable", None, "shut")
        return work(self._record)


def sqlite_url(folder: Path) -> URL:
    return parse_url(f"sqlite:///{folder / 'record' / 'record.db'}")


def clear(url: URL) -> None:
    """Drop every table of a Postgres, whichever there are: to look at them first takes much longer."""
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


def event(
    event_id: str,
    customer_id: str = "anna",
    product_id: str | None = "milk",
    kind: EventType = EventType.PURCHASE,
    *,
    at_ms: int = NOON_MS,
    **more: object,
) -> Event:
    """An event whose hash follows from what it says."""
    payload = json.dumps([customer_id, product_id, kind, at_ms, more], default=str)
    hashed = blake2b(payload.encode(), digest_size=16).digest()
    return Event(event_id, hashed, payload, kind, customer_id, at_ms, product_id, **more)  # type: ignore[arg-type]


def intake(*, trade: int = 100, others: int = 100, stores_by_default: bool = True) -> Intake:
    caps = DailyCaps(trade, others)
    return Intake(KEY, caps, stores_by_default, PRODUCTS.__contains__)


def take(
    record: Record, *batch: Event, taking: Intake | None = None, sending: Sending = SHOP
) -> list[Outcome]:
    """What becomes of events, committed."""
    with record.writing() as connection:
        return (taking or intake()).take(connection, sending, batch)


def rows(record: Record, table: sa.Table, *columns: str) -> list[tuple[object, ...]]:
    """Some columns of all rows, in the order of the table's key."""
    wanted = sa.select(*(table.c[name] for name in columns)).order_by(*table.primary_key.columns)
    with record.reading() as connection:
        return [tuple(row) for row in connection.execute(wanted)]
