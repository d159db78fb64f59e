"""An offer with a budget is promised while some of it is left, whatever a worker or the record does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.answering.first_level import FirstLevel
from service.offers import promises as promises_module
from service.offers.campaign_promises import CampaignPromises
from service.offers.promises import Promises
from service.recommender import Recommender
from service.web.parameters import Query
from storage.record.budgets import Budget, ToldPromise
from storage.record.live import Since
from storage.record.tables import offer_promises
from tests.data.offer_shop import BUTTER, NOW_S, Clock, desk_of, ids, offers, served_of
from tests.data.promises import ANNA, SIXTEEN, Counting, Outcomes, left, promises_of
from tests.data.records import Door, empty_record, sqlite_url
from tests.data.tiny_version import AS_OF, TinyOffer, TinyShop


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


def test_what_another_worker_promised_the_same_customer_is_left_of_the_lease(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock = Clock()
        one, other = (promises_of(record, [SIXTEEN], clock) for _ in range(2))
        for worker in (one, other):
            worker.turn()  # of two promises
            assert worker.make("milk 10 off", "anna") is not None
            clock.now_s += 1
        one.turn()
        other.turn()
        made = [other.make("milk 10 off", customer) is not None for customer in ("bert", "cleo", "dora")]
        assert made == [True, True, False]


@pytest.mark.parametrize("later_s", [20, 100])
def test_promises_that_ended_are_deleted_by_who_tells_and_by_who_leases(tmp_path: Path, later_s: int) -> None:
    """After 20 s the lease goes on and another promise is told; after 100 s it is over and nothing is."""
    with empty_record(sqlite_url(tmp_path)) as record:
        clock = Clock()
        promises = promises_of(record, [Budget("milk 10 off", 64, 0, Since(0, 0))], clock, life_s=10)
        promises.turn()
        assert promises.make("milk 10 off", "anna")
        promises.turn()
        clock.now_s += later_s
        if later_s == 20:
            assert promises.make("milk 10 off", "bert")
        promises.turn()
        with record.reading() as connection:
            told = connection.execute(sa.select(offer_promises.c.customer_id)).scalars().all()
    assert told == (["bert"] if later_s == 20 else [])


def test_what_others_promised_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        clock = Clock()
        one, other = (promises_of(record, [SIXTEEN], clock) for _ in range(2))
        one.turn()
        assert one.make("milk 10 off", "anna")
        one.turn()
        read, found = promises_module.promised_between, []

        def counted(*asked: Any) -> list[ToldPromise]:
            found.append(read(*asked))
            return found[-1]

        monkeypatch.setattr(promises_module, "promised_between", counted)
        for _ in range(3):
            other.turn()
        assert [len(told) for told in found] == [1, 0, 0]


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
