"""The kept number of promises, on SQLite and on a real Postgres, is what a count of everything says."""

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from service.events.schemas import check_event
from storage.record import promised, upkeep
from storage.record.budgets import Budget, Lease, Promise, give_back, lease, left_of, tell
from storage.record.engine import open_engine
from storage.record.erasure import erase
from storage.record.events import Event, Sending
from storage.record.folder import private_file
from storage.record.live import CLOCKS_DIFFER_MS, Since
from storage.record.promised import Kept, forget_old, kept_of
from storage.record.record import Record
from storage.record.replay import Stone, replay
from storage.record.schema import prepare
from storage.record.tables import events, offer_counts, offer_leases, offer_promises
from storage.record.upkeep import Chosen, expire, purge, release
from tests.data.records import KEY, NOON_MS, SHOP, event, intake, make_older, opened, rows, take

MINUTE_MS, DAY_MS = 60_000, 86_400_000
LIFE_MS = 2 * DAY_MS
OFFERS, NAMES = ("ten", "two"), ("anna", "bert", "cleo")


class Shop:
    """A record to which everything happens that can, in an order drawn by lot."""

    def __init__(self, record: Record, seed: int) -> None:
        self.record, self.lot, self.now_ms, self.n = record, Random(seed), NOON_MS, 0
        self.held: list[tuple[Lease, list[Promise]]] = []
        self.names = list(NAMES)
        self.budget_of = {offer_id: Budget(offer_id, 400, 0, self.since()) for offer_id in OFFERS}

    def since(self) -> Since:
        night_ms = self.now_ms - self.lot.choice((0, MINUTE_MS, DAY_MS))
        return Since(night_ms, night_ms, self.lot.choice((None, self.n // 2)))

    def step(self) -> None:
        self.n += 1
        often = (self.lease, self.promise, self.promise, self.tell, self.redeem, self.redeem, self.wait)
        shop = (self.aside, self.release, self.night, self.purge, self.purge, self.expire, self.forget)
        seldom = (self.die, self.erase, self.replay)
        self.lot.choice((*often, *often, *often, *shop, *seldom))()

    def lease(self) -> None:
        with self.record.writing() as connection:
            ends_ms = self.now_ms + LIFE_MS
            budgets = list(self.budget_of.values())
            found = lease(connection, budgets, f"w{self.n}", now_ms=self.now_ms, counts_until_ms=ends_ms)
        self.held += [(one, []) for one in found]

    def promise(self) -> None:
        for one, promises in self.held:
            if len(promises) < one.granted:
                name = self.lot.choice(self.names)
                promises.append(Promise(one.offer_id, name, self.now_ms, self.now_ms + LIFE_MS))

    def tell(self) -> None:
        if self.held:
            one, promises = self.held.pop(self.lot.randrange(len(self.held)))
            with self.record.writing() as connection:
                for _ in range(self.lot.choice((1, 2))):  # nobody knows whether the first was committed
                    tell(connection, one, promises, self.now_ms, key=KEY, stores_by_default=True)
                give_back(connection, one)

    def die(self) -> None:
        if self.held:
            self.held.pop()

    def redeem(self, product_id: str = "milk") -> None:
        at_ms = self.now_ms - self.lot.choice((0, 0, MINUTE_MS, DAY_MS))
        said = {
            "type": "purchase",
            "event_id": f"e{self.n}",
            "customer_id": self.lot.choice(self.names),
            "product_id": product_id,
            "occurred_at": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(),
            "offer_id": self.lot.choice(OFFERS),
        }
        if self.lot.randrange(2):
            said["order_id"] = "o1"
        sending = Sending("", self.lot.choice(("k1", "k2")), self.now_ms)
        take(self.record, check_event(said, self.now_ms), sending=sending)

    def aside(self) -> None:
        self.redeem("ghost")

    def release(self) -> None:
        release(self.record, Chosen(), now_ms=self.now_ms, client="k")

    def purge(self) -> None:
        since_ms = self.now_ms - self.lot.choice((MINUTE_MS, DAY_MS, DAY_MS))
        purge(self.record, Chosen(self.lot.choice(("k1", "k2")), since_ms), now_ms=self.now_ms, client="k")

    def expire(self) -> None:
        before = dict.fromkeys(
            ("trade_before_ms", "others_before_ms", "quarantine_before_ms"), self.now_ms - DAY_MS
        )
        expire(self.record, **before, exposures_before_ms=0, now_ms=self.now_ms, client="k")

    def forget(self) -> None:
        with self.record.writing() as connection:
            forget_old(connection, self.now_ms)

    def erase(self) -> None:
        erase(self.record, self.gone(), now_ms=self.now_ms, client="k")

    def gone(self) -> str:
        """Who is erased now; another comes instead, since for who was erased promises have no name."""
        which = self.lot.randrange(len(self.names))
        name, self.names[which] = self.names[which], f"{NAMES[which]}{self.n}"
        return name

    def replay(self) -> None:
        stone = Stone(1000 + self.n, KEY.hash_of(self.gone()), self.now_ms)
        replay(self.record, [stone])

    def night(self) -> None:
        offer_id = self.lot.choice(OFFERS)
        self.budget_of[offer_id] = Budget(offer_id, 400, self.lot.randrange(3), self.since())

    def wait(self) -> None:
        self.now_ms += self.lot.choice((1, CLOCKS_DIFFER_MS, CLOCKS_DIFFER_MS + MINUTE_MS, DAY_MS, DAY_MS))


def recount(record: Record, budget: Budget, now_ms: int) -> int:
    """What is left of a budget, counted from all that there is."""
    offer_id, since = budget.offer_id, budget.since
    columns = ("id", "offer_id", "customer_id", "order_id", "at_ms", "received_ms")
    redemptions = [row for row in rows(record, events, *columns) if row[1] == offer_id]
    new = {
        (name, order_id or at_ms // 1000)  # type: ignore[operator]
        for number, _, name, order_id, at_ms, received_ms in redemptions
        if since.has(number, at_ms, received_ms)  # type: ignore[arg-type]
    }
    open_ones = sum(
        ends_ms > now_ms and not any(row[2] == name and row[5] >= promised_ms for row in redemptions)  # type: ignore[operator]
        for of, name, promised_ms, ends_ms in rows(
            record, offer_promises, "offer_id", "customer_id", "promised_ms", "ends_ms"
        )
        if of == offer_id
    )
    leased = sum(
        granted - used  # type: ignore[operator]
        for of, granted, used, until_ms in rows(
            record, offer_leases, "offer_id", "granted", "used", "counts_until_ms"
        )
        if of == offer_id and until_ms > now_ms  # type: ignore[operator]
    )
    return max(0, budget.redemptions - budget.redeemed - len(new) - open_ones - leased)


def left(record: Record, budget: Budget, now_ms: int) -> int:
    with record.reading() as connection:
        return left_of(connection, budget, kept_of(connection, budget.offer_id), now_ms)


# One seed is the same walk on both. Of 19 wrong changes of `promised` these nine find all, the two 17.
WALKS = [*(("sqlite", seed) for seed in (1, 3, 4, 5, 6, 7, 8, 20, 30)), ("postgres", 4), ("postgres", 20)]


@pytest.mark.parametrize(("url", "seed"), WALKS, indirect=["url"])
def test_whatever_happens_the_kept_number_says_what_a_count_says(
    record: Record, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PAUSE_S", 0)
    shop = Shop(record, seed)
    for _ in range(45):
        shop.step()
        shop.step()  # counting takes longer than both
        for budget in shop.budget_of.values():
            assert left(record, budget, shop.now_ms) == recount(record, budget, shop.now_ms)
        marks = rows(record, offer_promises, "offer_id", "is_redeemed")
        open_ones = [offer_id for offer_id, is_redeemed in marks if not is_redeemed]
        n_kept = dict(rows(record, offer_counts, "offer_id", "promised"))
        assert {of: n for of, n in n_kept.items() if n} == {of: open_ones.count(of) for of in open_ones}


TEN = Budget("ten", 10, 0, Since(0, 2**62))


def promise(record: Record, *names: str, promised_ms: int = NOON_MS, now_ms: int = NOON_MS) -> None:
    until_ms = now_ms + LIFE_MS
    with record.writing() as connection:
        (one,) = lease(connection, [TEN], "w", now_ms=now_ms, counts_until_ms=until_ms)
        promises = [Promise("ten", name, promised_ms, until_ms) for name in names]
        tell(connection, one, promises, now_ms, key=KEY, stores_by_default=True)
        give_back(connection, one)


def kept(record: Record) -> Kept:
    with record.reading() as connection:
        return kept_of(connection, "ten")


def test_a_redemption_that_is_committed_while_its_promise_is_told_is_counted_once(record: Record) -> None:
    """None of the two sees the other, and the lock of the budgets is not for events."""
    if not record.is_postgres:
        pytest.skip("on SQLite whoever writes is alone")
    with record.writing() as connection:
        intake().take(connection, SHOP, [event("r", "anna", offer_id="ten")])
        promise(record, "anna", promised_ms=NOON_MS - 1)
    assert (kept(record).promised, left(record, TEN, NOON_MS)) == (1, 9)
    later_ms = NOON_MS + CLOCKS_DIFFER_MS + MINUTE_MS
    promise(record, "bert", now_ms=later_ms)
    assert (kept(record), left(record, TEN, later_ms)) == (Kept(1, later_ms - CLOCKS_DIFFER_MS), 8)


LATER_MS = NOON_MS + CLOCKS_DIFFER_MS + MINUTE_MS


def redeemed(product_id: str = "milk", event_id: str = "r") -> Event:
    said = {"type": "purchase", "event_id": event_id, "customer_id": "anna", "product_id": product_id}
    said["order_id"] = event_id
    moment = datetime.fromtimestamp(NOON_MS / 1000, UTC).isoformat()
    return check_event(said | {"occurred_at": moment, "offer_id": "ten"}, NOON_MS)


def test_a_marked_promise_whose_redemption_is_purged_counts_again(record: Record) -> None:
    promise(record, "anna")
    take(record, redeemed())
    promise(record, now_ms=LATER_MS)
    assert (kept(record).promised, left(record, TEN, LATER_MS)) == (0, 9)
    purge(record, Chosen("key-1"), now_ms=LATER_MS, client="k")
    assert (kept(record).promised, left(record, TEN, LATER_MS)) == (1, 9)
    assert left(record, TEN, NOON_MS + LIFE_MS) == 10


def test_a_promise_that_is_redeemed_twice_no_longer_counts_once(record: Record) -> None:
    promise(record, "anna", "bert")
    take(record, redeemed(event_id="r1"), redeemed(event_id="r2"))
    assert (kept(record).promised, left(record, TEN, NOON_MS)) == (2, 7)
    promise(record, now_ms=LATER_MS)
    assert (kept(record).promised, left(record, TEN, LATER_MS)) == (1, 7)
    assert left(record, TEN, NOON_MS + LIFE_MS) == 8


def test_a_redemption_that_is_released_long_after_it_came_in_marks_its_promise(record: Record) -> None:
    promise(record, "anna")
    take(record, redeemed("ghost"))
    promise(record, now_ms=LATER_MS)
    assert (kept(record).promised, left(record, TEN, LATER_MS)) == (1, 9)
    release(record, Chosen(), now_ms=LATER_MS, client="k")
    assert (kept(record).promised, left(record, TEN, LATER_MS)) == (0, 9)


def test_a_promise_that_is_told_long_after_it_was_redeemed_is_marked(record: Record) -> None:
    promise(record, "bert")
    take(record, redeemed())
    promise(record, now_ms=LATER_MS)
    promise(record, "anna", promised_ms=NOON_MS - 1, now_ms=LATER_MS)
    assert (kept(record).promised, left(record, TEN, LATER_MS)) == (1, 8)


def test_of_many_that_ended_some_are_deleted_at_a_time_and_the_others_count_until_then(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promised, "_MOST_ENDED", 1)
    promise(record, "anna", "bert")
    promise(record, "cleo")
    ended_ms = NOON_MS + LIFE_MS
    assert left(record, TEN, ended_ms) == 8
    for n, rest in ((1, 9), (1, 10), (1, 10), (0, 10)):
        with record.writing() as connection:
            assert forget_old(connection, ended_ms, 1) == n
        assert left(record, TEN, ended_ms) == rest


def test_what_an_older_release_promised_is_counted_once_when_its_record_is_brought_up_to_date(
    url: URL, tmp_path: Path
) -> None:
    private_file(tmp_path / "record" / "record.db")
    engine = open_engine(url)
    with engine.begin() as connection:
        make_older(connection, "0003")
        for name, promised_ms in (("anna", NOON_MS), ("bert", NOON_MS), ("cleo", NOON_MS + 2)):
            made = {"customer_id": name, "promised_ms": promised_ms, "ends_ms": NOON_MS + LIFE_MS}
            connection.execute(sa.insert(offer_promises).values(offer_id="ten", **made))
        sent = {"namespace": "", "payload_hash": b"", "type": "purchase", "client": "k"}
        sent |= {"received_ms": NOON_MS + 1, "at_ms": NOON_MS, "offer_id": "ten"}
        for name in ("anna", "cleo"):
            connection.execute(sa.insert(events).values(event_id=name, customer_id=name, **sent))
    engine.dispose()
    assert prepare(url) == 3
    with opened(url) as record:
        assert kept(record) == Kept(2, NOON_MS + 1 - CLOCKS_DIFFER_MS)
        assert rows(record, offer_promises, "customer_id", "is_redeemed") == [
            ("anna", True),
            ("bert", False),
            ("cleo", False),
        ]
        assert left(record, TEN, NOON_MS + 2) == 10 - 2 - 2


def test_of_many_redemptions_a_lease_marks_some_and_the_others_count_meanwhile(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promised, "_MOST_MARKED", 2)
    promise(record, "anna", "bert")
    promise(record, "cleo")
    for n, name in enumerate(("anna", "bert", "cleo")):
        sending = Sending("", "k", NOON_MS + n)
        take(record, event(name, name, offer_id="ten"), sending=sending)
    for n, marked_ms, now_ms in (
        (1, NOON_MS + 2, LATER_MS),
        (0, LATER_MS + MINUTE_MS - CLOCKS_DIFFER_MS, LATER_MS + MINUTE_MS),
    ):
        promise(record, now_ms=now_ms)
        assert kept(record) == Kept(n, marked_ms)
        assert left(record, TEN, now_ms) == 7


def test_of_one_batch_with_too_many_redemptions_a_lease_marks_all(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promised, "_MOST_MARKED", 1)
    promise(record, "anna", "bert")
    take(record, event("r1", "anna", offer_id="ten"), event("r2", "bert", offer_id="ten"))
    promise(record, now_ms=LATER_MS)
    assert kept(record).promised == 0


def test_a_count_looks_at_so_many_redemptions_and_the_others_count_twice(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promised, "_MOST_NEW", 1)
    promise(record, "anna", "bert")
    take(record, event("r1", "anna", offer_id="ten"), event("r2", "bert", offer_id="ten"))
    assert left(record, TEN, NOON_MS) == 7
    promise(record, now_ms=LATER_MS)
    assert left(record, TEN, LATER_MS) == 8


def test_what_a_service_of_an_older_release_wrote_without_keeping_the_number_is_put_right_by_a_night(
    record: Record,
) -> None:
    promise(record, "anna", "bert")
    made = {"promised_ms": NOON_MS, "ends_ms": NOON_MS + LIFE_MS}
    with record.writing() as connection:
        older = [made | {"offer_id": offer_id, "customer_id": "cleo"} for offer_id in OFFERS]
        connection.execute(sa.insert(offer_promises), older)
        connection.execute(sa.delete(offer_promises).where(offer_promises.c.customer_id != "cleo"))
    two = Budget("two", 10, 0, Since(0, 2**62))
    assert (left(record, TEN, NOON_MS), left(record, two, NOON_MS)) == (8, 10)
    nothing = dict.fromkeys(("trade_before_ms", "others_before_ms", "quarantine_before_ms"), 0)
    for _ in range(2):
        expire(record, **nothing, exposures_before_ms=0, now_ms=NOON_MS, client="k")
        assert (left(record, TEN, NOON_MS), left(record, two, NOON_MS)) == (9, 9)
