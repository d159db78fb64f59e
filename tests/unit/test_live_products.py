"""Stock, price and margin change in place, for the version that answers and for the next one."""

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.live.changes import ChangesFollower
from service.live.products import LiveProducts
from service.recommender import Recommender
from service.routes.products import ProductDesk
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.changes import ProductState
from storage.record.tables import products_live, record_clock
from storage.versions.store import Store
from tests.data.records import Door, empty_record, sqlite_url
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import VARIANT, TinyShop

SHOP = replace(TinyShop(), stock={"milk": 5}, margins={"milk": 0.5})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedVersion]:
    yield tiny_served(tmp_path, SHOP)


def test_what_is_told_of_a_product_counts_and_none_goes_back_to_the_night(served: ServedVersion) -> None:
    live, shelf, milk = LiveProducts(), served.shelf, served.products.find("milk")
    live.carry_to(shelf)
    live.apply(ProductState("milk", 0, 0.99, -0.1), 1)
    assert (shelf.stock[milk], shelf.in_stock[milk]) == (0, False)
    assert (shelf.price[milk], shelf.margin[milk]) == (np.float32(0.99), np.float32(-0.1))
    live.apply(ProductState("milk", 7, None, None), 1)
    assert (shelf.stock[milk], shelf.in_stock[milk]) == (7, True)
    assert (shelf.price[milk], shelf.margin[milk]) == (np.float32(1.19), np.float32(0.5))
    live.apply(ProductState("milk", None, None, None), 1)
    assert shelf.stock[milk] == 5


def test_an_oversold_product_is_out_of_stock_and_an_unknown_one_is_nobodys(served: ServedVersion) -> None:
    live = LiveProducts()
    live.carry_to(served.shelf)
    live.apply(ProductState("milk", -3, None, None), 1)
    live.apply(ProductState("unheard of", 1, 2.0, None), 1)
    assert served.shelf.stock[served.products.find("milk")] == 0
    assert not served.shelf.in_stock[served.products.find("milk")]


def test_what_was_told_before_a_version_came_is_carried_to_it(served: ServedVersion, tmp_path: Path) -> None:
    live = LiveProducts()
    live.apply(ProductState("milk", 0, None, None), 1)
    live.apply(ProductState("bread", 0, None, None), 1)
    live.apply(ProductState("bread", None, None, None), 1)
    live.carry_to(served.shelf)
    assert not served.shelf.in_stock[served.products.find("milk")]
    assert served.shelf.in_stock[served.products.find("bread")]
    other = ServedVersion(Store(tmp_path).open(served.version_id), VARIANT)
    live.carry_to(other.shelf)
    live.apply(ProductState("apple", 0, None, None), 1)
    for version in (served, other):
        assert not version.shelf.in_stock[version.products.find("apple")]


def test_a_change_that_comes_after_a_later_one_of_its_product_is_passed_over(served: ServedVersion) -> None:
    live, milk = LiveProducts(), served.products.find("milk")
    live.carry_to(served.shelf)
    live.apply(ProductState("milk", 3, None, None), 8)  # of another worker, as the follower read it
    live.apply(ProductState("milk", 9, None, None), 7)  # of this worker, committed before that
    live.apply(ProductState("bread", 2, None, None), 6)
    assert served.shelf.stock[milk] == 3
    assert served.shelf.stock[served.products.find("bread")] == 2
    live.apply(ProductState("milk", None, None, None), 9)
    live.apply(ProductState("milk", 3, None, None), 8)
    assert served.shelf.stock[milk] == 5


def test_what_is_told_counts_although_the_record_lost_its_last_changes(
    served: ServedVersion, tmp_path: Path
) -> None:
    live, milk = LiveProducts(), served.products.find("milk")
    live.carry_to(served.shelf)
    with empty_record(sqlite_url(tmp_path)) as record:
        desk, follower = ProductDesk(Door(record), live, lambda _: True), ChangesFollower(Door(record), live)
        for stock in (3, 4, 5):
            desk.put(ProductState("milk", stock, None, None))
        follower.look()
        with record.writing() as connection:  # as a replica that took over and knows the first of them
            connection.execute(sa.update(products_live).values(stock=3, changed=1))
            connection.execute(sa.update(record_clock).values(now=1))
        desk.put(ProductState("milk", 9, None, None))  # again the second change of this record
        follower.look()
    assert served.shelf.stock[milk] == 9


def test_a_version_that_was_left_is_not_held(served: ServedVersion, tmp_path: Path) -> None:
    live = LiveProducts()
    live.carry_to(ServedVersion(Store(tmp_path).open(served.version_id), VARIANT).shelf)
    gc.collect()
    assert len(live._shelves) == 0


def test_a_stock_flip_shows_in_the_next_answer_of_a_list_that_a_worker_keeps(served: ServedVersion) -> None:
    live, book = LiveProducts(), RuleBook()
    live.carry_to(served.shelf)
    recommender = Recommender(FirstLevel(10, 1), None, book=book)

    def shown(n: int = 3) -> list[str]:
        picks = recommender.recommend(served, "anna", Query(n)).picks
        return [served.products[row] for row, *_ in picks]

    for rules in ("", '[[rules]]\nid = "a"\nkind = "block"\nproducts = ["plum"]\n'):
        book.take(parse_rules(f"schema = 1\n{rules}"))
        assert shown() == ["milk", "bread", "butter"]
        live.apply(ProductState("milk", 0, None, None), 1)
        live.apply(ProductState("cream", 4, None, None), 1)  # which the night had out of stock
        assert shown() == ["cream", "bread", "butter"]
        live.apply(ProductState("milk", 1, None, None), 1)
        live.apply(ProductState("cream", None, None, None), 1)
        assert shown() == ["milk", "bread", "butter"]
    assert "cream" not in shown(100)
    live.apply(ProductState("cream", 4, None, None), 1)
    assert "cream" in shown(100)


def test_rules_on_stock_price_and_margin_look_at_what_is_true_now(served: ServedVersion) -> None:
    live = LiveProducts()
    live.carry_to(served.shelf)
    rules = (
        '[[rules]]\nid = "a"\nkind = "min_stock"\nstock = 3\nproducts = ["milk"]\n'
        '[[rules]]\nid = "b"\nkind = "price"\nat_most = 3\nproducts = ["bread"]\n'
        '[[rules]]\nid = "c"\nkind = "eligible"\nproducts = ["milk"]\n'
        'require = [["product.margin", ">", 0]]\n'
    )
    recommender = Recommender(FirstLevel(10, 1), None, book=RuleBook(parse_rules(f"schema = 1\n{rules}")))

    def first() -> list[str]:
        picks = recommender.recommend(served, "anna", Query(2)).picks
        return [served.products[row] for row, *_ in picks]

    assert first() == ["milk", "bread"]
    live.apply(ProductState("milk", 2, None, None), 1)
    assert first() == ["bread", "butter"]
    live.apply(ProductState("milk", 3, None, 0.0), 1)
    assert first() == ["bread", "butter"]
    live.apply(ProductState("milk", 3, None, 0.1), 1)
    live.apply(ProductState("bread", None, 3.01, None), 1)
    assert first() == ["milk", "butter"]


def test_an_answer_tells_the_price_of_now(served: ServedVersion) -> None:
    live, writer = LiveProducts(), AnswerWriter(served)
    live.carry_to(served.shelf)
    recommender = Recommender(FirstLevel(10, 1), None)

    def prices(customer: str) -> dict[str, float | None]:
        body = writer.recommendations(customer, recommender.recommend(served, customer, Query(2)))
        return {item["product_id"]: item["price"] for item in json.loads(body)["recommendations"]}

    assert prices("anna") == prices("nobody") == {"milk": 1.19, "bread": 2.99}
    live.apply(ProductState("milk", None, 1.09, None), 1)
    assert prices("nobody") == {"milk": 1.09, "bread": 2.99}
    assert prices("anna") == {"milk": 1.09, "bread": 2.99}
    live.apply(ProductState("bread", None, 2.0, None), 1)
    assert prices("anna") == {"milk": 1.09, "bread": 2.0}
    popular = json.loads(writer.popular(recommender.popular(served, Query(1))))
    assert popular["recommendations"][0]["price"] == 1.09
