"""A worker leases parts of a budget, and gives back what it holds, whatever it or the record does."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Lock

import pytest
import sqlalchemy as sa

from service.errors import RefusedError
from service.offers.promises import FEWER_S, LEASE_S, SPENT_S, Promises
from service.record import NOT_READ
from storage.record.budgets import Budget
from storage.record.live import Since
from storage.record.record import Record
from tests.data.offer_shop import NOW_S, Clock
from tests.data.promises import SIXTEEN, Counting, left, promises_of
from tests.data.records import Door, empty_record, event, sqlite_url, take


class CutOff(Door):
    """Does the work, and then there is no answer: nobody knows whether it was committed."""

    is_cut = False

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        done = super().do(work)
        if self.is_cut:
            raise RefusedError("record_unavailable", None, "no answer")
        return done


def test_what_was_committed_without_an_answer_counts_once(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, door = Clock(), CutOff(record)
        budget = Budget("milk 10 off", 24, 0, Since(0, 0))  # three for each lease
        promises = Promises(door, lambda: [budget], "worker", life_s=100, clock=clock)
        promises.turn()
        assert promises.make("milk 10 off", "anna") is not None
        door.is_cut = True
        for _ in range(2):
            with pytest.raises(RefusedError):
                promises.turn()
        door.is_cut = False
        promises.turn()
        shown = [promises.make("milk 10 off", name) is not None for name in ("bert", "cleo", "dora")]
        assert shown == [True, True, False]


def test_a_lease_without_an_answer_is_taken_once_and_eats_nothing(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, door = Clock(), CutOff(record)
        promises = Promises(door, lambda: [SIXTEEN], "worker", life_s=1000, clock=clock)
        door.is_cut = True
        for _ in range(60):
            clock.now_s += 1
            with pytest.raises(RefusedError):
                promises.turn()
            assert left(record, SIXTEEN, clock) == 14
        door.is_cut = False
        promises.turn()
        assert left(record, SIXTEEN, clock) == 14
        assert promises.make("milk 10 off", "anna") is not None
        promises.end()
        assert left(record, SIXTEEN, clock) == 15


def test_after_the_end_nothing_is_leased_any_more(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        promises = promises_of(record, [SIXTEEN], Clock())
        promises.turn()
        promises.end()
        promises.turn()  # of the thread in the background, which lives as long as the process
        assert left(record, SIXTEEN, Clock()) == 16


class Watched:
    """A lock that tells when somebody asks for it while it is taken."""

    def __init__(self) -> None:
        self._lock, self.is_waited_for = Lock(), Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.is_waited_for.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_what_a_turn_leases_during_the_end_is_given_back(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record, ThreadPoolExecutor(1) as pool:
        promises = promises_of(record, [SIXTEEN], Clock())
        door, ending, working = promises._door, list[Future[None]](), Watched()

        class Slow:
            def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
                if not ending:
                    ending.append(pool.submit(promises.end))
                    # An end that didn't wait would be through before anything is leased.
                    ending[0].add_done_callback(lambda _: working.is_waited_for.set())
                    assert working.is_waited_for.wait(20)
                return door.do(work, if_away)

        promises._door, promises._working = Slow(), working  # type: ignore[assignment]
        promises.turn()
        ending[0].result(20)
        assert left(record, SIXTEEN, Clock()) == 16


def test_what_could_not_be_told_at_the_end_is_told_the_next_time(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, door = Clock(), Door(record)
        budgets = [Budget(name, 16, 0, Since(0, 0)) for name in ("a", "b", "c")]
        promises = Promises(door, lambda: budgets, "worker", life_s=1000, clock=clock)
        promises.turn()
        assert all(promises.make(budget.offer_id, "anna") for budget in budgets)
        door.is_shut = True
        with pytest.raises(RefusedError):
            promises.end()
        door.is_shut = False
        promises.end()
        assert [left(record, budget, clock) for budget in budgets] == [15, 15, 15]


def test_many_leases_are_taken_told_and_given_back_ten_at_a_time(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, door = Clock(), Counting(record)
        budgets = [Budget(f"offer {n}", 16, 0, Since(0, 0)) for n in range(25)]
        promises = Promises(door, lambda: budgets, "worker", life_s=1000, clock=clock)
        promises.turn()
        assert door.counted() == 3 + 1  # one more to hear of others
        assert all(promises.make(budget.offer_id, "anna") for budget in budgets)
        promises.turn()
        assert door.counted() == 3 + 1
        clock.now_s += LEASE_S
        promises.turn()
        assert door.counted() == 3 + 3 + 1
        promises.end()
        assert door.counted() == 3
        assert {left(record, budget, clock) for budget in budgets} == {15}


class Far(Counting):
    """Of a database far away: what takes more than so many statements is kept, but nobody hears it."""

    def __init__(self, record: Record, most: int) -> None:
        super().__init__(record)
        self.most, self._said = most, 0
        with record.reading() as connection:
            self._engine = connection.engine  # not of all: threads of other tests may still ask theirs
        sa.event.listen(self._engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self._said += 1

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        self._said = 0
        done = super().do(work)
        if self._said > self.most:
            raise RefusedError("record_unavailable", None, if_away)
        return done

    def close(self) -> None:
        sa.event.remove(self._engine, "before_cursor_execute", self._count)


@pytest.mark.parametrize("most", [45, 16])  # ten leases take 60, and so does telling of ten; one 15 and 7
def test_of_a_record_that_is_too_slow_for_ten_fewer_are_asked_for_at_once(tmp_path: Path, most: int) -> None:
    with empty_record(sqlite_url(tmp_path)) as record, closing(Far(record, most)) as door:
        clock = Clock()
        budgets = [Budget(f"offer {n}", 16, 0, Since(0, 0)) for n in range(25)]
        promises = Promises(door, lambda: budgets, "worker", life_s=1000, clock=clock)
        made = set[str]()
        for _ in range(12):
            with suppress(RefusedError):
                promises.turn()
            made |= {one.offer_id for one in budgets if promises.make(one.offer_id, "anna")}
        assert len(made) == 25
        door.most = 1000
        clock.now_s += FEWER_S
        door.counted()
        promises.turn()
        assert door.counted() == 3 + 3 + 1
        promises.end()
        assert {left(record, budget, clock) for budget in budgets} == {15}


def test_a_worker_that_is_stopped_tells_fewer_at_a_time_too(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record, closing(Far(record, 1000)) as door:
        clock = Clock()
        budgets = [Budget(f"offer {n}", 16, 0, Since(0, 0)) for n in range(25)]
        promises = Promises(door, lambda: budgets, "worker", life_s=1000, clock=clock)
        promises.turn()
        assert all(promises.make(one.offer_id, "anna") for one in budgets)
        door.most = 16
        promises.end_soon(lambda _: None)
        assert {left(record, budget, clock) for budget in budgets} == {15}


def test_a_budget_that_is_used_up_is_asked_for_now_and_then_and_one_that_changed_at_once(
    tmp_path: Path,
) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, door = Clock(), Counting(record)
        budgets = [Budget("milk 10 off", 5, 5, Since(0, 0))]
        promises = Promises(door, lambda: budgets, "worker", life_s=1000, clock=clock)
        asked = []
        for after_s in (0, 1, SPENT_S - 2, 1, -3600):  # the last: the machine's clock was set back
            clock.now_s += after_s
            promises.turn()
            asked.append(door.counted() - 1)  # without what it hears of others
        assert asked == [1, 0, 0, 1, 1]
        budgets[:] = [Budget("milk 10 off", 6, 5, Since(0, 0))]  # of another night
        promises.turn()
        assert promises.make("milk 10 off", "anna") is not None


def test_a_worker_that_is_stopped_gives_back_what_it_holds_as_soon_as_the_record_can_be_used(
    tmp_path: Path,
) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, door = Clock(), Door(record)
        promises = Promises(door, lambda: [SIXTEEN], "worker", life_s=1000, clock=clock)
        promises.turn()
        assert left(record, SIXTEEN, clock) == 14
        door.is_shut = True

        def pause(_: float) -> None:
            door.is_shut = False

        promises.end_soon(pause)
        assert left(record, SIXTEEN, clock) == 16


def test_a_worker_that_can_give_nothing_back_says_so_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        door = Door(record)
        promises = Promises(door, lambda: [SIXTEEN], "worker", life_s=1000, clock=Clock())
        promises.turn()
        door.is_shut = True
        promises.end_soon(lambda _: None)
        assert "leases of offers were not given back" in capsys.readouterr().out


def test_a_lease_that_is_over_is_given_back_and_a_promise_comes_back_when_it_ends(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock = Clock()
        promises = promises_of(record, [SIXTEEN], clock)
        promises.turn()
        assert promises.make("milk 10 off", "anna") is not None
        clock.now_s += LEASE_S
        assert promises.make("milk 10 off", "bert") is None
        promises.turn()
        promises.end()
        assert left(record, SIXTEEN, clock) == 15
        clock.now_s += 100
        assert left(record, SIXTEEN, clock) == 16
        take(record, event("r", "anna", at_ms=int(NOW_S * 1000), offer_id="milk 10 off"))
        assert left(record, SIXTEEN, clock) == 15
