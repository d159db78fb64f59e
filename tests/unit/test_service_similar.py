"""`/similar`: what the same customers bought, what is like it, then its category and what is popular."""

import json
from pathlib import Path

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.answering.own_list import Rung
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.web.parameters import Query
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import TinyShop


def plain() -> Recommender:
    return Recommender(FirstLevel(10, 0), None)


def test_similar_products_are_filled_from_the_category_then_from_all(tmp_path: Path) -> None:
    tiny = tiny_served(tmp_path, TinyShop())
    answer = plain().similar(tiny, tiny.products.find("milk"), Query(n=6))
    assert [(tiny.products[row], rung) for row, rung, _, _ in answer.picks] == [
        ("butter", Rung.SIMILAR),  # cream is out of stock
        ("bread", Rung.SIMILAR),
        ("cheese", Rung.CATEGORY),
        ("yoghurt", Rung.CATEGORY),
        ("apple", Rung.POPULAR),
        ("rolls", Rung.POPULAR),
    ]


def test_what_is_like_a_product_stands_between_its_neighbours_and_its_category(tmp_path: Path) -> None:
    shop = TinyShop(alike={"milk": ["cream", "butter", "yoghurt"], "cake": ["rolls"]})
    served = tiny_served(tmp_path, shop)
    row = served.products.find("milk")
    answer = plain().similar(served, row, Query(n=4))
    assert [(served.products[row], rung) for row, rung, _, _ in answer.picks] == [
        ("butter", Rung.SIMILAR),  # cream is out of stock
        ("bread", Rung.SIMILAR),
        ("yoghurt", Rung.ALIKE),
        ("cheese", Rung.CATEGORY),
    ]
    body = json.loads(AnswerWriter(served).similar(row, answer))
    assert body["recommendations"][2]["reason"] == {
        "code": "alike",
        "text": "Similar to Fresh Milk",
        "evidence": {"product_id": "milk"},
    }
    alone = plain().similar(served, served.products.find("cake"), Query(n=1))
    assert [served.products[row] for row, *_ in alone.picks] == ["rolls"]


def test_a_boost_moves_what_is_like_a_product(tmp_path: Path) -> None:
    served = tiny_served(tmp_path, TinyShop(alike={"cake": ["rolls", "pear", "plum"]}))
    rules = """schema = 1
[[rules]]
id = "more-plums"
kind = "boost"
factor = 2.0
products = ["plum"]
"""
    recommender = Recommender(FirstLevel(10, 1), None, book=RuleBook(parse_rules(rules)))
    answer = recommender.similar(served, served.products.find("cake"), Query(n=3))
    # plum's third place is halved: 1, 1.5, 2
    assert [served.products[row] for row, *_ in answer.picks] == ["rolls", "plum", "pear"]
