"""A Postgres that takes connections and says nothing is refused; one that works long is waited for."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from models.errors import BadHistoryError
from storage import silent_server
from storage.record.engine import parse_url
from storage.record.errors import RecordUnavailableError
from storage.record_options import RecordPlace, opened_record
from tests.data.exports import read
from tests.data.records import empty_record
from tests.data.running_service import until
from tests.data.stopped_postgres import stopped

LONG = (
    "SELECT 'anna' AS customer_id, 'tea' AS product_id, TIMESTAMP '2020-07-01' AS purchased_at"
    " FROM pg_sleep(4)"
)
WORKS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
AT_MOST_S = 30.0
# SQLAlchemy closes no cursor of a connection that broke.
pytestmark = pytest.mark.filterwarnings("ignore:.*ServerCursorMixin:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds are the shortest wait for a connection that the driver knows."""
    for name, seconds in (("ASK_EACH_S", 0.3), ("LOOK_S", 0.1), ("ANSWER_S", 2)):
        monkeypatch.setattr(silent_server, name, seconds)
    monkeypatch.setitem(silent_server.PATIENT, "connect_timeout", 2)


@contextmanager
def stopped_soon(url: str) -> Iterator[None]:
    """Once the server works on `LONG` it is stopped, and goes on when the block ends, or too late."""
    ended = threading.Event()

    def stop() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            until(lambda: bool(connection.execute(WORKS).fetchone()), AT_MOST_S)
        with stopped(url):
            ended.wait(AT_MOST_S)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_history_in_a_postgres_that_is_stopped_while_it_is_read_is_refused(
    postgres_url: str, tmp_path: Path
) -> None:
    began_s = time.monotonic()
    with (
        stopped_soon(postgres_url),
        pytest.raises(BadHistoryError, match="the server went silent, and let nobody in for 5 s: is it stop"),
    ):
        read(postgres_url, rejects=tmp_path / "r.csv", purchases={"query": LONG})
    assert time.monotonic() - began_s < AT_MOST_S


def test_a_query_that_takes_long_is_waited_for(postgres_url: str, tmp_path: Path) -> None:
    threads = threading.active_count()
    history = read(postgres_url, rejects=tmp_path / "r.csv", purchases={"query": LONG})
    assert history.customer_ids == ["anna"]
    until(lambda: threading.active_count() <= threads, 10)


def test_what_another_connection_is_told_meanwhile_stays_what_it_is() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        silent_server._Watch(engine)._is_silent = True
        with pytest.raises(sa.exc.OperationalError, match="no such table"):
            connection.execute(sa.text("SELECT * FROM nowhere"))


def test_a_server_that_takes_connections_and_never_answers_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://reader@127.0.0.1:{silent.getsockname()[1]}/shop"
        with pytest.raises(BadHistoryError, match="didn't answer to a new connection in time: is it stopped"):
            read(url, rejects=tmp_path / "r.csv")


def test_a_command_whose_record_is_in_a_postgres_that_is_stopped_says_so(
    postgres_url: str, tmp_path: Path
) -> None:
    with (
        empty_record(parse_url(postgres_url)),
        opened_record(RecordPlace(tmp_path, postgres_url, "0123456789abcdef")) as record,
        pytest.raises(RecordUnavailableError, match="the server went silent"),
        record.reading() as connection,
        stopped_soon(postgres_url),
    ):
        connection.exec_driver_sql(LONG)
