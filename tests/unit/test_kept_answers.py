"""What was made of a list is kept with it, and whatever changes is in the very next answer all the same."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.answering.showings import Showings
from service.live.customers import LiveCustomers
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.web.parameters import Query
from storage.record.changes import ProductState, Tombstone
from storage.record.live import CustomerNow, Trade
from tests.data.records import KEY
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import TinyOffer, TinyShop

NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
OFFERS = (
    TinyOffer("bread off", ["bread"], {"anna": (0.5, 0.1)}, ends=NOON + timedelta(seconds=1)),
    TinyOffer("butter off", ["butter"], {"anna": (0.2, 0.1)}),
)
PLAIN = "schema = 1\n"
PIN = '[[rules]]\nid = "pin"\nkind = "pin"\nproducts = ["plum"]\nposition = 1\n'
TWICE = '[[rules]]\nid = "twice"\nkind = "frequency"\nproducts = ["milk"]\nat_most = 2\ndays = 3\n'


class Worker:
    """One worker, asked 50 times a second of the clock."""

    def __init__(self, folder: Path, rules: str = PLAIN) -> None:
        self.served = tiny_served(folder, TinyShop(offers=OFFERS))
        self.now_s = NOON.timestamp()
        self.customers = LiveCustomers(most=10, clock=self.clock)
        self.customers.erase([], KEY.hash_of)
        self.customers.heard()
        self.book = RuleBook(parse_rules(rules), self.clock)
        showings = Showings(self.customers, None, clock=self.clock)
        self.offers = OfferDesk(self.customers.of, self.book, self.clock, showings=showings)
        self.recommender = Recommender(
            FirstLevel(10, 1.0, self.clock), None, self.customers.of, book=self.book, showings=showings
        )
        self.writer = AnswerWriter(self.served)
        self.query = Query(3)

    def clock(self) -> float:
        return self.now_s

    def ask(self, language: str = "en") -> Any:
        self.now_s += 0.02
        answer = self.recommender.recommend(self.served, "anna", self.query)
        offers = self.offers.with_products(self.served, "anna", answer)
        self.recommender.note_shown(self.served, "anna", self.query, answer, offers.rows)
        text = self.writer.recommendations("anna", answer, offers=offers.texts, language=language)
        return json.loads(text)["recommendations"]

    def shown(self) -> list[str]:
        return [product["product_id"] for product in self.ask()]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    yield Worker(tmp_path)


def test_an_answer_is_made_once_while_nothing_changes(worker: Worker) -> None:
    assert worker.ask() == worker.ask()
    answers = [worker.recommender.recommend(worker.served, "anna", worker.query) for _ in range(2)]
    assert answers[0].kept is answers[1].kept is not None
    assert answers[0].kept.written is not None


def erased(worker: Worker) -> None:
    worker.customers.erase([Tombstone(1, KEY.hash_of("anna"), 5)], KEY.hash_of)


def says_no(worker: Worker) -> None:
    worker.customers.take(CustomerNow("anna", 5, False, None, ()))


def buys_apples(worker: Worker) -> None:
    trade = Trade("apple", False, int(worker.now_s * 1000), "o", 1.0)
    worker.customers.take(CustomerNow("anna", 5, None, None, (trade,)))


def sells_out(worker: Worker) -> None:
    worker.served.shelf.apply(ProductState("milk", 0, None, None))


def pins(worker: Worker) -> None:
    worker.book.take(parse_rules(PLAIN + PIN))


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (sells_out, ["bread", "butter", "apple"]),
        (pins, ["plum", "milk", "bread"]),
        (says_no, ["milk", "bread", "apple"]),
        (erased, ["milk", "bread", "apple"]),
    ],
)
def test_a_change_is_in_the_next_answer(
    worker: Worker, changes: Callable[[Worker], None], shown: list[str]
) -> None:
    assert [worker.shown() for _ in range(9)] == [["milk", "bread", "butter"]] * 9
    changes(worker)
    assert worker.shown() == shown


def test_a_purchase_is_in_the_next_answer(worker: Worker) -> None:
    worker.query = Query(12)
    before = [worker.shown() for _ in range(9)][-1]
    buys_apples(worker)
    assert worker.shown() != before


def test_after_no_personal_answers_no_reason_names_a_purchase(worker: Worker) -> None:
    assert worker.ask()[0]["reason"]["code"] == "due_again"
    says_no(worker)
    assert {one["reason"]["code"] for one in worker.ask()} == {"popular_in", "popular"}


def test_a_new_price_and_another_language_are_in_the_next_answer(worker: Worker) -> None:
    assert worker.ask()[0]["price"] == 1.19
    worker.served.shelf.apply(ProductState("milk", None, 0.99, None))
    assert worker.ask()[0]["price"] == 0.99
    english, italian = worker.ask()[0]["reason"]["text"], worker.ask("it")[0]["reason"]["text"]
    assert (english == italian, worker.ask()[0]["reason"]["text"]) == (False, english)


def test_an_offer_ends_when_it_ends(worker: Worker) -> None:
    def on() -> list[str]:
        return [one["product_id"] for one in worker.ask() if one["offer"]]

    assert [on() for _ in range(3)] == [["bread", "butter"]] * 3
    worker.now_s = NOON.timestamp() + 0.98
    assert on() == ["butter"]


def test_what_was_shown_often_enough_is_held_back_at_once(tmp_path: Path) -> None:
    worker = Worker(tmp_path, PLAIN + TWICE)
    assert [worker.shown()[0] for _ in range(4)] == ["milk", "milk", "bread", "bread"]


def test_no_more_answers_to_one_customer_are_kept_than_were_set(worker: Worker) -> None:
    for n in range(1, 30):
        worker.query = Query(n)
        worker.ask()
    answer = worker.recommender.recommend(worker.served, "anna", worker.query)
    assert answer.own is not None
    assert 0 < len(answer.own.answers) <= 8


def test_an_answer_is_kept_no_longer_than_it_can_be_given_again(tmp_path: Path) -> None:
    worker = Worker(tmp_path, PLAIN + TWICE.replace('products = ["milk"]\n', ""))
    for _ in range(4):
        worker.ask()
    answer = worker.recommender.recommend(worker.served, "anna", worker.query)
    assert answer.own is not None
    assert list(answer.own.answers) == [worker.query]
