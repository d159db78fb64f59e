"""What was committed of a customer is obeyed here, also where the record is away right after it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.live.customers import LiveCustomers
from service.live.follower import LiveFollower
from service.live.reader import LiveReader
from service.live.told import NOT_PERSONAL
from service.record import NOT_READ
from service.routes.customer_desk import CustomerDesk
from storage.record.consent import PRESETS
from storage.record.record import Record
from tests.data.records import Door, empty_record, sqlite_url


class Dies(Door):
    """Does one more piece of work, and then the worker's other door is shut."""

    def __init__(self, record: Record, other: Door) -> None:
        super().__init__(record)
        self._other = other

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        done = super().do(work)
        self._other.is_shut = True
        return done


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with empty_record(sqlite_url(tmp_path)) as record:
        yield record


def desk_and_live(record: Record) -> tuple[CustomerDesk, LiveCustomers, Door, LiveFollower]:
    live, door = LiveCustomers(most=10, clock=lambda: 0.0), Door(record)
    reader = LiveReader(door, live, lambda: None)
    follower = LiveFollower(reader, poll_s=1, wait_s=1)
    follower.catch_up()
    desk = CustomerDesk(Dies(record, door), default=PRESETS["all"], live=live, told=follower.catch_up)
    return desk, live, door, follower


def test_an_erasure_is_obeyed_though_the_record_is_away_after_its_commit(record: Record) -> None:
    desk, live, _, _ = desk_and_live(record)
    assert live.of("anna") is None
    desk.erase("anna", "")
    assert (live.of("anna"), live.of("ben")) == (NOT_PERSONAL, None)


def test_a_refusal_is_obeyed_though_the_record_is_away_after_its_commit(record: Record) -> None:
    desk, live, door, follower = desk_and_live(record)
    desk.change("anna", {"personalise": False}, "")
    desk.change("ben", {"experiment": False}, "")
    assert (live.of("anna"), live.of("ben")) == (NOT_PERSONAL, None)
    assert (live.may_experiment("ben"), live.may_experiment("carl")) == (False, True)
    desk.change("anna", {"personalise": True}, "")
    door.is_shut = False
    follower.catch_up()
    assert live.of("anna") is None
