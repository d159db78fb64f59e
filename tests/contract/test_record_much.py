"""A customer of whom much is held: told in looks that end in time, and erased however long that takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import URL

from storage.record import holdings
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.events import EventType, Sending
from storage.record.holdings import Rows, holdings_of
from storage.record.record import Record
from tests.data.records import KEY, NOON_MS, event, take

WAIT_MS = 200  # of a worker


@contextmanager
def slow_deletes(record: Record, seconds: float) -> Iterator[None]:
    """On Postgres each event that is deleted takes so long."""
    if not record.is_postgres:
        yield
        return
    with record.writing() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION wait_a_bit() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN OLD; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER slowly BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION wait_a_bit()"
        )
    try:
        yield
    finally:
        with record.writing() as connection:
            connection.exec_driver_sql("DROP FUNCTION wait_a_bit CASCADE")


def test_no_look_is_about_more_than_a_page_and_each_row_is_told_once_in_its_order(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of events at once took longer than a worker waits, so nobody was ever told of them."""
    monkeypatch.setattr(holdings, "PAGE", 2)
    for number, hour in enumerate([3, 1, 1, 1, 1, 2, 1]):  # a clock may be set back
        sending = Sending("", "key-1", NOON_MS + hour)
        take(record, event(f"e{number}", kind=EventType.VIEW), event(f"b{number}", "ben"), sending=sending)
    for name in ("nothing", "all", "no_personalisation"):
        with record.writing() as connection:
            set_consent(connection, "anna", PRESETS[name], now_ms=NOON_MS, client="")
    looks = []

    def counted(look: Callable[[Record], Rows]) -> Rows:
        found = look(record)
        looks.append(len(found))
        return found

    held = holdings_of(counted, "anna")
    assert [row["event_id"] for row in held.events] == ["e1", "e2", "e3", "e4", "e6", "e5", "e0"]
    assert [row["personalise"] for row in held.consents] == [False, True, False]
    assert set(held.events[0]) == {"event_id", "type", "product_id", "received", "at"}
    assert max(looks) == 2


def test_an_erasure_takes_as_long_as_it_takes(record: Record, url: URL) -> None:
    """Postgres ended it at the limit of a worker, and again each time that it was asked for."""
    take(record, *(event(f"e{number}") for number in range(4)))
    worker = Record(url, KEY, lock_ms=WAIT_MS, statement_ms=WAIT_MS)
    with slow_deletes(record, WAIT_MS / 2 / 1000):
        assert erase(worker, "anna", now_ms=NOON_MS, client="").rows["events"] == 4
    worker.close()
