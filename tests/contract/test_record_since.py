"""What came in while a night ran is counted by that night or since it, and never by both or neither."""

import threading

import pytest

from service.events.schemas import check_event
from storage.record.budgets import Budget, left_of
from storage.record.consent import PRESETS
from storage.record.events import Event, EventType, Sending
from storage.record.learning import Recorded, read_recorded
from storage.record.live import READ_BY_MS, Since, customers_now, first_event_since, who_traded
from storage.record.promised import kept_of
from storage.record.record import Record
from storage.record.upkeep import Chosen, release
from tests.data.records import NOON_MS, SHOP, event, intake, take

DAY_MS = 86_400_000
BEGAN_MS = NOON_MS - 60_000  # of the night: events come in at noon
AS_OF_MS = NOON_MS - 10


def bought(number: int) -> Event:
    return event(f"e{number}", f"customer {number}", at_ms=AS_OF_MS - 100 + number, offer_id="ten")


def read(record: Record) -> tuple[Recorded, Since]:
    """What a night reads, and what the version of it doesn't know."""
    recorded = read_recorded(record, PRESETS["all"])
    return recorded, Since(AS_OF_MS, BEGAN_MS, recorded.last_event)


def since_of(record: Record, since: Since) -> set[str]:
    """Customers with trade since a night, asked in both ways."""
    with record.reading() as connection:
        found, _ = who_traded(connection, first_event_since(connection, since), since, 1000)
        every = {f"customer {number}" for number in range(10)}
        told = {one.customer_id for one in customers_now(connection, every, since) if one.trade}
    assert found == told
    return found


def test_what_comes_in_between_the_start_of_a_night_and_its_reading_counts_once(record: Record) -> None:
    take(record, bought(1), bought(2))
    recorded, since = read(record)
    take(record, bought(3))
    assert recorded.purchases["customer_id"].to_list() == ["customer 1", "customer 2"]
    assert since_of(record, since) == {"customer 3"}
    budget = Budget("ten", 10, recorded.redemptions.height, since)
    with record.reading() as connection:
        assert left_of(connection, budget, kept_of(connection, budget.offer_id), NOON_MS) == 7


def test_what_happened_at_the_as_of_or_later_is_since_whatever_its_number(record: Record) -> None:
    take(record, bought(1), event("later", "customer 2", at_ms=AS_OF_MS))
    _, since = read(record)
    assert since_of(record, since) == {"customer 2"}


def test_what_is_released_after_a_night_is_since_however_old_it_is(record: Record) -> None:
    old = Sending("", "k", NOON_MS - 9 * DAY_MS)
    ghost = {"type": "purchase", "event_id": "g", "customer_id": "customer 1", "product_id": "ghost"}
    take(record, check_event(ghost, old.received_ms), sending=old)
    _, since = read(record)
    assert since_of(record, since) == set()
    assert release(record, Chosen(), now_ms=NOON_MS, client="op") == (1, 0)
    assert since_of(record, since) == {"customer 1"}


def test_a_record_that_was_set_back_counts_what_comes_in_from_then_on(record: Record) -> None:
    _, since = read(record)
    since = Since(since.as_of_ms, since.made_ms, 1000)  # it had so many events then
    take(record, bought(1))
    take(record, bought(2), sending=Sending("", "k", BEGAN_MS + READ_BY_MS))
    assert since_of(record, since) == {"customer 2"}


def test_a_night_waits_for_events_with_lower_numbers_that_are_not_committed_yet(record: Record) -> None:
    if not record.is_postgres:
        pytest.skip("on SQLite nobody writes beside another one")
    found: list[Recorded] = []
    night = threading.Thread(target=lambda: found.append(read(record)[0]))
    with record.writing() as slow:
        intake().take(slow, SHOP, [event("e1", kind=EventType.VIEW)])
        take(record, event("e2", kind=EventType.VIEW))
        night.start()
        night.join(0.3)
        assert not found
    night.join(30)
    assert found[0].last_event == 2
