"""Budgets of offers in the record, on SQLite and on a real Postgres: never more is promised than there is."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import URL

from service.offers.promises import Promises
from storage.record.budgets import (
    Budget,
    Lease,
    Promise,
    ToldPromise,
    give_back,
    lease,
    left_of,
    promised_between,
    tell,
)
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.holdings import holdings_of
from storage.record.learning import read_recorded
from storage.record.live import Since
from storage.record.promised import NEVER_MS, forget_old, kept_of
from storage.record.record import Record
from storage.record.tables import offer_leases, offer_promises
from tests.data.records import NOON_MS, Door, empty_record, event, opened, rows, sqlite_url, take
from tests.data.running_service import until

ALL = Since(0, NEVER_MS)
TEN = Budget("ten", 10, 0, ALL)
LIFE_MS = 1000


def take_lease(
    record: Record, budget: Budget = TEN, *, now_ms: int = NOON_MS, asking: str | None = None
) -> Lease | None:
    worker = asking or token_hex(8)
    with record.writing() as connection:
        found = lease(connection, [budget], worker, now_ms=now_ms, counts_until_ms=now_ms + 2 * LIFE_MS)
    return found[0] if found else None


def told(record: Record, one: Lease, *customers: str, now_ms: int = NOON_MS) -> int:
    promises = [Promise(one.offer_id, customer, now_ms, now_ms + LIFE_MS) for customer in customers]
    with record.writing() as connection:
        return tell(connection, one, promises, now_ms, key=record.key, stores_by_default=True)


def left(record: Record, budget: Budget = TEN, *, now_ms: int = NOON_MS) -> int:
    with record.reading() as connection:
        return left_of(connection, budget, kept_of(connection, budget.offer_id), now_ms)


def test_a_part_of_a_budget_is_leased_told_and_given_back(record: Record) -> None:
    one = take_lease(record)
    assert one is not None
    assert (one.granted, left(record)) == (2, 8)  # an eighth of ten, rounded up
    assert told(record, one, "anna") == 0
    assert left(record) == 8  # one is promised, one is leased
    with record.writing() as connection:
        give_back(connection, one)
    assert left(record) == 9


def test_who_waited_for_a_lease_sees_it_whatever_the_postgres_isolates(record: Record, url: URL) -> None:
    if not record.is_postgres:
        pytest.skip("on SQLite whoever writes is alone, and begins after the one before")
    last = Budget("ten", 1, 0, ALL)
    by_default = "ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'repeatable read'"
    with record.writing() as connection:
        connection.exec_driver_sql(by_default)
    try:
        with opened(url) as strict, ThreadPoolExecutor(1) as pool:
            with record.writing() as connection:
                assert lease(connection, [last], "w", now_ms=NOON_MS, counts_until_ms=NOON_MS + LIFE_MS)
                waiting = pool.submit(take_lease, strict, last)
                until(lambda: is_waiting(connection), 10)
            assert waiting.result() is None
    finally:
        with record.writing() as connection:
            connection.exec_driver_sql("ALTER ROLE CURRENT_USER RESET default_transaction_isolation")


def is_waiting(connection: sa.Connection) -> bool:
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return bool(connection.exec_driver_sql(waits).scalar())


def test_a_customer_is_promised_once_whoever_does_it(record: Record) -> None:
    first, second = take_lease(record), take_lease(record)
    assert first is not None
    assert second is not None
    assert told(record, first, "anna") == 0
    assert told(record, second, "anna", now_ms=NOON_MS + 1) == 1
    assert told(record, first, "anna") == 0  # again, since the worker heard no answer the first time
    with record.writing() as connection:
        give_back(connection, first)
        give_back(connection, second)
    assert left(record) == 9


def test_promises_that_hold_are_read_once_each_the_latest_first(record: Record) -> None:
    def read(after: int, before: int = NEVER_MS, now_ms: int = NOON_MS, most: int = 9) -> list[ToldPromise]:
        with record.reading() as connection:
            return promised_between(connection, after, before, now_ms, most)

    one = take_lease(record)
    assert one is not None
    assert read(0) == []
    told(record, one, "anna")
    (annas,) = read(0)
    assert annas[1:] == ("ten", "anna", NOON_MS + LIFE_MS)
    told(record, one, "bert", now_ms=NOON_MS + 5)
    (berts,) = read(annas.number)
    assert berts[1:] == ("ten", "bert", NOON_MS + LIFE_MS + 5)
    assert read(0) == [berts, annas]
    assert read(0, most=1) == [berts]
    assert read(0, before=berts.number) == [annas]
    assert read(0, now_ms=NOON_MS + LIFE_MS) == [berts]  # anna's is over
    assert read(berts.number) == []


def test_a_promise_comes_back_when_it_ends_and_a_redemption_never(record: Record) -> None:
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna", "bert")
    assert left(record) == 8
    take(record, event("r", "anna", at_ms=NOON_MS + 1, offer_id="ten"))
    assert left(record) == 8  # promised and redeemed is one
    assert left(record, now_ms=NOON_MS + LIFE_MS) == 9
    assert left(record, Budget("ten", 10, 3, ALL), now_ms=NOON_MS + LIFE_MS) == 6
    assert (
        left(record, Budget("ten", 10, 3, Since(NOON_MS + 2, NEVER_MS)), now_ms=NOON_MS + LIFE_MS) == 7
    )  # the night knows it


def test_what_a_dead_worker_held_counts_until_its_promises_would_have_ended(record: Record) -> None:
    assert take_lease(record) is not None
    assert left(record, now_ms=NOON_MS + 2 * LIFE_MS - 1) == 8
    assert left(record, now_ms=NOON_MS + 2 * LIFE_MS) == 10
    with record.writing() as connection:
        forget_old(connection, NOON_MS + 2 * LIFE_MS)
    assert rows(record, offer_leases, "id") == []


def test_a_promise_that_two_workers_made_holds_until_the_later_of_its_ends(record: Record) -> None:
    first, second = take_lease(record), take_lease(record)
    assert first is not None
    assert second is not None
    later = NOON_MS + LIFE_MS // 2
    told(record, first, "anna")
    told(record, second, "anna", now_ms=later)
    told(record, first, "anna")
    with record.writing() as connection:
        give_back(connection, first)
        give_back(connection, second)
    assert rows(record, offer_promises, "ends_ms") == [(later + LIFE_MS,)]
    assert [left(record, now_ms=now) for now in (NOON_MS + LIFE_MS, later + LIFE_MS)] == [9, 10]


def test_an_ended_promise_can_be_made_again(record: Record) -> None:
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna")
    later = NOON_MS + LIFE_MS
    again = take_lease(record, now_ms=later)
    assert again is not None
    assert told(record, again, "anna", now_ms=later) == 0
    assert rows(record, offer_promises, "customer_id", "ends_ms") == [("anna", later + LIFE_MS)]


def test_what_a_customer_may_see_of_a_promise_has_no_mark_that_comes_late(record: Record) -> None:
    """That it was redeemed a later lease marks, if there is any: the purchase among the events says it."""
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna")
    take(record, event("1", offer_id="ten"))
    held = holdings_of(lambda look: look(record), "anna")
    assert [(row["type"], row["offer_id"]) for row in held.events] == [("purchase", "ten")]
    assert [sorted(row) for row in held.promises] == [["ends", "offer_id", "promised"]]


def test_a_worker_that_leases_and_one_that_tells_never_wait_for_each_other_both(record: Record) -> None:
    """One forgets a promise that ended while the other makes it again, which has the budgets' lock."""
    if not record.is_postgres:
        pytest.skip("on SQLite whoever writes is alone")
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna")
    later = NOON_MS + LIFE_MS
    leasing = Promises(Door(record), lambda: [TEN], "b", life_s=1, clock=lambda: later / 1000)
    anew = Promise("ten", "anna", later, later + LIFE_MS)
    with ThreadPoolExecutor(1) as pool:
        with record.writing() as connection:
            tell(connection, one, [], later, key=record.key, stores_by_default=True)
            turn = pool.submit(leasing.turn)
            until(lambda: waits_for_a_lock(record), 10)
            tell(connection, one, [anew], later, key=record.key, stores_by_default=True)
        turn.result(10)
    assert leasing.can_make("ten", "ben")
    assert rows(record, offer_promises, "customer_id", "ends_ms") == [("anna", later + LIFE_MS)]


def waits_for_a_lock(record: Record) -> bool:
    with record.reading() as connection:
        return bool(connection.scalar(sa.text("select count(*) from pg_locks where not granted")))


def test_an_empty_budget_leases_nothing(record: Record) -> None:
    assert take_lease(record, Budget("none", 0, 0, ALL)) is None
    assert take_lease(record, Budget("spent", 5, 7, ALL)) is None
    leases = []
    while (one := take_lease(record)) is not None:
        leases.append(one.granted)
    assert sum(leases) == 10
    assert leases == sorted(leases, reverse=True)


def test_an_erased_customers_promise_loses_its_name_and_goes_on_counting(record: Record) -> None:
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna")
    with record.writing() as connection:
        give_back(connection, one)
    assert left(record) == 9
    assert erase(record, "anna", now_ms=NOON_MS, client="k").rows["offer_promises"] == 1
    assert rows(record, offer_promises, "id") == []
    assert left(record) == 9
    assert left(record, now_ms=NOON_MS + LIFE_MS) == 10


STEP = st.tuples(
    st.sampled_from(["lease", "promise", "tell", "die", "settle"]), st.integers(0, 3), st.integers(0, 30)
)


@given(budget=st.integers(0, 12), steps=st.lists(STEP, max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_workers_do_and_whenever_they_die_no_more_is_promised_than_there_is(
    tmp_path_factory: pytest.TempPathFactory, budget: int, steps: list[tuple[str, int, int]]
) -> None:
    ours = Budget("ten", budget, 0, ALL)
    with empty_record(sqlite_url(tmp_path_factory.mktemp("budget"))) as record:
        held: dict[int, tuple[Lease, list[str]]] = {}
        promised: set[str] = set()  # what customers saw, told or not
        for what, worker, customer in steps:
            if what == "lease" and worker not in held:
                one = take_lease(record, ours)
                if one is not None:
                    held[worker] = (one, [])
            elif what == "promise" and worker in held:
                one, waiting = held[worker]
                if len(waiting) < one.granted:
                    waiting.append(str(customer))
                    promised.add(str(customer))
            elif what in ("tell", "settle") and worker in held:
                one, waiting = held.pop(worker)
                told(record, one, *dict.fromkeys(waiting))
                if what == "settle":
                    with record.writing() as connection:
                        give_back(connection, one)
            elif what == "die":
                held.pop(worker, None)
            assert len(promised) <= budget


def test_a_redemption_that_came_after_the_night_counts_whatever_date_it_has(record: Record) -> None:
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna", now_ms=NOON_MS - 8)
    with record.writing() as connection:
        give_back(connection, one)
    night = Budget("ten", 10, 0, Since(NOON_MS - 1, NOON_MS - 1))  # before the event came in
    assert left(record, night) == 9
    take(record, event("r", "anna", at_ms=NOON_MS - 5, offer_id="ten"))
    assert left(record, night) == 9
    assert (
        left(record, Budget("ten", 10, 1, Since(NOON_MS - 1, NOON_MS + 1))) == 9
    )  # the next night counts it


@pytest.mark.parametrize("what", ["redeemed", "erased"])
@pytest.mark.parametrize("statement", range(2))
def test_a_promise_that_is_redeemed_or_erased_while_it_is_counted_frees_nothing(
    record: Record, what: str, statement: int
) -> None:
    if not record.is_postgres:
        pytest.skip("on SQLite nobody commits while somebody reads")
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna")
    with record.writing() as connection:
        give_back(connection, one)
    asked: list[object] = []

    def commit(*_: object) -> None:
        asked.append(_)
        if len(asked) != statement + 1:
            return
        if what == "redeemed":
            take(record, event("r", "anna", offer_id="ten"))
        else:
            erase(record, "anna", now_ms=NOON_MS, client="k")

    with record.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", commit)
        assert left_of(connection, TEN, kept_of(connection, TEN.offer_id), NOON_MS) <= 9
    assert (len(asked), left(record)) == (2, 9)


def test_a_promise_to_who_redeemed_it_before_counts_too(record: Record) -> None:
    take(record, event("r", "anna", offer_id="ten"))
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna", now_ms=NOON_MS + 1)
    with record.writing() as connection:
        give_back(connection, one)
    assert left(record) == 8


def test_what_an_erased_customer_redeemed_goes_on_counting_without_a_name(record: Record) -> None:
    one = take_lease(record)
    assert one is not None
    told(record, one, "anna", "bert")
    with record.writing() as connection:
        give_back(connection, one)
    for number, name in enumerate(("anna", "cleo", "dora", "cleo")):
        take(record, event(f"r{number}", name, order_id=str(number), offer_id="ten"))
    take(record, event("without an offer", "anna"))
    assert left(record) == 5  # bert's promise and four redemptions
    for name in ("anna", "cleo", "anna"):
        erase(record, name, now_ms=NOON_MS, client="k")
    assert left(record) == 5
    with record.writing() as connection:
        forget_old(connection, NOON_MS + LIFE_MS)
    assert left(record, now_ms=NOON_MS + LIFE_MS) == 6


def test_each_redemption_counts_and_the_lines_of_one_order_are_one_for_the_night_too(record: Record) -> None:
    lines = [("anna", "o1"), ("anna", "o1"), ("anna", "o2"), ("bert", "o1"), ("bert", None), ("bert", None)]
    for number, (name, order_id) in enumerate(lines):
        at_ms = NOON_MS + number * 1000
        take(record, event(f"r{number}", name, order_id=order_id, at_ms=at_ms, offer_id="ten"))
    take(record, event("same second", "bert", at_ms=at_ms + 999, offer_id="ten"))
    take(record, event("of another offer", "anna", order_id="o1", offer_id="two"))
    assert left(record) == 5
    redeemed = read_recorded(record, PRESETS["all"]).redemptions
    assert redeemed.filter(offer_id="ten")["customer_id"].sort().to_list() == ["anna"] * 2 + ["bert"] * 3


def test_a_promise_to_whom_no_name_may_be_kept_of_counts_without_one(record: Record) -> None:
    one = take_lease(record, Budget("ten", 80, 0, ALL))
    assert one is not None
    erase(record, "anna", now_ms=NOON_MS, client="k")
    erase(record, "bert", now_ms=NOON_MS - 1, client="k")
    with record.writing() as connection:
        set_consent(connection, "bert", PRESETS["all"], now_ms=NOON_MS, client="k")  # a new life
        set_consent(connection, "cleo", PRESETS["nothing"], now_ms=NOON_MS, client="k")
    names = ("anna", "bert", "cleo", "dora")
    promises = [Promise("ten", name, NOON_MS, NOON_MS + LIFE_MS) for name in names]
    for _ in range(2):  # nobody knows whether the first was committed
        with record.writing() as connection:
            tell(connection, one, promises, NOON_MS, key=record.key, stores_by_default=True)
    kept = [str(row[0]) for row in rows(record, offer_promises, "customer_id")]
    assert len(kept) == 4
    assert set(kept) & set(names) == {"bert", "dora"}
    with record.writing() as connection:
        give_back(connection, one)
    assert left(record, Budget("ten", 80, 0, ALL)) == 76
    assert left(record, Budget("ten", 80, 0, ALL), now_ms=NOON_MS + LIFE_MS) == 80


def test_who_says_nothing_is_named_where_the_shop_stores_by_default(record: Record) -> None:
    one = take_lease(record)
    assert one is not None
    promise = Promise("ten", "anna", NOON_MS, NOON_MS + LIFE_MS)
    with record.writing() as connection:
        tell(connection, one, [promise], NOON_MS, key=record.key, stores_by_default=False)
    assert rows(record, offer_promises, "customer_id") == [(promise.nameless,)]


def test_who_asks_again_without_an_answer_holds_one_lease(record: Record) -> None:
    for _ in range(9):
        again = take_lease(record, asking="the same")
    other = take_lease(record)
    assert again is not None
    assert other is not None
    assert (again.granted, other.granted, left(record)) == (2, 1, 7)
