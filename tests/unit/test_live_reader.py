"""What a worker reads of the record's customers, from a real one, in pieces of a few."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.errors import RefusedError
from service.live import reader as reader_module
from service.live.customers import CUT_OFF_S, LiveCustomers
from service.live.follower import LiveFollower
from service.live.reader import LiveReader
from service.live.told import NOT_PERSONAL, has_night_of
from service.record import NOT_READ
from storage.record import live as live_module
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.events import EventType, Sending
from storage.record.live import Since, first_event_since, tombstones_after, who_allows, who_traded
from storage.record.record import Record
from storage.record.upkeep import Chosen, purge
from tests.data.records import NOON_MS, Door, empty_record, event, sqlite_url, take

HOUR_MS = 3_600_000
NIGHT = Since(NOON_MS - 12 * HOUR_MS, NOON_MS - 10 * HOUR_MS)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with empty_record(sqlite_url(tmp_path)) as record:
        yield record


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "PIECE", 2)
    monkeypatch.setattr(live_module, "AT_ONCE", 3)


def opened(
    record: Record, since: Callable[[], Since | None] = lambda: NIGHT
) -> tuple[LiveReader, LiveCustomers]:
    live = LiveCustomers(most=100, clock=lambda: 0.0)
    return LiveReader(Door(record), live, since), live


def read_all(reader: LiveReader) -> None:
    reader.look()
    while reader.is_behind:
        reader.go_on()


def lines(live: LiveCustomers, customer: str) -> list[str]:
    told = live.of(customer)
    return [line.product_id for line in told.lines] if told else []


def test_at_the_start_all_is_read_that_the_night_does_not_know(record: Record) -> None:
    old = NIGHT.as_of_ms - HOUR_MS
    take(record, event("1", "old", at_ms=old), sending=Sending("", "", old))
    take(record, event("2", "late", at_ms=old))  # it came in after the night
    take(record, event("3", "anna"), event("4", "anna", "bread"), event("5", "ben"))
    for number in range(5):
        take(record, event(f"more {number}", f"customer {number}"))
    reader, live = opened(record)
    read_all(reader)
    assert lines(live, "old") == []
    assert lines(live, "late") == ["milk"]
    assert sorted(lines(live, "anna")) == ["bread", "milk"]
    assert len(live) == 8


def test_a_look_goes_through_a_few_rows_of_a_large_record_and_the_next_goes_on(record: Record) -> None:
    """Of a year's buyers nobody need have said anything, and of a day's events none need be a purchase."""
    for number in range(20):
        take(record, event(f"e{number}", f"buyer {number:02}"))
        take(record, event(f"v{number}", f"visitor {number}", kind=EventType.VIEW))
    with record.writing() as connection:
        set_consent(connection, "zoe", PRESETS["no_personalisation"], now_ms=NOON_MS, client="")
    for number in range(5):
        erase(record, f"gone {number}", now_ms=NOON_MS, client="")
    reader, live = opened(record)
    read_all(reader)
    assert live.of("zoe") is NOT_PERSONAL
    assert all(live.of(f"gone {number}") is NOT_PERSONAL for number in range(5))
    assert len(live) == 20
    with record.reading() as connection:
        found = [who_allows(connection, after, 2, but=PRESETS["all"]) for after in ("", "buyer 02")]
        assert found == [([], "buyer 02"), ([], "buyer 05")]
        assert who_traded(connection, 1, NIGHT, 9) == ({"buyer 01"}, 4)
        assert len(tombstones_after(connection, 1, 2)) == 2


def test_what_a_purge_takes_from_many_at_once_is_followed_in_pieces(record: Record) -> None:
    reader, live = opened(record)
    read_all(reader)
    for number in range(3):
        take(record, event(f"e{number}", f"early {number}"))
    take(record, *(event(f"l{number}", f"late {number}") for number in range(5)))
    reader.look()
    assert (reader.is_behind, len(live)) == (True, 2)
    read_all(reader)
    assert len(live) == 8
    assert purge(record, Chosen("key-1"), now_ms=NOON_MS, client="op") == 8
    read_all(reader)
    assert (len(live), reader.is_behind) == (0, False)


def test_after_a_long_silence_nothing_is_personal_before_all_that_changed_is_known(record: Record) -> None:
    """The first piece was taken for the whole: who had refused in the meantime got their own list."""
    now_s = [0.0]
    live = LiveCustomers(most=100, clock=lambda: now_s[0])
    reader = LiveReader(Door(record), live, lambda: NIGHT)
    read_all(reader)
    assert live.of("zoe") is None
    for name in ("anna", "ben", "zoe"):
        with record.writing() as connection:
            set_consent(connection, name, PRESETS["no_personalisation"], now_ms=NOON_MS, client="")
    now_s[0] = CUT_OFF_S + 1
    reader.look()
    assert (reader.is_behind, live.of("zoe")) == (True, NOT_PERSONAL)
    read_all(reader)
    assert (live.of("zoe"), live.of("carl")) == (NOT_PERSONAL, None)


def test_a_new_life_that_was_read_before_its_erasure_is_not_believed(record: Record) -> None:
    """Erasures are told ahead of customers: for a while the new life seemed to have the night of the old."""
    reader, live = opened(record)
    reader.look()
    erase(record, "anna", now_ms=NOON_MS, client="")
    for number in range(3):
        take(record, event(f"e{number}", f"other {number}"))
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["all"], now_ms=NOON_MS + 1, client="")
    take(record, event("after", "anna", "bread", at_ms=NOON_MS + 2))
    while reader.is_behind:
        reader.go_on()  # all events of the day
    assert lines(live, "anna") == ["bread"]
    reader.look()
    assert (reader.is_behind, live.of("anna")) == (True, NOT_PERSONAL)
    read_all(reader)
    told = live.of("anna")
    assert told is not None
    assert (lines(live, "anna"), told.erased) == (["bread"], 1)


def test_what_comes_later_is_read_by_the_next_look(record: Record) -> None:
    reader, live = opened(record)
    read_all(reader)
    take(record, event("1"))
    assert lines(live, "anna") == []
    reader.look()
    assert lines(live, "anna") == ["milk"]


def test_another_night_and_the_way_back_change_what_is_new(record: Record) -> None:
    since = [NIGHT]
    take(record, event("1"))
    reader, live = opened(record, lambda: since[0])
    read_all(reader)
    assert lines(live, "anna") == ["milk"]
    since[0] = Since(NOON_MS + HOUR_MS, NOON_MS + HOUR_MS)
    read_all(reader)
    assert (lines(live, "anna"), len(live)) == ([], 0)
    since[0] = NIGHT
    read_all(reader)
    assert lines(live, "anna") == ["milk"]


def test_consents_and_erasures_of_before_are_known_at_once(record: Record) -> None:
    for number in range(5):
        with record.writing() as connection:
            consent = PRESETS["no_personalisation"]
            set_consent(connection, f"no {number}", consent, now_ms=NOON_MS, client="")
    erase(record, "gone", now_ms=NOON_MS, client="")
    erase(record, "back", now_ms=NOON_MS, client="")
    with record.writing() as connection:
        set_consent(connection, "back", PRESETS["all"], now_ms=NOON_MS + 1, client="")
    reader, live = opened(record)
    assert live.of("anna") is NOT_PERSONAL
    reader.look()
    assert all(live.of(f"no {number}") is NOT_PERSONAL for number in range(5))
    assert (live.of("gone"), live.of("anna")) == (NOT_PERSONAL, None)
    read_all(reader)
    back = live.of("back")
    assert back is not None
    assert back.erased == 2


def test_a_new_life_goes_on_in_the_nights_that_know_of_it_and_in_no_other(record: Record) -> None:
    take(record, event("before"))
    number = erase(record, "anna", now_ms=NOON_MS, client="").number
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["all"], now_ms=NOON_MS + 1, client="")
    take(record, event("after", "anna", "bread", at_ms=NOON_MS + 2))
    since = [NIGHT]
    running, live = opened(record, lambda: since[0])
    read_all(running)
    assert lines(live, "anna") == ["bread"]
    since[0] = Since(NOON_MS + HOUR_MS, NOON_MS + HOUR_MS)
    read_all(running)
    new, its = opened(record, lambda: since[0])
    read_all(new)
    for known in (live, its):
        told = known.of("anna")
        assert told is not None
        assert (told.lines, has_night_of(told, number), has_night_of(told, number - 1)) == ((), True, False)
    since[0] = NIGHT  # the way back
    read_all(running)
    assert lines(live, "anna") == ["bread"]
    erase(record, "anna", now_ms=NOON_MS + HOUR_MS, client="")
    running.look()
    assert live.of("anna") is NOT_PERSONAL
    since[0] = Since(NOON_MS + 2 * HOUR_MS, NOON_MS + 2 * HOUR_MS)
    read_all(running)
    assert live.of("anna") is NOT_PERSONAL


def test_a_look_that_fails_keeps_what_is_known_and_the_next_one_misses_nothing(record: Record) -> None:
    live = LiveCustomers(most=100, clock=lambda: 0.0)
    door = Door(record)
    reader = LiveReader(door, live, lambda: NIGHT)
    take(record, event("1"))
    read_all(reader)
    door.is_shut = True
    take(record, event("2", "ben"))
    with pytest.raises(RefusedError):
        reader.look()
    assert lines(live, "anna") == ["milk"]
    door.is_shut = False
    reader.look()
    assert lines(live, "ben") == ["milk"]


def test_a_night_that_could_not_be_begun_is_begun_by_the_next_look(record: Record) -> None:
    class ShutsAfterOne(Door):
        def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
            done = super().do(work)
            self.is_shut = True
            return done

    nights: list[Since | None] = [None]
    reader, live = opened(record, lambda: nights[0])
    take(record, event("1"))
    read_all(reader)
    nights[0], reader._door = NIGHT, ShutsAfterOne(record)
    with pytest.raises(RefusedError):
        reader.look()
    reader._door = Door(record)
    read_all(reader)
    assert lines(live, "anna") == ["milk"]


def test_the_first_event_of_a_night_is_found(record: Record) -> None:
    for number in range(20):
        at_ms = NOON_MS - (20 - number) * HOUR_MS
        take(record, event(str(number), at_ms=at_ms), sending=Sending("", "", at_ms))
    with record.reading() as connection:
        # as_of is 12 hours before noon, less ten minutes: event 8 of 20, with number 9, is the first one
        assert first_event_since(connection, NIGHT) == 8
        assert first_event_since(connection, Since(0, 0)) == 0
        assert first_event_since(connection, Since(NOON_MS * 2, NOON_MS * 2)) == 20


def test_products_and_rules_are_looked_at_when_the_clock_moved_and_until_it_succeeds(record: Record) -> None:
    reader, _ = opened(record)
    looks: list[int | None] = []

    def of_shop() -> None:
        looks.append(reader.seen)
        if len(looks) == 1:
            raise RefusedError("record_unavailable", None, "for a moment")

    def looked(times: int) -> None:
        until_s = time.monotonic() + 10
        while len(looks) < times:
            assert time.monotonic() < until_s
            time.sleep(0.01)

    follower = LiveFollower(reader, poll_s=0.01, wait_s=1, of_shop=of_shop)
    follower.start()
    looked(2)
    time.sleep(0.1)  # the clock stands still: nobody asks what changed
    assert len(looks) == 2
    take(record, event("1", "anna"))
    looked(3)
    take(record, event("2", "anna"))
    follower.catch_up()  # a request may be the first to see it
    looked(4)
    assert looks[0] == looks[1] < looks[2] < looks[3]  # type: ignore[operator]


def test_customers_are_read_on_while_the_shops_changes_cannot_be(record: Record) -> None:
    take(record, event("1", "anna"))
    reader, live = opened(record)

    def of_shop() -> None:
        raise RefusedError("record_unavailable", None, "its own door hangs")

    LiveFollower(reader, poll_s=1, wait_s=1, of_shop=of_shop).look()
    assert live.known() == ["anna"]


def test_an_event_that_is_kept_is_acknowledged_whatever_goes_wrong_when_it_is_read_back(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, _ = opened(record)
    monkeypatch.setattr(reader, "look", lambda: {}["nobody thought of that"])
    follower = LiveFollower(reader, poll_s=1, wait_s=1)
    with capture_logs() as lines:
        for _ in range(20):
            follower.catch_up()
    assert len(lines) == 1  # a fault that lasts is not told with each event
