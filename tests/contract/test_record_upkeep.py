"""What operators do to a record, on SQLite and on a real Postgres: quarantine, purge, age, backup, replay."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from models.arrays import DAY_MS
from service.events.schemas import check_event
from storage.record import bare_ids, stretches, upkeep
from storage.record.changes import clock_now, customer_changes_since
from storage.record.consent import PRESETS, set_consent
from storage.record.engine import file_of, parse_url
from storage.record.erasure import HOLDS_IDS, erase, erasures_after
from storage.record.errors import BadTombstonesError, NoBackupError, RecordUnavailableError
from storage.record.events import Event, EventType, Fate, Sending
from storage.record.exposure_log import read_outcomes
from storage.record.holding import holding
from storage.record.intake import OVER_CAP, UNKNOWN_PRODUCT
from storage.record.live import Since, first_event_since, who_traded
from storage.record.record import Record
from storage.record.replay import Stone, lines_of, parse_lines, replay, stones_of
from storage.record.schema import prepare
from storage.record.statements import next_change
from storage.record.tables import audit, customers, events, offer_promises, quarantine, tombstones
from storage.record.upkeep import Chosen, count_sent, drop, expire, in_quarantine, purge, release
from tests.data.records import KEY, NOON_MS, SHOP, empty_record, event, intake, opened, rows, sqlite_url, take


def sent(
    event_id: str, product_id: str = "milk", *, at_ms: int = NOON_MS, customer_id: str = "anna"
) -> Event:
    """A purchase as the service checks it."""
    occurred_at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    said = {"type": "purchase", "event_id": event_id, "customer_id": customer_id, "product_id": product_id}
    return check_event(said | {"occurred_at": occurred_at, "order_id": "o1", "unit_price": 2.5}, NOON_MS)


def epoch_of(record: Record, customer_id: str) -> int:
    return dict(rows(record, customers, "customer_id", "epoch"))[customer_id]


def test_what_is_aside_is_listed_released_and_counts_once(record: Record) -> None:
    capped = intake(trade=2)
    take(record, sent("e1"), sent("e2"), sent("over"), sent("ghost", "ghost"), taking=capped)
    with record.reading() as connection:
        listed = [
            (one.reason, one.type, one.client, one.events, one.customers) for one in in_quarantine(connection)
        ]
    assert listed == [(OVER_CAP, "purchase", "key-1", 1, 1), (UNKNOWN_PRODUCT, "purchase", "key-1", 1, 1)]
    before = epoch_of(record, "anna")
    assert release(record, Chosen(reason=OVER_CAP), now_ms=NOON_MS, client="op") == (1, 0)
    assert epoch_of(record, "anna") > before
    assert sorted(rows(record, events, "event_id", "at_ms")) == [
        (one, NOON_MS) for one in ("e1", "e2", "over")
    ]
    assert rows(record, quarantine, "event_id") == [("ghost",)]
    assert take(record, sent("over"))[0].fate is Fate.DUPLICATE
    assert release(record, Chosen(reason=OVER_CAP), now_ms=NOON_MS, client="op") == (0, 0)
    assert drop(record, Chosen(reason=UNKNOWN_PRODUCT), now_ms=NOON_MS, client="op") == 1
    assert rows(record, quarantine, "event_id") == []
    told = [(what, json.loads(detail)["events"]) for what, detail in rows(record, audit, "what", "detail")]
    assert told == [("release", 1), ("release", 0), ("drop", 1)]


def test_who_is_erased_while_events_are_released_does_not_come_back(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(record, sent("e1", "ghost"), sent("e2", "ghost", customer_id="bert"))
    eraser = Thread(target=lambda: erase(record, "anna", now_ms=NOON_MS, client="k"))
    made = upkeep._event

    def meanwhile(row: dict[str, object]) -> dict[str, object]:
        if eraser.ident is None:
            eraser.start()
            eraser.join(0.3)
        return made(row)

    monkeypatch.setattr(upkeep, "_event", meanwhile)
    release(record, Chosen(), now_ms=NOON_MS, client="op")
    eraser.join()
    assert rows(record, events, "customer_id") == [("bert",)]
    assert rows(record, quarantine, "customer_id") == []


def test_what_another_worker_recorded_meanwhile_is_released_once(record: Record) -> None:
    take(record, sent("both", "ghost"), sent("aside", "ghost"))
    with record.writing() as connection:  # a worker that knows the product, at the same time
        kept = connection.execute(sa.select(quarantine).where(quarantine.c.event_id == "both")).mappings()
        connection.execute(sa.insert(events), [upkeep._event(dict(row)) for row in kept])
    assert release(record, Chosen(), now_ms=NOON_MS, client="op") == (1, 1)
    assert sorted(rows(record, events, "event_id")) == [("aside",), ("both",)]
    assert rows(record, quarantine, "event_id") == []


def test_a_released_event_is_the_one_that_was_sent(record: Record) -> None:
    take(record, sent("e1", "ghost", at_ms=NOON_MS - 5000))
    release(record, Chosen(reason=UNKNOWN_PRODUCT), now_ms=NOON_MS, client="op")
    names = ("type", "customer_id", "product_id", "at_ms", "received_ms", "client", "order_id", "unit_price")
    assert rows(record, events, *names) == [
        ("purchase", "anna", "ghost", NOON_MS - 5000, NOON_MS, "key-1", "o1", 2.5)
    ]


@pytest.mark.parametrize("key", ["key-1", "another"])
def test_old_events_that_are_released_hide_nobody_who_bought_since(record: Record, key: str) -> None:
    old_ms = NOON_MS - 9 * DAY_MS
    ghosts = [sent(f"old{n}", "ghost", at_ms=old_ms, customer_id=f"bot{n}") for n in range(40)]
    take(record, *ghosts, sending=Sending("", key, old_ms))
    take(record, event("before", "bert", at_ms=old_ms), sending=Sending("", "key-1", old_ms))
    take(record, event("e1", "anna"), event("e2", "cleo"))
    assert release(record, Chosen(), now_ms=NOON_MS, client="op") == (40, 0)
    since = Since(NOON_MS - 10_000, NOON_MS - 5000)
    with record.reading() as connection:
        first = first_event_since(connection, since)
        assert (first, who_traded(connection, first, since, 1000)) == (1, ({"anna", "cleo"}, None))
        assert first_event_since(connection, Since(old_ms, old_ms)) == 0
        assert first_event_since(connection, Since(NOON_MS + DAY_MS, NOON_MS + DAY_MS)) == 43


def test_a_purge_takes_what_one_key_sent_since_and_nothing_else(record: Record) -> None:
    take(record, event("before", "bert"))
    bad = Sending("", "bad", NOON_MS + 1000)
    take(record, event("f1", "fake"), event("f2", "bert"), event("g", "fake", "ghost"), sending=bad)
    chosen = Chosen("bad", NOON_MS + 1000)
    assert count_sent(record, chosen) == (2, 2)
    epoch = epoch_of(record, "bert")
    assert purge(record, Chosen("bad", NOON_MS + 1001), now_ms=NOON_MS, client="op") == 0
    assert purge(record, chosen, now_ms=NOON_MS, client="op") == 2
    assert rows(record, events, "event_id") == [("before",)]
    assert rows(record, quarantine, "event_id") == []
    assert epoch_of(record, "bert") > epoch


def test_a_purge_asks_for_the_clock_when_all_else_is_done(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(record, event("e1"), event("e2", kind=EventType.VIEW))
    left: list[int] = []

    def late(connection: sa.Connection) -> int:
        left.append(int(connection.scalar(sa.select(sa.func.count()).select_from(events)) or 0))
        return next_change(connection)

    monkeypatch.setattr("storage.record.intake.next_change", late)
    assert purge(record, Chosen("key-1"), now_ms=NOON_MS, client="op") == 2
    assert left == [0]


def test_what_is_older_than_its_days_goes_and_nothing_else(record: Record) -> None:
    for day in range(3):
        sending = Sending("", "k", NOON_MS + day * DAY_MS)
        take(
            record,
            event(f"p{day}"),
            event(f"v{day}", kind=EventType.VIEW),
            event(f"q{day}", product_id="ghost"),
            sending=sending,
        )
    moments = {"others_before_ms": NOON_MS + DAY_MS, "quarantine_before_ms": NOON_MS + 2 * DAY_MS}
    told: dict[str, Any] = {"exposures_before_ms": 0, "now_ms": NOON_MS, "client": "op"}
    with record.writing() as connection:
        ends = [
            {"customer_id": name, "ends_ms": NOON_MS + place} for place, name in enumerate(["anna", "bert"])
        ]
        promised = {"offer_id": "ten", "promised_ms": NOON_MS - 1}
        connection.execute(sa.insert(offer_promises), [promised | one for one in ends])
    gone = {"others": 1, "quarantine": 2, "exposures": 0, "promises": 1, "bare ids": 0}
    assert expire(record, trade_before_ms=0, **moments, **told) == gone | {"trade": 0}
    assert sorted(one for (one,) in rows(record, events, "event_id")) == ["p0", "p1", "p2", "v1", "v2"]
    assert rows(record, quarantine, "event_id") == [("q2",)]
    assert rows(record, offer_promises, "customer_id") == [("bert",)]
    gone = dict.fromkeys(gone, 0)
    assert expire(record, trade_before_ms=NOON_MS + 1, **moments, **told) == gone | {"trade": 1}
    assert rows(record, audit, "what", "client") == [("expire", "op")] * 2
    assert json.loads(rows(record, audit, "detail")[1][0]) == gone | {"trade": 1}


def test_an_id_of_whom_nothing_is_left_goes_once_every_worker_has_heard_of_it(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_ids, "LOOK", 2)
    take(record, *(event(name, name) for name in ("anna", "bert", "cleo", "dora", "emma")))
    take(record, event("cleo's return", "cleo", kind=EventType.RETURN), sending=Sending("", "k", NOON_MS + 9))
    with record.writing() as connection:
        set_consent(connection, "dora", PRESETS["all"], now_ms=NOON_MS, client="k")
    ages = dict.fromkeys(("others_before_ms", "quarantine_before_ms", "exposures_before_ms"), 0)

    def forgotten(minute: int, trade_before_ms: int = NOON_MS + 1) -> int:
        monkeypatch.setattr(time, "time", lambda: NOON_MS / 1000 + minute * 60)
        gone = expire(record, trade_before_ms=trade_before_ms, **ages, now_ms=NOON_MS, client="op")
        return gone["bare ids"]

    def known() -> list[str]:
        return sorted(name for (name,) in rows(record, customers, "customer_id"))

    with record.reading() as connection:
        before = clock_now(connection)
    assert forgotten(0, trade_before_ms=0) == 0  # everybody bought something
    assert forgotten(1) == 0  # workers have yet to hear that it went
    assert forgotten(1) == 0  # and have no more than a moment later
    with record.reading() as connection:
        heard = customer_changes_since(connection, before, 100)
    assert {"anna", "bert", "cleo", "dora", "emma"} <= set(heard.customer_ids)
    take(record, event("again", "bert"), event("view", "emma", kind=EventType.VIEW))
    assert forgotten(0, trade_before_ms=0) == 2  # a clock that was ahead doesn't stop it
    assert known() == ["bert", "cleo", "dora"]  # who bought again, has a return left, or said what is allowed
    take(record, event("back", "anna"))
    assert known() == ["anna", "bert", "cleo", "dora"]


def test_who_was_erased_after_the_backup_is_erased_again_in_what_was_restored(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        take(record, event("a"), event("b", "bert"), event("c", "cleo"))
        erase(record, "cleo", now_ms=NOON_MS + 1, client="k")
        with record.writing() as connection:
            set_consent(connection, "cleo", PRESETS["all"], now_ms=NOON_MS + 2, client="k")
        take(record, event("c2", "cleo", at_ms=NOON_MS + 3))
        copy = tmp_path / "copy" / "record.db"
        copy.parent.mkdir()
        record.back_up(copy)
        receipt = erase(record, "anna", now_ms=NOON_MS + 4, client="k")
        lines = list(lines_of(stones_of(record)))
    assert not any("anna" in line or "cleo" in line for line in lines)
    with opened(parse_url(f"sqlite:///{copy}")) as restored:
        assert ("anna",) in rows(restored, events, "customer_id")
        assert replay(restored, parse_lines(lines)) == 1
        for table in HOLDS_IDS:
            assert "anna" not in {row[0] for row in rows(restored, table, "customer_id")}
        assert sorted(rows(restored, events, "event_id")) == [("b",), ("c2",)]  # a new life goes on
        assert take(restored, event("a"))[0].fate is Fate.ERASED
        assert replay(restored, parse_lines(lines)) == 0
        with restored.reading() as connection:
            assert erasures_after(connection, receipt.number - 1) == 1
        assert erase(restored, "bert", now_ms=NOON_MS + 9, client="k").number > receipt.number
    assert b"anna" not in copy.read_bytes()


def test_a_large_record_is_gone_through_in_short_looks_and_past_what_is_gone(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite nobody can commit an event while somebody reads."""
    monkeypatch.setattr(stretches, "STRETCH", 3)
    for number in range(12):
        kind = EventType.PURCHASE if number % 4 == 3 else EventType.VIEW
        take(record, event(f"e{number}", kind=kind, at_ms=NOON_MS + number))
    with record.writing() as connection:
        connection.execute(sa.delete(events).where(events.c.id.between(2, 7)))
    found = [rows_of(record, stretch) for stretch in stretches.stretches(record, events)]
    assert found == [["e0"], ["e7", "e8", "e9"], ["e10", "e11"]]
    assert holding(record).events == {"purchase": 2, "view": 4}
    outcomes = read_outcomes(record, NOON_MS, NOON_MS + DAY_MS)
    assert outcomes["event_id"].to_list() == ["e7", "e11"]
    gone = expire(
        record,
        trade_before_ms=0,
        others_before_ms=NOON_MS + DAY_MS,
        quarantine_before_ms=0,
        exposures_before_ms=0,
        now_ms=NOON_MS,
        client="op",
    )
    assert gone["others"] == 4
    assert holding(record).events == {"purchase": 2}


def rows_of(record: Record, which: sa.ColumnElement[bool]) -> list[str]:
    with record.reading() as connection:
        return list(connection.execute(sa.select(events.c.event_id).where(which)).scalars())


def test_erasures_are_replayed_on_either_database_with_their_numbers(record: Record, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with empty_record(sqlite_url(tmp_path / "other")) as other:
        for one in ("anna", "ghost"):
            erase(other, one, now_ms=NOON_MS + 1, client="k")
        lines = list(lines_of(stones_of(other)))
    take(record, event("a"), event("b", "bert"))
    assert replay(record, parse_lines(lines)) == 2
    assert rows(record, events, "customer_id") == [("bert",)]
    assert [number for (number,) in rows(record, tombstones, "number")] == [1, 2]
    assert erase(record, "bert", now_ms=NOON_MS + 2, client="k").number == 3


def test_many_erasures_that_are_replayed_are_told_in_more_than_one_look(record: Record) -> None:
    """Of 50,000 at once a look took longer than a worker's door waits, each time anew."""
    stones = [Stone(n, KEY.hash_of(str(n)), NOON_MS) for n in range(1, 2002)]
    assert replay(record, stones) == 2001
    told, seen, looks = set(), 0, 0
    while looks < 3:
        with record.reading() as connection:
            part = customer_changes_since(connection, seen, 1000)
        told.update(stone.number for stone in part.erased)
        seen, looks = part.now, looks + 1
        assert len(part.erased) <= 1000
        assert part.is_all is (looks == 3)
    assert len(told) == 2001


def test_a_copy_is_never_written_over_and_never_made_of_postgres(record: Record, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_bytes(b"mine")
    with pytest.raises(NoBackupError):
        record.back_up(there)
    assert there.read_bytes() == b"mine"
    if record.is_postgres:
        with pytest.raises(NoBackupError, match="pg_dump"):
            record.back_up(tmp_path / "new.db")


def test_of_two_copies_to_one_place_the_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy.db"
    with empty_record(sqlite_url(tmp_path)) as record:
        reading = record.reading

        def meanwhile() -> AbstractContextManager[sa.Connection]:
            copy.write_bytes(b"another's")
            return reading()

        monkeypatch.setattr(record, "reading", meanwhile)
        with pytest.raises(NoBackupError, match="there already"):
            record.back_up(copy)
    assert copy.read_bytes() == b"another's"


# A process of its own, since the limit is one of all that a process writes.
NO_ROOM = """
import sys
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from tests.data.records import opened, sqlite_url
setrlimit(RLIMIT_FSIZE, (8192, 8192))
with opened(sqlite_url(Path(sys.argv[1]))) as record:
    record.back_up(Path(sys.argv[2]))
"""
ROOT = Path(__file__).parents[2]


def test_a_copy_that_has_no_room_leaves_no_file_that_looks_like_one(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with empty_record(sqlite_url(tmp_path)) as record:
        words = [sys.executable, "-c", NO_ROOM, tmp_path, copy]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert "RecordUnavailableError: the record can't be used now" in done.stderr
        assert not copy.exists()
        record.back_up(copy)
    assert copy.stat().st_size > 8192


def test_a_log_that_cannot_be_emptied_while_somebody_commits_is_an_error_of_ours(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    prepare(url)
    record, file = Record(url, KEY, lock_ms=10), file_of(url)
    assert file is not None
    with closing(record), closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RecordUnavailableError, match="locked"):
            record.truncate_log()
        other.execute("ROLLBACK")
        record.truncate_log()


@pytest.mark.parametrize("line", ["", "{}", "[1]", '[1, "zz", 3]', '[1, "00", 3]', "[1, 2, 3]"])
def test_a_line_that_is_no_erasure_is_named(line: str) -> None:
    good = f'[1, "{KEY.hash_of("anna").hex()}", 3]'
    assert parse_lines([good])[0].customer_hash == KEY.hash_of("anna")
    with pytest.raises(BadTombstonesError, match="line 2"):
        parse_lines([good, line])


def test_what_nobody_chose_is_left_alone(record: Record) -> None:
    take(record, event("e1"))
    assert SHOP.client == "key-1"
    assert purge(record, Chosen("another key"), now_ms=NOON_MS, client="op") == 0
    assert rows(record, events, "event_id") == [("e1",)]
