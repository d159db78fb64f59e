"""A consent that is said again changes nothing, and of two that come at once each is obeyed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import sqlalchemy as sa

from service.live.customers import LiveCustomers
from service.live.reader import LiveReader
from service.routes.customer_desk import CustomerDesk
from storage.record.changes import clock_now
from storage.record.consent import PRESETS, SHOPS_TABLE, Consent
from storage.record.erasure import erase
from storage.record.record import Record
from storage.record.shop_consents import take_shop_consents
from storage.record.statements import consent_lock
from storage.record.tables import consent_log
from tests.data.records import NOON_MS, Door, event, rows, take
from tests.data.running_service import until

ALL, NOTHING = PRESETS["all"], PRESETS["nothing"]


def desk_on(record: Record, default: Consent = ALL) -> CustomerDesk:
    live = LiveCustomers(default, most=10)
    return CustomerDesk(Door(record), default=default, live=live)


def clients(record: Record) -> list[object]:
    return [client for (client,) in rows(record, consent_log, "client")]


def clock(record: Record) -> int:
    with record.reading() as connection:
        return clock_now(connection)


def test_what_is_said_again_adds_nothing(record: Record) -> None:
    desk = desk_on(record)
    for _ in range(3):
        assert desk.change("anna", {"train": False}, "key-1") == replace(ALL, train=False)
    assert desk.change("anna", {"store": True}, "key-2") == replace(ALL, train=False)
    take(record, event("e1"))  # it has an epoch of its own
    before = clock(record)
    desk.change("anna", {"train": False}, "key-1")
    assert (clients(record), clock(record)) == (["key-1"], before)
    desk.change("anna", {"train": True}, "key-1")
    desk.change("anna", {"train": False}, "key-3")
    assert clients(record) == ["key-1", "key-1", "key-3"]


def test_the_first_word_is_written_also_where_it_is_the_default(record: Record) -> None:
    take(record, event("e1"))  # the record knows the customer, who said nothing
    assert desk_on(record).change("anna", {"train": True}, "key-1") == ALL
    assert desk_on(record, NOTHING).consent("anna") == ALL
    assert clients(record) == ["key-1"]


def test_so_is_a_first_word_that_refuses_everything(record: Record) -> None:
    """The row of a customer of whom there are events alone has no consents: that isn't a refusal yet."""
    take(record, event("e1"))
    assert desk_on(record).change("anna", asdict(NOTHING), "key-1") == NOTHING
    assert desk_on(record).consent("anna") == NOTHING
    assert clients(record) == ["key-1"]


def test_so_is_what_the_shops_table_told_already(record: Record) -> None:
    take_shop_consents(record, {"anna": {"train": False}}, ALL, now_ms=NOON_MS)
    for _ in range(2):
        desk_on(record).change("anna", {"train": False}, "key-1")
    assert take_shop_consents(record, {"anna": {"train": True}}, ALL, now_ms=NOON_MS) == 0
    assert clients(record) == [SHOPS_TABLE, "key-1"]


def test_so_is_the_first_word_after_an_erasure(record: Record) -> None:
    desk = desk_on(record)
    desk.change("anna", {"train": False}, "key-1")
    erase(record, "anna", now_ms=NOON_MS, client="key-1")
    for _ in range(2):
        assert desk.change("anna", {"train": False}, "key-1") == NOTHING
    assert len(clients(record)) == 1


def test_of_two_that_come_at_once_the_later_one_knows_of_the_earlier(record: Record) -> None:
    """On Postgres the later one kept what was in force when it came: a refusal was lost."""
    desk = desk_on(record)
    with ThreadPoolExecutor(2) as pool:
        with record.writing() as connection:
            consent_lock(connection, exclusive=True)
            both = [pool.submit(desk.change, "anna", {name: False}, name) for name in ("train", "store")]
            if record.is_postgres:
                until(lambda: waiting(connection) == 2, 10)
        refused = {name for one in both for name in ("train", "store") if not getattr(one.result(), name)}
    assert refused == {"train", "store"}
    assert desk.consent("anna") == replace(ALL, train=False, store=False)
    assert sorted(map(str, clients(record))) == ["store", "train"]


def waiting(connection: sa.Connection) -> int:
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return connection.exec_driver_sql(waits).scalar() or 0


def test_a_refusal_that_another_worker_took_is_obeyed_here_at_once_and_kept_in_mind_no_longer_than_needed(
    record: Record,
) -> None:
    live = LiveCustomers(most=10)
    door = Door(record)
    reader = LiveReader(door, live, lambda: None)
    reader.look()
    desk = CustomerDesk(door, default=ALL, live=live)
    desk_on(record).change("anna", {"personalise": False}, "key-1")
    assert live.of("anna") is None
    desk.change("anna", {"personalise": False}, "key-1")  # it isn't told: the record is away right after
    assert live.of("anna") is not None
    reader.look()
    assert not live._said
    desk.change("anna", {"personalise": False}, "key-1")
    assert not live._said
