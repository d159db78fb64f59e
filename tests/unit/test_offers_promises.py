"""An offer with a budget is promised while some of it is left, whatever a worker or the record does."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock

import pytest
import sqlalchemy as sa

from service.errors import RefusedError
from service.first_level import FirstLevel
from service.offers import promises as promises_module
from service.offers.campaign_promises import CampaignPromises
from service.offers.promises import FEWER_S, LEASE_S, SPENT_S, Promises
from service.parameters import Query
from service.recommender import Recommender
from service.record import NOT_READ
from storage.record.budgets import Budget, left_of
from storage.record.live import Since
from storage.record.record import Record
from tests.data.offer_shop import BUTTER, NOW_S, Clock, desk_of, ids, offers, served_of
from tests.data.records import Door, empty_record, event, sqlite_url, take
from tests.data.tiny_version import AS_OF, TinyOffer, TinyShop


class Outcomes(list[str]):
    """What became of promises, one after another."""

    def promise(self, outcome: str) -> None:
        self.append(outcome)


def promises_of(
    record: Record,
    budgets: Sequence[Budget],
    clock: Clock,
    life_s: float = 100,
    outcomes: Outcomes | None = None,
) -> Promises:
    return Promises(Door(record), lambda: budgets, "worker", life_s=life_s, counters=outcomes, clock=clock)


def left(record: Record, budget: Budget, clock: Clock) -> int:
    with record.reading() as connection:
        return left_of(connection, budget, int(clock() * 1000))


ANNA = {"anna": (0.5, 0.1)}
SIXTEEN = Budget("milk 10 off", 16, 0, Since(0, 0))


def test_a_worker_promises_what_it_leased_and_the_same_customer_once(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, outcomes = Clock(), Outcomes()
        promises = promises_of(record, [SIXTEEN], clock, outcomes=outcomes)
        assert promises.make("milk 10 off", "anna") is None  # nothing is leased yet
        promises.turn()
        assert left(record, SIXTEEN, clock) == 14
        ends_s = promises.make("milk 10 off", "anna")
        assert ends_s == NOW_S + 100
        clock.now_s += 1
        assert promises.make("milk 10 off", "anna") == ends_s
        assert promises.make("milk 10 off", "bert") == NOW_S + 101
        assert promises.make("milk 10 off", "cleo") is None
        assert promises.make("other", "anna") is None
        assert outcomes == ["none", "new", "again", "new", "none", "none"]
        promises.turn()  # tells, ends the lease that is used up, and leases anew
        assert left(record, SIXTEEN, clock) == 12
        assert promises.make("milk 10 off", "cleo") is not None
        promises.end()
        assert left(record, SIXTEEN, clock) == 13
        assert promises.make("milk 10 off", "dora") is None


def test_two_workers_that_promise_the_same_customer_use_one_of_the_budget(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock = Clock()
        workers = [promises_of(record, [SIXTEEN], clock) for _ in range(2)]
        for worker in workers:
            worker.turn()
            assert worker.make("milk 10 off", "anna") is not None
        for worker in workers:
            worker.turn()
            worker.end()
        assert left(record, SIXTEEN, clock) == 15


def test_who_was_promised_the_last_of_a_budget_is_shown_it_by_every_worker(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, budget = Clock(), Budget("milk 10 off", 1, 0, Since(0, 0))
        one, other = (promises_of(record, [budget], clock) for _ in range(2))
        one.turn()
        ends_s = one.make("milk 10 off", "anna")
        other.turn()
        assert other.make("milk 10 off", "anna") is None  # nobody told yet
        one.turn()
        other.turn()
        started_later = promises_of(record, [budget], clock)
        started_later.turn()
        for worker in (one, other, started_later):
            assert worker.make("milk 10 off", "anna") == ends_s == NOW_S + 100
            assert worker.make("milk 10 off", "bert") is None
        clock.now_s += 101
        assert other.make("milk 10 off", "anna") is None


def test_a_promise_ends_at_the_same_moment_whichever_worker_says_it(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock = Clock()
        clock.now_s += 0.1234567  # the record has milliseconds
        one, other = (promises_of(record, [SIXTEEN], clock) for _ in range(2))
        one.turn()
        ends_s = one.make("milk 10 off", "anna")
        one.turn()
        other.turn()
        assert other.make("milk 10 off", "anna") == one.make("milk 10 off", "anna") == ends_s


def test_a_worker_forgets_the_promise_that_it_knew_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises_module, "MOST_KNOWN", 3)
    monkeypatch.setattr(promises_module, "PIECE", 2)
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, budget = Clock(), Budget("milk 10 off", 40, 0, Since(0, 0))
        one, other = (promises_of(record, [budget], clock) for _ in range(2))
        one.turn()
        for customer in ("anna", "bert", "cleo", "dora", "emil"):
            assert one.make("milk 10 off", customer)
        assert worker_knows(one) == ["cleo", "dora", "emil"]
        one.turn()
        other.turn()
        assert worker_knows(other) == ["cleo", "dora", "emil"]
        assert one.make("milk 10 off", "fred")
        one.turn()
        other.turn()
        assert worker_knows(other) == ["dora", "emil", "fred"]


def test_of_before_an_erasure_no_worker_knows_a_promise(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, budget, erased = Clock(), Budget("milk 10 off", 1, 0, Since(0, 0)), dict[str, int]()
        one, other = (
            Promises(
                *(Door(record), lambda: [budget], "worker"),
                life_s=100,
                erased=lambda customer_id: erased.get(customer_id, 0),
                clock=clock,
            )
            for _ in range(2)
        )
        one.turn()
        assert one.make("milk 10 off", "anna") == NOW_S + 100
        one.turn()
        other.turn()
        erased["anna"] = 7
        for worker in (one, other):
            assert worker.make("milk 10 off", "anna") is None
            assert not worker.can_make("milk 10 off", "anna")


def worker_knows(worker: Promises) -> list[str]:
    """Customers with a promise, in the order in which the worker will forget them."""
    return [customer_id for _, customer_id in worker._known]


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
        ending[0].result(5)
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


class Counting(Door):
    """Counts what is done behind it."""

    done = 0

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        self.done += 1
        return super().do(work)

    def counted(self) -> int:
        """Since the last time."""
        found, self.done = self.done, 0
        return found


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


def test_an_offer_with_a_budget_is_shown_with_its_promise_or_not_at_all(tmp_path: Path) -> None:
    likely, ends_at = {"anna": (0.5, 0.8), "ben": (0.5, 0.8)}, AS_OF + timedelta(days=9)
    budgeted = TinyOffer("milk 10 off", ["milk"], likely, budget=2, redeemed=1, ends=ends_at)
    served = served_of(tmp_path, TinyShop(offers=(budgeted, BUTTER)))
    with empty_record(sqlite_url(tmp_path)) as record:
        clock = Clock()
        desk = desk_of()
        desk.promises = promises_of(record, desk.book_of(served).budgets, clock)
        assert [one.redemptions - one.redeemed for one in desk.book_of(served).budgets] == [1]
        assert ids(offers(desk, served)) == ["butter 10 off"]
        desk.promises.turn()
        body = offers(desk, served)
        assert ids(body) == ["butter 10 off", "milk 10 off"]
        ends = datetime.fromtimestamp(NOW_S + 100, UTC).isoformat()
        assert body["offers"][1]["promised_until"] == ends
        assert ids(offers(desk, served)) == ["butter 10 off", "milk 10 off"]
        assert ids(offers(desk, served, "ben")) == []
        answer = Recommender(FirstLevel(10, 0), None).recommend(served, "anna", Query(n=1))
        (milk,) = desk.with_products(served, "anna", answer).texts.values()
        assert (milk.offer_id, milk.ends_at) == ("milk 10 off", None)


def test_a_campaign_uses_all_of_a_budget_and_then_asks_no_more(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock, door = Clock(), Counting(record)
        budgets = [Budget("a", 9, 0, Since(0, 0)), Budget("b", 0, 0, Since(0, 0))]
        promises = CampaignPromises(
            door, lambda: budgets, "batch", life_s=100, stores_by_default=True, clock=clock
        )
        names = [f"c{n}" for n in range(12)]
        assert [promises.make("a", name) is not None for name in names] == [True] * 9 + [False] * 3
        asked = door.done
        assert [promises.make(offer, name) for offer in "ab" for name in names[9:]] == [None] * 6
        assert door.done == asked
        promises.end()
        again = CampaignPromises(
            door, lambda: budgets, "batch", life_s=100, stores_by_default=True, clock=clock
        )
        assert [again.make("a", name) == clock() + 100 for name in names[:9]] == [True] * 9
        assert left(record, budgets[0], clock) == 0


def test_a_promise_that_is_shown_ends_with_its_offer(tmp_path: Path) -> None:
    soon = AS_OF + timedelta(hours=2)
    served = served_of(tmp_path, TinyShop(offers=(TinyOffer("o", ["milk"], ANNA, budget=2, ends=soon),)))
    with empty_record(sqlite_url(tmp_path)) as record:
        desk, clock = desk_of(), Clock()
        desk.promises = promises_of(record, desk.book_of(served).budgets, clock, life_s=7 * 86_400)
        desk.promises.turn()
        assert offers(desk, served)["offers"][0]["promised_until"] == soon.isoformat()
