"""What a stranger gets by the products that they looked at, by hand on the tiny shop."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.strangers import Counts
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.live.told import NOT_PERSONAL, Told, told_of
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query, parse_personal_query
from storage.record.live import Trade
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import TinyShop

ALIKE = {"bread": ["plum", "rolls"], "apple": ["plum"]}
SIMILAR_FIRST = Counts(similar=1, alike=0.5, taste=0, trend=0, popular=0)
SHOP = TinyShop(alike=ALIKE, counts=SIMILAR_FIRST)
MORNING = datetime(2018, 1, 2, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def viewed_shop(tmp_path_factory: pytest.TempPathFactory) -> ServedVersion:
    return tiny_served(tmp_path_factory.mktemp("viewed"), SHOP)


def asked(
    served: ServedVersion,
    query: Query,
    *,
    customer: str = "nobody",
    told: Told | None = None,
    rules: str | None = None,
) -> Any:
    book = RuleBook() if rules is None else RuleBook(parse_rules(rules))
    recommender = Recommender(FirstLevel(10, 0), None, lambda _: told, book=book, clock=MORNING.timestamp)
    answer = recommender.recommend(served, customer, query)
    return json.loads(AnswerWriter(served).recommendations(customer, answer))


def shown(said: Any) -> list[str]:
    return [one["product_id"] for one in said["recommendations"]]


def test_a_stranger_gets_what_goes_with_what_was_looked_at_and_is_told_so(tmp_path: Path) -> None:
    said = asked(tiny_served(tmp_path, SHOP), Query(5, viewed=("bread",)))
    # butter 1/2, cheese 1/3, rolls 1/4 + .5/3, plum .5/2; then the popular
    assert shown(said) == ["butter", "rolls", "cheese", "plum", "milk"]
    assert said["source"] == "viewed"
    similar = {
        "code": "similar",
        "text": 'Bought by customers who bought Bread "Rustic"',
        "evidence": {"product_id": "bread"},
    }
    reasons = [one["reason"] for one in said["recommendations"]]
    assert reasons[:3] == [similar] * 3
    assert reasons[3] == {
        "code": "alike",
        "text": 'Similar to Bread "Rustic"',
        "evidence": {"product_id": "bread"},
    }
    assert reasons[4]["code"] == "popular_in"


def test_each_product_names_what_says_most_for_it(tmp_path: Path) -> None:
    said = asked(tiny_served(tmp_path, SHOP), Query(6, viewed=("apple", "unheard of", "bread", "apple")))
    of = {one["product_id"]: one["reason"] for one in said["recommendations"]}
    assert of["pear"]["evidence"] == of["plum"]["evidence"] == {"product_id": "apple"}
    assert of["plum"]["code"] == "similar"  # though it is like both
    assert of["butter"]["evidence"] == {"product_id": "bread"}
    first = asked(tiny_served(tmp_path / "b", replace(SHOP, similar={})), Query(1, viewed=("apple", "bread")))
    assert first["recommendations"][0]["reason"]["evidence"] == {"product_id": "apple"}  # the latest


def test_without_a_reason_of_its_own_a_product_has_everybody_s(tmp_path: Path) -> None:
    served = tiny_served(tmp_path, replace(SHOP, counts=Counts(0, 0, 0, trend=1, popular=0)))
    said = asked(served, Query(2, viewed=("pear",)))
    assert shown(said) == ["apple", "pear"]  # the trend of its category
    assert {one["reason"]["code"] for one in said["recommendations"]} <= {"popular", "popular_in"}
    assert said["source"] == "viewed"


def test_nothing_changes_where_nothing_is_known_of_what_was_looked_at(tmp_path: Path) -> None:
    served = tiny_served(tmp_path, replace(SHOP, counts=SIMILAR_FIRST._replace(popular=0.25)))
    said = asked(served, Query(3, viewed=("unheard of", "bag")))
    assert shown(said) == shown(asked(served, Query(3))) == ["milk", "bread", "apple"]
    assert said["source"] == "popular"


def test_whose_purchases_are_known_or_who_forbids_it_gets_what_they_get_without(tmp_path: Path) -> None:
    served = tiny_served(tmp_path, SHOP)
    bought = told_of(1, [Trade("apple", False, int(MORNING.timestamp() * 1000), "o1", 1.0)])
    for customer, told in (("anna", None), ("nobody", bought), ("nobody", NOT_PERSONAL)):
        plain = asked(served, Query(4), customer=customer, told=told)
        viewed = asked(served, Query(4, viewed=("bread",)), customer=customer, told=told)
        assert viewed["source"] == plain["source"] != "viewed"
        assert viewed["recommendations"] == plain["recommendations"]


def test_what_is_kept_of_a_customer_s_answer_is_the_same_whatever_they_looked_at(
    viewed_shop: ServedVersion,
) -> None:
    recommender = Recommender(FirstLevel(10, 60), None)
    first = recommender.recommend(viewed_shop, "anna", Query(3)).kept
    assert first is not None
    assert recommender.recommend(viewed_shop, "anna", Query(3, viewed=("bread",))).kept is first


def test_rules_hold(tmp_path: Path) -> None:
    rules = """schema = 1
[[rules]]
id = "more-plums"
kind = "boost"
factor = 3.0
products = ["plum"]
[[rules]]
id = "no-rolls"
kind = "block"
products = ["rolls"]
[[rules]]
id = "milk-second"
kind = "pin"
position = 2
products = ["milk"]
"""
    said = asked(tiny_served(tmp_path, SHOP), Query(3, viewed=("bread",)), rules=rules)
    assert shown(said) == ["plum", "milk", "butter"]  # plum 3 x .5/2, butter 1/2
    assert said["recommendations"][1]["reason"]["code"] == "chosen_by_shop"


@given(
    viewed=st.lists(st.sampled_from([*SHOP.products, "unheard of"]), max_size=5),
    exclude=st.lists(st.sampled_from([*SHOP.products]), max_size=3),
    n=st.integers(1, 12),
    category=st.sampled_from([None, "dairy", "bakery", "fruit"]),
)
def test_n_asked_n_given_none_twice_none_excluded(
    viewed_shop: ServedVersion, viewed: list[str], exclude: list[str], n: int, category: str | None
) -> None:
    names = shown(asked(viewed_shop, Query(n, category, tuple(exclude), viewed=tuple(viewed))))
    may = {one for one, its in SHOP.products.items() if category in (None, its)} - {"cream", *exclude}
    assert len(names) == len(set(names)) == min(n, len(may))
    assert set(names) <= may


def test_ids_are_joined_by_commas_the_latest_first() -> None:
    assert parse_personal_query(b"viewed=a,b%20c&n=2") == Query(2, viewed=("a", "b c"))
    assert parse_personal_query(b"viewed=") == Query()
