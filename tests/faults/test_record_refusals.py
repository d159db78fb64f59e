"""A database that is held, stopped or not there yet: events are refused within the time promised."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from storage.record.engine import parse_url
from storage.record.record import FILE
from storage.record.tables import events
from storage.versions.store import Store
from tests.data.records import clear, rows
from tests.data.running_service import Running, running_service
from tests.data.stopped_postgres import stopped
from tests.data.tiny_version import new_store
from tests.faults.client import Connection, Outcome
from tests.faults.intake import opened, post, taken_again

REFUSED_S = 0.25


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "store")


def refused_soon(running: Running, first: int) -> None:
    """Events are refused within the time promised, and answers go on; a busy machine gets three tries."""
    with closing(Connection(running.port)) as connection:
        took_s = []
        for number in range(first, first + 3):
            began_s = time.monotonic()
            reply = post(connection, f"refused-{number}")
            took_s.append(time.monotonic() - began_s)
            assert (reply.outcome, reply.status) == (Outcome.REFUSED, 503)
            assert b"retry-after: 1" in reply.head.lower()
            assert connection.ask("/recommend/anna").outcome is Outcome.OK
        print("refused after", *(f"{s * 1000:.0f} ms" for s in took_s))
        assert min(took_s) < REFUSED_S


def test_a_record_that_another_process_holds_refuses_events_in_time(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log") as running:
        taken_again(running, "before")
        with closing(sqlite3.connect(store.root / FILE, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            refused_soon(running, 1)
            holder.execute("ROLLBACK")
        taken_again(running, "after")
    with opened(store, f"sqlite:///{store.root / FILE}") as record:
        assert rows(record, events, "event_id") == [("before",), ("after",)]


def test_a_postgres_that_is_stopped_refuses_events_in_time_and_what_is_answered_200_is_there(
    store: Store, tmp_path: Path, postgres_url: str
) -> None:
    try:
        with running_service(store.root, tmp_path / "log", record_url=postgres_url) as running:
            taken_again(running, "before")
            with stopped(postgres_url):
                refused_soon(running, 1)
                time.sleep(1)
                refused_soon(running, 4)
            taken_again(running, "after")
        with opened(store, postgres_url) as record:
            kept = {row[0] for row in rows(record, events, "event_id")}
            assert {"before", "after"} <= kept
    finally:
        clear(parse_url(postgres_url))


def test_a_database_that_is_not_there_yet_keeps_no_service_from_starting(
    store: Store, tmp_path: Path, postgres_url: str
) -> None:
    away = postgres_url.replace("host=", "host=/nowhere")
    with running_service(store.root, tmp_path / "log", record_url=away) as running:
        refused_soon(running, 1)
        assert "the record can't be prepared" in running.log.read_text()
