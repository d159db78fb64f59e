"""What an answer is for, worked out by hand on the tiny shop, and what holds whatever it is for."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.live.products import LiveProducts
from service.live.told import Told, told_of
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import OBJECTIVES, Query
from storage.record.changes import ProductState
from storage.record.live import Trade
from tests.data.tiny_service import DictCache, tiny_served
from tests.data.tiny_version import Bought, TinyShop

PROBABILITY = {
    ("anna", "milk"): 0.5,
    ("anna", "bread"): 0.25,
    ("anna", "butter"): 0.125,
    ("anna", "apple"): 0.0625,
}
SHOP = TinyShop(
    probability=PROBABILITY,
    prices={"milk": 1.0, "bread": 2.0, "butter": 20.0},
    margins={"bread": 1.0},
    history={
        **TinyShop().history,
        "anna": [
            Bought("milk", times=5, interval_days=6.1, due=date(2018, 1, 3)),
            Bought("rolls", times=2, interval_days=3.0, due=date(2018, 1, 1)),
            Bought("bread", date(2017, 12, 20)),
        ],
    },
    candidates={
        **TinyShop().candidates,
        "anna": [("milk", "milk"), ("bread", "bread"), ("butter", "milk"), ("apple", "")],
    },
)
NOW = datetime(2018, 1, 3, 12, tzinfo=UTC)
PRODUCTS = list(SHOP.products)


@pytest.fixture(scope="module")
def tiny() -> Iterator[ServedVersion]:
    with tempfile.TemporaryDirectory() as root:
        yield tiny_served(Path(root), SHOP)


def recommender(told: Told | None = None, cache: DictCache | None = None) -> Recommender:
    book = RuleBook(clock=NOW.timestamp)
    return Recommender(FirstLevel(10, 1), cache, lambda _: told, book=book, clock=NOW.timestamp)


def answer(served: ServedVersion, query: Query, customer: str = "anna", told: Told | None = None) -> Any:
    found = recommender(told).recommend(served, customer, query)
    return json.loads(AnswerWriter(served).recommendations(customer, found))["recommendations"]


def names(items: list[Any]) -> list[str]:
    return [item["product_id"] for item in items]


def test_value_is_probability_times_margin_or_a_share_of_the_price(tiny: ServedVersion) -> None:
    items = answer(tiny, Query(n=4, objective="value"))
    # butter .125 x 20 x .25 = .625, bread .25 x 1, milk .5 x 1 x .25 = .125; of apple there is no price
    assert names(items) == ["butter", "bread", "milk", "apple"]
    assert [item["expected_value"] for item in items] == [0.625, 0.25, 0.125, None]
    assert [item["probability"] for item in items] == [0.125, 0.25, 0.5, 0.0625]


def test_a_margin_that_is_told_counts_in_the_next_answer(tmp_path: Path) -> None:
    live = LiveProducts()
    served = tiny_served(tmp_path, SHOP)
    live.carry_to(served.shelf)
    writer, asked = AnswerWriter(served), recommender()

    def values() -> dict[str, float]:
        found = json.loads(writer.recommendations("anna", asked.recommend(served, "anna", Query(n=4))))
        return {item["product_id"]: item["expected_value"] for item in found["recommendations"]}

    assert values() == {"milk": 0.125, "bread": 0.25, "butter": 0.625, "apple": None}
    live.apply(ProductState("milk", None, None, 4.0), 1)
    assert values()["milk"] == 2.0


def test_a_margin_that_is_told_counts_in_the_order_by_value_of_the_next_answer(tmp_path: Path) -> None:
    live, query = LiveProducts(), Query(n=3, objective="value")
    served = tiny_served(tmp_path, SHOP)
    live.carry_to(served.shelf)
    asked = recommender()

    def order() -> list[str]:
        return [served.products[row] for row, *_ in asked.recommend(served, "anna", query).picks]

    assert order() == ["butter", "bread", "milk"]
    live.apply(ProductState("butter", None, None, -1.0), 1)
    assert order() == ["bread", "milk", "butter"]  # of apple there is no price, so it stands behind a loss
    live.apply(ProductState("milk", None, 40.0, None), 2)
    assert order() == ["milk", "bread", "butter"]


@pytest.mark.parametrize(
    ("kind", "order"), [("boost", ["butter", "bread", "milk"]), ("bury", ["butter", "milk", "bread"])]
)
def test_a_boost_raises_and_a_bury_lowers_what_loses_money_too(
    tmp_path: Path, kind: str, order: list[str]
) -> None:
    """Bread loses .25 x .8 = .2, milk .5 x .3 = .15: bread loses .1 when boosted by 2, .4 when buried."""
    shop = replace(SHOP, margins={**SHOP.margins, "bread": -0.8, "milk": -0.3})
    served = tiny_served(tmp_path, shop)
    rule = f'schema = 1\n[[rules]]\nid = "a"\nkind = "{kind}"\nproducts = ["bread"]\nfactor = 2\n'
    book = RuleBook(parse_rules(rule), NOW.timestamp)
    asked = Recommender(FirstLevel(10, 1), None, book=book, clock=NOW.timestamp)
    picks = asked.recommend(served, "anna", Query(n=3, objective="value")).picks
    assert [served.products[row] for row, *_ in picks] == order


def test_discovery_has_nothing_that_was_ever_bought(tiny: ServedVersion) -> None:
    found = names(answer(tiny, Query(n=12, objective="discovery")))
    assert found[:2] == ["butter", "apple"]
    assert not {"milk", "bread", "rolls"} & set(found)
    assert len(found) == len(PRODUCTS) - 4  # those three, and cream is out of stock


def test_a_pin_brings_nothing_into_a_discovery_that_was_bought_before(tiny: ServedVersion) -> None:
    pin = 'schema = 1\n[[rules]]\nid = "a"\nkind = "pin"\nproducts = ["milk", "apple"]\nposition = 1\n'
    book = RuleBook(parse_rules(pin), NOW.timestamp)
    asked = Recommender(FirstLevel(10, 1), None, book=book, clock=NOW.timestamp)
    picks = asked.recommend(tiny, "anna", Query(n=2, objective="discovery")).picks
    assert [tiny.products[row] for row, *_ in picks] == ["apple", "butter"]


def test_reorder_has_what_is_due_then_what_was_bought_then_the_list(tiny: ServedVersion) -> None:
    items = answer(tiny, Query(n=5, objective="reorder"))
    # due: milk stands in the list, rolls don't; bread was bought, but nobody knows when it is due
    assert names(items) == ["milk", "rolls", "bread", "butter", "apple"]
    assert [item["reason"].get("due_on") for item in items[:3]] == ["2018-01-03", "2018-01-01", None]


def test_of_what_is_due_and_not_in_the_list_the_latest_comes_first(tmp_path: Path) -> None:
    long_ago = [Bought("cake", due=date(2015, 1, 1)), Bought("plum", due=date(2018, 1, 2))]
    shop = replace(SHOP, history={**SHOP.history, "anna": [*SHOP.history["anna"], *long_ago]})
    served = tiny_served(tmp_path, shop)
    found = names(answer(served, Query(n=5, objective="reorder")))
    assert found == ["milk", "plum", "rolls", "cake", "bread"]


def test_what_a_rule_buries_comes_later_among_what_is_due(tmp_path: Path) -> None:
    shop = replace(SHOP, candidates={**SHOP.candidates, "anna": [("milk", "milk"), ("rolls", "rolls")]})
    served = tiny_served(tmp_path, shop)
    buried = 'schema = 1\n[[rules]]\nid = "a"\nkind = "bury"\nproducts = ["milk"]\nfactor = 10\n'
    book = RuleBook(parse_rules(buried), NOW.timestamp)
    asked = Recommender(FirstLevel(10, 1), None, book=book, clock=NOW.timestamp)
    picks = asked.recommend(served, "anna", Query(n=2, objective="reorder")).picks
    assert [served.products[row] for row, *_ in picks] == ["rolls", "milk"]


def test_what_was_bought_just_now_is_not_due_and_never_a_discovery(tiny: ServedVersion) -> None:
    told = told_of(1, [Trade("milk", False, int(NOW.timestamp() * 1000), "o", 1.0)])
    assert names(answer(tiny, Query(n=3, objective="reorder"), told=told)) == ["rolls", "milk", "bread"]
    assert "milk" not in names(answer(tiny, Query(n=12, objective="discovery"), told=told))


def test_lists_of_one_objective_are_not_answers_of_another(tiny: ServedVersion) -> None:
    asked = recommender(None, DictCache())
    first = {name: asked.recommend(tiny, "anna", Query(n=3, objective=name)).picks for name in OBJECTIVES}
    again = {name: asked.recommend(tiny, "anna", Query(n=3, objective=name)) for name in OBJECTIVES}
    assert {name: found.picks for name, found in again.items()} == first
    assert {found.level for found in again.values()} == {"worker"}
    assert len({str(picks) for picks in first.values()}) == len(OBJECTIVES)


@given(
    objective=st.sampled_from(OBJECTIVES),
    customer=st.sampled_from(["anna", "ben", "nobody"]),
    bought=st.lists(st.sampled_from(PRODUCTS), max_size=5, unique=True),
    n=st.integers(1, 12),
)
@settings(max_examples=150, deadline=None)
def test_as_many_as_there_are_and_none_twice_whatever_it_is_for(
    tiny: ServedVersion, objective: str, customer: str, bought: list[str], n: int
) -> None:
    trade = [Trade(product, False, int(NOW.timestamp() * 1000), "o", 1.0) for product in bought]
    told = told_of(1, trade) if bought else None
    found = names(answer(tiny, Query(n=n, objective=objective), customer, told))
    owned = {line.product for line in SHOP.history.get(customer, ())} | set(bought)
    may_come = set(PRODUCTS) - {"cream"} - (owned if objective == "discovery" else set())
    assert len(found) == len(set(found)) == min(n, len(may_come))
    assert set(found) <= may_come
