"""Rules of frequency: what a customer was shown often enough at a placement is held back there alone."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answering.first_level import FirstLevel
from service.answering.own_list import Answer, Rung
from service.answering.showings import FRESH_S, LIFE_S, MOST_BYTES, Showings
from service.live.customers import LiveCustomers
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query, parse_offers_query
from storage.record.changes import Tombstone
from storage.record.live import CustomerNow
from tests.data.records import KEY
from tests.data.side_by_side import side_by_side
from tests.data.tiny_service import DictCache, tiny_served
from tests.data.tiny_version import TinyOffer, TinyShop

DAY_S = 86_400
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC).timestamp()
TWICE = '[[rules]]\nid = "twice"\nkind = "frequency"\nat_most = 2\ndays = 3\n'
OFFER_ONCE = '[[rules]]\nid = "once"\nkind = "offer_frequency"\nat_most = 1\ndays = 7\n'
THREE = Query(3, placement="home")
FIRST, NEXT = ["milk", "bread", "butter"], ["apple", "cheese", "rolls"]
SHOP = TinyShop(
    offers=(
        TinyOffer("butter off", ["butter"], {"anna": (0.5, 0.1)}),
        TinyOffer("bread off", ["bread"], {"anna": (0.2, 0.1)}),
    )
)


class Kept(DictCache):
    """A store of lists and showings, which may be gone."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, bytes] = {}
        self.lives: set[int] = set()
        self.is_up = True
        self.asked = 0

    def showings(self, name: str) -> tuple[bool, bytes | None]:
        self.asked += 1
        return self.is_up, self.values.get(name) if self.is_up else None

    def ask(
        self, version_id: str, variant: str, customer_id: str, epoch: int, name: str | None
    ) -> Callable[[], tuple[bytes | None, bool, bytes | None]]:
        value = self.lists.get((version_id, variant, customer_id, epoch)) if self.is_up else None
        if name is None:
            return lambda: (value, self.is_up, None)
        has_answer, shown = self.showings(name)
        return lambda: (value, has_answer, shown)

    def add_showings(self, name: str, value: bytes, life_s: int, *, anew: bool) -> None:
        if self.is_up:
            self.values[name] = value if anew else self.values.get(name, b"") + value
            self.lives.add(life_s)

    def flush(self) -> None:
        pass


class Day:
    """Two workers on one day, which can be moved on."""

    def __init__(self, served: ServedVersion, rules: str, kept: Kept | None = None) -> None:
        self.now_s = NOON
        self.served, self.kept = served, kept or Kept()
        self.customers = LiveCustomers(most=10, clock=lambda: 0.0)
        self.customers.erase([], KEY.hash_of)
        self.customers.heard()
        self.book = RuleBook(parse_rules(f"schema = 1\n{rules}"), lambda: self.now_s)
        self.workers = [self.worker() for _ in range(2)]

    def worker(self, cache: Kept | None = None) -> Recommender:
        showings = Showings(self.customers, self.kept, clock=lambda: self.now_s)
        return Recommender(FirstLevel(10, 0), cache, self.customers.of, book=self.book, showings=showings)

    def ask(self, worker: int = 0, customer: str = "anna", query: Query = THREE) -> list[str]:
        """What a customer is shown, which is counted; the next one asks two seconds later."""
        recommender = self.workers[worker]
        answer = recommender.recommend(self.served, customer, query)
        recommender.note_shown(self.served, customer, query, answer)
        self.now_s += 2 * FRESH_S
        return [self.served.products[row] for row, *_ in answer.picks]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVersion]:
    yield tiny_served(tmp_path_factory.mktemp("store"), SHOP)


def test_after_so_many_showings_other_products_are_shown_whichever_worker_answers(
    served: ServedVersion,
) -> None:
    day = Day(served, TWICE)
    assert [day.ask(0), day.ask(1), day.ask(0), day.ask(1)] == [FIRST, FIRST, NEXT, NEXT]
    assert day.kept.lives == {LIFE_S}


def test_one_worker_counts_at_once(served: ServedVersion) -> None:
    day = Day(served, TWICE)
    first = [day.ask(), day.ask()]
    day.now_s -= 2 * FRESH_S
    assert [*first, day.ask()] == [FIRST, FIRST, NEXT]


def test_a_worker_asks_the_store_once_in_a_while_and_only_where_a_rule_holds(served: ServedVersion) -> None:
    day = Day(served, TWICE + 'placements = ["home"]\n')
    for _ in range(5):
        day.ask()
        day.now_s -= 2 * FRESH_S
    assert day.kept.asked == 1
    day.ask(query=Query(3, placement="mail"))
    assert day.kept.asked == 1
    assert len(day.kept.values) == 1


def test_showings_come_with_a_list_from_redis_in_one_round_trip(served: ServedVersion) -> None:
    class Asked(Kept):
        def __init__(self) -> None:
            super().__init__()
            self.trips: list[str] = []

        def showings(self, name: str) -> tuple[bool, bytes | None]:
            self.trips.append("showings")
            return super().showings(name)

        def ask(self, *key: Any) -> Callable[[], tuple[bytes | None, bool, bytes | None]]:
            before = len(self.trips)
            found = super().ask(*key)
            self.trips[before:] = ["list" if key[-1] is None else "both"]
            return found

    kept = Asked()
    day = Day(served, TWICE + OFFER_ONCE, kept)
    day.workers = [day.worker(kept) for _ in range(2)]
    assert [day.ask(0), day.ask(1), day.ask(0), day.ask(1)] == [FIRST, FIRST, NEXT, NEXT]
    assert kept.trips == ["both"] * 4
    day.now_s -= 2 * FRESH_S
    third = day.ask(1)  # it knows what was shown a moment ago
    kept.is_up = False
    assert (day.ask(1), day.ask(0)) == (third, NEXT)  # each goes by what it knew
    assert kept.trips[4:] == ["list", "both", "both"]


def test_each_placement_and_each_customer_is_counted_by_itself(served: ServedVersion) -> None:
    day = Day(served, TWICE)
    day.ask()
    day.ask()
    assert day.ask(query=Query(3, placement="mail")) == FIRST
    assert day.ask(query=Query(3)) == FIRST
    assert day.ask(customer="a stranger") == day.ask(customer="another") == ["milk", "bread", "apple"]
    assert day.ask() == NEXT


def test_what_was_shown_comes_back_after_its_days(served: ServedVersion) -> None:
    day = Day(served, TWICE)
    day.ask()
    day.ask()
    day.now_s += 2 * DAY_S
    assert day.ask() == NEXT  # the day after tomorrow is the third day
    day.now_s += DAY_S
    assert day.ask() == FIRST


def test_a_rule_about_some_products_leaves_the_others_alone(served: ServedVersion) -> None:
    day = Day(served, TWICE + 'categories = ["bakery"]\n')
    assert [day.ask(), day.ask(), day.ask()] == [FIRST, FIRST, ["milk", "butter", "apple"]]


def test_a_pin_is_held_back_too(served: ServedVersion) -> None:
    pin = '[[rules]]\nid = "pin"\nkind = "pin"\nproducts = ["cake"]\nposition = 1\n'
    day = Day(served, TWICE + pin)
    assert [day.ask()[0], day.ask()[0], day.ask()[0]] == ["cake", "cake", "butter"]


def test_without_the_store_each_worker_goes_by_what_it_showed_itself(served: ServedVersion) -> None:
    day = Day(served, TWICE)
    day.kept.is_up = False
    assert [day.ask(0), day.ask(1), day.ask(0), day.ask(1)] == [FIRST] * 4
    assert [day.ask(0), day.ask(1)] == [NEXT] * 2
    day.kept.is_up = True
    assert day.ask(0) == FIRST  # it has forgotten: nothing of it was kept


@pytest.mark.parametrize("damaged", [b"\xff\x00", bytes(8), bytes(20), b"\xff" * 16, bytes(16) + b"\xff" * 9])
def test_what_cannot_be_read_counts_for_nothing(served: ServedVersion, damaged: bytes) -> None:
    day = Day(served, TWICE)
    day.kept.values[day.customers.showings_name("anna")] = damaged
    assert day.ask() == FIRST


def test_who_allows_nothing_personal_is_not_counted(served: ServedVersion) -> None:
    day = Day(served, TWICE)
    day.customers.take(CustomerNow("anna", 5, False, True, ()))
    for _ in range(3):
        assert day.ask() == ["milk", "bread", "apple"]
    assert day.kept.values == {}


def test_what_is_shown_to_who_allows_nothing_personal_is_neither_looked_up_nor_kept(
    served: ServedVersion,
) -> None:
    day = Day(served, TWICE + OFFER_ONCE)
    showings = Showings(day.customers, day.kept, clock=lambda: day.now_s)
    desk = OfferDesk(day.customers.of, day.book, lambda: day.now_s, showings=showings)

    def ask_all() -> None:
        day.ask()
        day.workers[0].complements(served, [0], "anna", THREE)
        day.workers[0].reorder(served, "anna", THREE)
        desk.body(served, "anna", parse_offers_query(b"placement=home"))
        desk.with_products(served, "anna", Answer([], None, "popular", {}), "home")

    ask_all()
    assert day.kept.asked > 0
    day.kept.asked = 0
    day.now_s += 2 * FRESH_S
    day.customers.take(CustomerNow("anna", 5, False, True, ()))
    before = dict(day.kept.values)
    ask_all()
    assert (day.kept.asked, day.kept.values) == (0, before)


def test_after_an_erasure_nothing_of_before_counts_and_no_name_tells_whose_it_was(
    served: ServedVersion,
) -> None:
    day = Day(served, TWICE)
    day.ask()
    day.ask()
    before = set(day.kept.values)
    day.customers.erase([Tombstone(1, KEY.hash_of("anna"), 7)], KEY.hash_of)
    assert day.ask() == ["milk", "bread", "apple"]
    assert set(day.kept.values) == before
    day.customers.take(CustomerNow("anna", 9, True, True, ()))  # she begins anew
    day.ask()
    assert len(day.kept.values) == 2
    assert not any("anna" in name for name in day.kept.values)


def test_of_many_showings_the_newer_half_is_kept(served: ServedVersion) -> None:
    day = Day(served, '[[rules]]\nid = "a"\nkind = "frequency"\nat_most = 1000\ndays = 30\n')
    for _ in range(400):
        day.ask(query=Query(10, placement="home"))
    (value,) = day.kept.values.values()
    assert MOST_BYTES // 2 - 96 < len(value) <= MOST_BYTES
    assert len(value) % 96 == 0  # of ten products each, none of them cut


def test_an_offer_is_held_back_by_itself_and_beside_its_product(served: ServedVersion) -> None:
    day = Day(served, OFFER_ONCE)
    showings = Showings(day.customers, day.kept, clock=lambda: day.now_s)
    desk = OfferDesk(day.customers.of, day.book, lambda: day.now_s, showings=showings)

    def offers(query: bytes) -> list[str]:
        body = json.loads(desk.body(served, "anna", parse_offers_query(query)))
        return [offer["offer_id"] for offer in body["offers"]]

    assert offers(b"placement=home&n=1") == ["butter off"]
    assert offers(b"placement=home&n=1") == ["bread off"]
    assert offers(b"placement=home") == []
    recommender = Recommender(FirstLevel(10, 0), None, book=day.book)

    def added(placement: str) -> int:
        """How many products of an answer come with an offer, all of which is counted."""
        answer = recommender.recommend(served, "anna", Query(5, placement=placement))
        found = desk.with_products(served, "anna", answer, placement)
        placed = day.book.at(served, placement)
        showings.note(placed, "anna", placement, answer.picks, found.rows)
        return len(found.texts)

    assert [added("home"), added("mail"), added("mail")] == [0, 2, 0]


def test_products_may_be_capped_and_offers_not(served: ServedVersion) -> None:
    day = Day(served, TWICE)
    showings = Showings(day.customers, day.kept, clock=lambda: day.now_s)
    desk = OfferDesk(day.customers.of, day.book, lambda: day.now_s, showings=showings)
    for _ in range(3):
        assert len(json.loads(desk.body(served, "anna", parse_offers_query(b"")))["offers"]) == 2
    assert day.kept.values == {}


@given(
    at_most=st.integers(1, 3),
    days=st.integers(1, 3),
    asked=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(1, 11)), max_size=25),
)
def test_no_product_is_shown_more_often_than_a_rule_allows_and_none_is_missing(
    served: ServedVersion, at_most: int, days: int, asked: list[tuple[int, int, int]]
) -> None:
    rule = f'[[rules]]\nid = "a"\nkind = "frequency"\nat_most = {at_most}\ndays = {days}\n'
    day = Day(served, rule)
    seen: list[tuple[int, str]] = []
    for later, worker, n in asked:
        day.now_s += later * DAY_S
        today = int(day.now_s // DAY_S)
        times = [name for on, name in seen if on > today - days]
        free = {name for name in SHOP.products if name != "cream" and times.count(name) < at_most}
        shown = day.ask(worker, query=Query(n, placement="home"))
        assert set(shown) <= free
        assert len(shown) == len(set(shown)) == min(n, len(free))
        seen += [(today, name) for name in shown]


@pytest.mark.parametrize("customers", [40, 3])
def test_counts_take_no_more_room_however_many_customers_come_however_often(
    served: ServedVersion, monkeypatch: pytest.MonkeyPatch, customers: int
) -> None:
    one = 8 * (2 + 3)  # bytes of an answer of three products
    monkeypatch.setattr("service.answering.showings.MOST_COUNTED_BYTES", 10 * one)
    day = Day(served, TWICE)
    showings = Showings(day.customers, None, clock=lambda: day.now_s)
    rules = day.book.at(served, "home")
    picks = [(row, Rung.OWN, 0, 0.5) for row in range(3)]
    for number in range(200):
        customer_id = str(number % customers)
        enough = showings.products_shown_enough(rules, rules.of_nobody(), customer_id, "home")
        assert enough == (frozenset(range(3)) if number >= 2 * customers else frozenset())
        showings.note(rules, customer_id, "home", picks, [])
        counted = [known for known in showings._known.values() if known.counted]
        sizes = [len(known.value) for known in counted]
        assert sum(sizes) <= 10 * one + 2 * max(sizes, default=0)  # the last two
        times = [n for known in counted for of_it in known.counted.values() for n in of_it.times.values()]
        assert set(times) <= {1}  # as often as allowed needn't be counted any more


def test_counts_end_with_their_version(served: ServedVersion, tmp_path: Path) -> None:
    day = Day(served, TWICE)
    for _ in range(4):
        day.ask()
    showings = day.workers[0]._showings
    assert showings is not None
    (known,) = showings._known.values()
    assert known.counted
    other = tiny_served(tmp_path, SHOP)
    day.workers[0].note_shown(other, "ben", THREE, Answer([(0, Rung.OWN, 0, 0.5)], None, "popular", {}))
    assert not known.counted


def test_a_version_may_warm_up_in_another_thread_while_customers_come_and_go(
    served: ServedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.answering.showings.KEPT_CUSTOMERS", 1)
    customers = LiveCustomers(most=1)
    customers.erase([], KEY.hash_of)
    customers.heard()
    book = RuleBook(parse_rules(f"schema = 1\n{TWICE}"), lambda: NOON)
    rules = book.at(served, "home")
    showings = Showings(customers, None, clock=count(step=10).__next__)

    def use() -> None:
        for number in range(10_000):
            customer_id = ("anna", "ben")[number % 2]
            showings.products_shown_enough(rules, rules.of_nobody(), customer_id, "home")
            showings.note(rules, customer_id, "home", [(0, Rung.OWN, 0, 0.5)], [])

    assert side_by_side(use, use) == []


def test_the_docs_say_for_how_long_showings_are_kept() -> None:
    text = (Path(__file__).parents[2] / "docs/rules.md").read_text()
    assert f"{LIFE_S // DAY_S} days" in text
