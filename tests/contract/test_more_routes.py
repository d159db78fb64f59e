"""GET /reorder, POST /basket, POST /recommend: answers worked out by hand on the tiny shop, and refusals."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from models.arrays import NONE
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.live.told import NOT_PERSONAL, Told, told_of
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from service.web.questions import PRODUCTS_MAX
from storage.record.live import Trade
from storage.versions.store import Store
from tests.data.tiny_service import get, tiny_app, tiny_served
from tests.data.tiny_version import Bought, TinyShop, publish

SHOP = TinyShop(
    history={
        **TinyShop().history,
        "anna": [
            Bought("milk", times=5, interval_days=6.1, due=date(2018, 1, 3)),
            Bought("rolls", times=2, interval_days=3.0, due=date(2018, 1, 1)),
            Bought("cheese", due=date(2018, 1, 9)),
            Bought("bread", date(2017, 12, 20)),
        ],
    },
    probability={("anna", "milk"): 0.5, ("anna", "butter"): 0.125},
)
NOON = datetime(2018, 1, 3, 12, tzinfo=UTC)
PRODUCTS = list(SHOP.products)
CATALOGUE = set(PRODUCTS) - {"cream"}  # that is out of stock


@pytest.fixture(scope="module")
def tiny() -> Iterator[ServedVersion]:
    with tempfile.TemporaryDirectory() as root:
        yield tiny_served(Path(root), SHOP)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    root = tmp_path_factory.mktemp("store")
    publish(Store(root), SHOP)
    return tiny_app(root)


def asked(told: Told | None = None, rules: str = "") -> Recommender:
    book = RuleBook(parse_rules(f"schema = 1\n{rules}"), NOON.timestamp)
    return Recommender(FirstLevel(10, 1), None, lambda _: told, book=book, clock=NOON.timestamp)


def bought_now(*products: str) -> Told:
    trade = [Trade(product, False, int(NOON.timestamp() * 1000), "o", 1.0) for product in products]
    return told_of(1, trade)


def due(
    served: ServedVersion, query: Query, told: Told | None = None, rules: str = "", who: str = "anna"
) -> Any:
    return json.loads(AnswerWriter(served).reorder(who, asked(told, rules).reorder(served, who, query)))


def names(body: Any) -> list[str]:
    return [item["product_id"] for item in body["recommendations"]]


def test_what_is_due_comes_with_date_probability_and_reason(tiny: ServedVersion) -> None:
    body = due(tiny, Query())
    assert (body["customer_id"], body["source"], names(body)) == ("anna", "personal", ["milk", "rolls"])
    milk, rolls = body["recommendations"]
    assert (milk["probability"], milk["reason"]["code"], milk["reason"]["due_on"]) == (
        0.5,
        "due_again",
        "2018-01-03",
    )
    assert (rolls["probability"], rolls["reason"]["due_on"]) == (None, "2018-01-01")


def test_what_is_due_within_some_days_comes_behind_what_is_due(tiny: ServedVersion) -> None:
    assert names(due(tiny, Query(within_days=5))) == ["milk", "rolls"]
    assert names(due(tiny, Query(within_days=6))) == ["milk", "rolls", "cheese"]
    assert names(due(tiny, Query(n=1, within_days=6))) == ["milk"]


def test_what_was_bought_a_moment_ago_is_due_only_after_its_interval(tiny: ServedVersion) -> None:
    assert names(due(tiny, Query(), bought_now("milk"))) == ["rolls"]
    later = due(tiny, Query(within_days=6), bought_now("milk"))
    assert (later["source"], names(later)) == ("session", ["rolls", "cheese", "milk"])
    assert later["recommendations"][2]["reason"]["due_on"] == "2018-01-09"


def test_rules_stock_category_and_exclusions_hold_for_what_is_due(tiny: ServedVersion) -> None:
    block = '[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\n'
    pin = '[[rules]]\nid = "b"\nkind = "pin"\nproducts = ["bag"]\nposition = 1\n'
    assert names(due(tiny, Query(), rules=block)) == ["rolls"]
    assert names(due(tiny, Query(), rules=pin)) == ["milk", "rolls"]  # nobody is due for a bag
    assert names(due(tiny, Query(category="dairy"))) == ["milk"]
    assert names(due(tiny, Query(exclude=("milk",)))) == ["rolls"]


def test_who_is_unknown_and_who_wants_no_personal_answers_get_the_same_empty_list(
    tiny: ServedVersion,
) -> None:
    refused, stranger = due(tiny, Query(), NOT_PERSONAL), due(tiny, Query(), who="nobody")
    assert refused["recommendations"] == stranger["recommendations"] == []
    assert refused["source"] == stranger["source"] == "unknown"
    assert due(tiny, Query(), who="new")["source"] == "personal"  # known, and nothing bought


def test_reorder_is_a_route_with_its_own_parameter(app: Flask) -> None:
    assert names(get(app, "/reorder/anna?within=366")) == ["milk", "cheese", "rolls"]  # long ago
    assert get(app, "/reorder/nobody")["source"] == "unknown"
    client = app.test_client()
    for query, field in (("within=-1", "within"), ("within=367", "within"), ("objective=value", "objective")):
        answer = client.get(f"/reorder/anna?{query}")
        assert (answer.status_code, answer.get_json()["field"]) == (400, field)


def basket(app: Flask, **body: object) -> Any:
    answer = app.test_client().post("/basket", json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_what_goes_with_a_cart_is_the_sum_over_its_products_and_names_the_one_that_says_most(
    app: Flask,
) -> None:
    body = basket(app, product_ids=["milk", "bread"], n=4)
    # butter .5 + .4, cheese .35, rolls .2; milk's cream is out of stock; then the most popular: apple
    assert (body["source"], names(body)) == ("basket", ["butter", "cheese", "rolls", "apple"])
    assert [item["reason"]["code"] for item in body["recommendations"]] == ["bought_with"] * 3 + ["popular"]
    assert body["recommendations"][0]["reason"] == {
        "code": "bought_with",
        "text": "Bought by customers who bought Fresh Milk",
        "evidence": {"product_id": "milk"},
    }
    assert body["recommendations"][1]["reason"]["evidence"] == {"product_id": "bread"}
    assert body["recommendations"][0]["probability"] is None


def test_of_a_customer_what_the_own_list_has_too_comes_sooner(app: Flask) -> None:
    plain = basket(app, product_ids=["apple", "bread"], n=3)
    own = basket(app, product_ids=["apple", "bread"], n=3, customer_id="anna")
    assert names(plain) == ["pear", "butter", "cheese"]
    assert names(own) == ["butter", "pear", "cheese"]  # anna's list has butter
    assert (own["source"], own["recommendations"][0]["probability"]) == ("personal", 0.125)


def test_a_customer_who_wants_no_personal_answers_gets_what_the_cart_alone_says(tiny: ServedVersion) -> None:
    cart = [tiny.products.find(name) for name in ("apple", "bread")]
    query = Query(n=6, exclude=("apple", "bread"))
    nobody = asked().complements(tiny, cart, None, query)
    refused = asked(NOT_PERSONAL).complements(tiny, cart, "anna", query)
    assert refused == nobody
    assert asked().complements(tiny, cart, "anna", query) != nobody


def test_a_cart_of_unknown_products_gets_what_is_popular_without_them(app: Flask) -> None:
    body = basket(app, product_ids=["nothing we know"], n=2)
    assert (body["source"], names(body)) == ("popular", ["milk", "bread"])


@given(
    cart=st.lists(st.sampled_from([*PRODUCTS, "unknown"]), min_size=1, max_size=6),
    customer=st.sampled_from([None, "anna", "ben", "nobody"]),
    session=st.lists(st.sampled_from(PRODUCTS), max_size=3, unique=True),
    n=st.integers(1, 12),
)
@settings(max_examples=150, deadline=None)
def test_never_what_is_in_the_cart_none_twice_and_as_many_as_there_are(
    tiny: ServedVersion, cart: list[str], customer: str | None, session: list[str], n: int
) -> None:
    rows = [row for name in dict.fromkeys(cart) if (row := tiny.products.find(name)) != NONE]
    told = bought_now(*session) if session else None
    answer = asked(told).complements(tiny, rows, customer, Query(n=n, exclude=tuple(cart)))
    found = [tiny.products[row] for row, *_ in answer.picks]
    may_come = CATALOGUE - set(cart)
    held = set(session) if customer else set()  # bought just now: in a cart's answer they aren't missed
    assert len(found) == len(set(found))
    assert set(found) <= may_come
    assert len(found) >= min(n, len(may_come - held))


def many(app: Flask, ids: object, **more: object) -> TestResponse:
    return app.test_client().post("/recommend", json={"customer_ids": ids, **more})


def test_a_batch_has_the_same_answers_as_one_by_one(app: Flask) -> None:
    ids = ["anna", "nobody", "käthe/1", "anna"]
    body = many(app, ids, n=3, objective="value", exclude=["milk"]).get_json()
    single = [get(app, f"/recommend/{one}?n=3&objective=value&exclude=milk") for one in ids]
    assert (body["received"], body["failed"]) == (4, 0)
    for answer in (*body["answers"], *single):
        assert answer.pop("request_id")
    assert body["answers"] == single


def test_of_too_many_products_together_it_is_told_how_many_each_may_have(app: Flask) -> None:
    answer = app.test_client().post("/recommend", json={"customer_ids": ["a"] * 1000, "n": 21}).get_json()
    assert answer["detail"] == "n: with so many customers at most 20"


def test_an_id_that_cannot_be_one_fails_apart_from_the_others(app: Flask) -> None:
    body = many(app, ["anna", 7, "", "x" * 257, None, "\ud800", "a\0", "ben"]).get_json()
    assert (body["received"], body["failed"]) == (8, 6)
    good, bad = [body["answers"][n] for n in (0, 7)], body["answers"][1:7]
    assert [answer["customer_id"] for answer in good] == ["anna", "ben"]
    assert {answer["problem"]["type"] for answer in bad} == {"urn:nextbest:problem:bad_id"}
    assert {answer["problem"]["field"] for answer in bad} == {"customer_id"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/recommend", {"customer_ids": []}, "customer_ids"),
        ("/recommend", {"customer_ids": ["a"] * 1001}, "customer_ids"),
        ("/recommend", {"customer_ids": "anna"}, "customer_ids"),
        ("/recommend", {"customer_ids": ["a"] * 1000, "n": PRODUCTS_MAX // 1000 + 1}, "n"),
        ("/recommend", {"customer_ids": ["a"], "n": 101}, "n"),
        ("/recommend", {"customer_ids": ["a"], "n": True}, "n"),
        ("/recommend", {"customer_ids": ["a"], "objective": "fame"}, "objective"),
        ("/recommend", {"customer_ids": ["a"], "category": "x" * 300}, "category"),
        ("/recommend", {"customer_ids": ["a"], "category": "nothing"}, "category"),
        ("/recommend", {"customer_ids": ["a"], "placement": "A B"}, "placement"),
        ("/recommend", {"customer_ids": ["a"], "exclude": ["x"] * 101}, "exclude"),
        ("/recommend", {"customer_ids": ["a"], "more": 1}, "more"),
        ("/recommend", ["a"], None),
        ("/basket", {}, "product_ids"),
        ("/basket", {"product_ids": []}, "product_ids"),
        ("/basket", {"product_ids": ["a"] * 101}, "product_ids"),
        ("/basket", {"product_ids": ["a", 7]}, "product_ids"),
        ("/basket", {"product_ids": ["a"], "customer_id": 7}, "customer_id"),
        ("/basket", {"product_ids": ["a"], "n": 0}, "n"),
        ("/basket", {"product_ids": ["a"], "objective": "value"}, "objective"),
    ],
)
def test_a_body_out_of_its_limits_is_refused_with_the_key_at_fault(
    app: Flask, path: str, body: object, field: str | None
) -> None:
    answer = app.test_client().post(path, json=body)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.get_json().get("field") == field


@pytest.mark.parametrize(("path", "most"), [("/basket", 64 * 1024), ("/recommend", 1024 * 1024)])
def test_a_body_over_its_size_is_refused_before_it_is_read(app: Flask, path: str, most: int) -> None:
    client, large = app.test_client(), b" " * (most + 1)
    assert client.post(path, data=large, content_type="application/json").status_code == 413
    assert client.post(path, data=b"{}", content_type="text/plain").status_code == 415
    assert client.get("/basket").status_code == 405


def test_placements_are_counted_and_too_many_of_them_together(tmp_path: Path) -> None:
    publish(Store(tmp_path), replace(SHOP))
    client = tiny_app(tmp_path).test_client()
    for n in range(40):
        client.get(f"/recommend/anna?placement=p{n}")
    client.get("/recommend/anna?placement=p1")
    client.get("/reorder/nobody?placement=p2")
    text = client.get("/metrics").text
    assert 'nextbest_recommendations_total{level="map",placement="p1"} 2.0' in text
    assert 'nextbest_recommendations_total{level="map",placement="(other)"} 11.0' in text
    assert 'nextbest_recommendations_total{level="none",placement="p2"} 1.0' in text
