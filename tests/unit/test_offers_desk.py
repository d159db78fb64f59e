"""Offers are ranked by what they add, and shown with their products."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.live.customers import LiveCustomers
from service.live.reader import LiveReader
from service.live.told import NOT_PERSONAL, Told, told_of
from service.offers.book import OfferBook
from service.offers.desk import NO_OFFERS, OfferDesk
from service.offers.promises import Promises
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query, parse_offers_query
from storage.record.events import EventType
from storage.record.live import Trade
from tests.data.offer_shop import BUTTER, CHEESE, MILK, NOW_S, SHOP, Clock, desk_of, ids, offers, served_of
from tests.data.records import Door, empty_record, event, sqlite_url, take
from tests.data.tiny_version import TinyOffer, TinyShop


def test_offers_are_ranked_by_what_they_add_and_those_that_cost_more_are_left_out(tmp_path: Path) -> None:
    body = offers(desk_of(), served_of(tmp_path))
    assert ids(body) == ["butter 10 off", "milk 10 off", "cake"]
    first, second, third = body["offers"]
    assert (first["rank"], first["expected_value"], first["probability"]) == (1, 0.16, 0.2)
    assert second["expected_value"] == pytest.approx(0.05, abs=1e-3)
    assert (third["expected_value"], third["discount"]) == (None, None)
    assert (first["n_products"], [one["product_id"] for one in first["products"]]) == (
        2,
        ["butter", "yoghurt"],
    )
    assert second["reason"]["code"] == "bought_before"
    assert second["reason"]["text"].startswith("You bought Fresh Milk")
    assert first["reason"]["code"] == "others_redeem"
    assert body["source"] == "personal"


def test_a_reason_knows_what_was_bought_since_the_night(tmp_path: Path) -> None:
    served, at_ms = served_of(tmp_path), int(NOW_S * 1000)

    def why(customer: str, *products: str, at_ms: int = at_ms) -> dict[str, tuple[object, ...]]:
        trade = [Trade(product, False, at_ms, "a", 1.0) for product in products]
        found = offers(desk_of(lambda _: told_of(1, trade)), served, customer)["offers"]
        reasons = {one["offer_id"]: one["reason"] for one in found}
        return {
            offer: (reason["evidence"]["product_id"], *list(reason["evidence"].values())[1:])
            for offer, reason in reasons.items()
            if reason["code"] == "bought_before"
        }

    night = {"milk 10 off": ("milk", 5, "2017-12-28")}
    assert why("anna") == night
    assert why("anna", "bread", "unheard of") == night
    assert why("anna", "milk", "yoghurt") == {
        "milk 10 off": ("milk", 6, "2018-01-01"),
        "butter 10 off": ("yoghurt", 1, "2018-01-01"),
    }
    assert why("anna", "milk", at_ms=at_ms - 9 * 86_400_000) == night  # it came late
    assert why("a stranger", "butter") == {"butter 10 off": ("butter", 1, "2018-01-01")}


def test_an_offer_that_was_redeemed_since_the_night_is_shown_to_others_only(tmp_path: Path) -> None:
    served = served_of(tmp_path)
    live = LiveCustomers(most=10, clock=lambda: 0.0)
    desk, asked = desk_of(live.of), Recommender(FirstLevel(10, 1), None, live.of, clock=Clock())

    def beside() -> set[str]:
        answer = asked.recommend(served, "anna", Query(n=12))
        found = desk.with_products(served, "anna", answer)
        return {json.loads(one.text)["offer_id"] for one in found.texts.values()}

    with empty_record(sqlite_url(tmp_path)) as record:
        reader = LiveReader(Door(record), live, lambda: served.since)
        reader.look()
        assert ids(offers(desk, served)) == ["butter 10 off", "milk 10 off", "cake"]
        assert beside() == {"butter 10 off", "milk 10 off", "cake"}
        at_ms = int(NOW_S * 1000)
        take(record, event("1", at_ms=at_ms, order_id="a", offer_id="milk 10 off"))
        reader.look()
        assert ids(offers(desk, served)) == ["butter 10 off", "cake"]
        assert beside() == {"butter 10 off", "cake"}
        take(record, event("2", kind=EventType.RETURN, at_ms=at_ms + 1, order_id="a"))
        reader.look()  # a return brings no offer back
        assert ids(offers(desk, served)) == ["butter 10 off", "cake"]
        assert ids(offers(desk, served, "a stranger")) == ["butter 10 off"]


def test_they_can_be_ranked_by_how_probably_they_are_redeemed_and_cut(tmp_path: Path) -> None:
    served = served_of(tmp_path)
    assert ids(offers(desk_of(), served, query=parse_offers_query(b"objective=probability"))) == [
        *("milk 10 off", "cake", "butter 10 off")
    ]
    assert ids(offers(desk_of(), served, query=parse_offers_query(b"n=1"))) == ["butter 10 off"]


@pytest.mark.parametrize("news", [NOT_PERSONAL, Told(3, (), 0, erased=1)])
def test_who_is_not_known_or_wants_nothing_personal_gets_what_is_for_everybody(
    tmp_path: Path, news: Told
) -> None:
    served = served_of(tmp_path)
    for body in (offers(desk_of(), served, "a stranger"), offers(desk_of(lambda _: news), served)):
        assert (ids(body), body["source"]) == (["butter 10 off"], "popular")
        assert body["offers"][0]["reason"]["code"] == "for_everybody"  # nobody knows how they buy


def test_an_offer_whose_products_are_hidden_or_sold_out_is_hidden(tmp_path: Path) -> None:
    rules = parse_rules(
        'schema = 1\n[[rules]]\nid = "no-milk"\nkind = "block"\nproducts = ["milk", "butter"]\n'
    )
    body = offers(desk_of(book=RuleBook(rules, Clock())), served_of(tmp_path))
    assert ids(body) == ["butter 10 off", "cake"]
    assert [one["product_id"] for one in body["offers"][0]["products"]] == ["yoghurt"]
    shop = TinyShop(offers=SHOP.offers, out_of_stock=frozenset({"milk", "butter", "yoghurt"}))
    assert ids(offers(desk_of(), served_of(tmp_path / "other", shop))) == ["cake"]


def test_what_a_rule_hides_since_it_was_bought_lately_is_on_no_offer_either(tmp_path: Path) -> None:
    """Anna bought milk four days before, and butter since the night."""
    served, trade = served_of(tmp_path), [Trade("butter", False, int(NOW_S * 1000), "o1", 1)]

    def shown(days: int, news: Told | None = None) -> dict[str, list[str]]:
        rule = f'schema = 1\n[[rules]]\nid = "a"\nkind = "exclude_bought"\ndays = {days}\n'
        body = offers(desk_of(lambda _: news, RuleBook(parse_rules(rule), Clock())), served)
        return {one["offer_id"]: [of["product_id"] for of in one["products"]] for one in body["offers"]}

    both = ["butter", "yoghurt"]
    assert shown(3) == {"butter 10 off": both, "milk 10 off": ["milk"], "cake": ["cake"]}
    assert shown(4) == {"butter 10 off": both, "cake": ["cake"]}
    assert shown(4, told_of(1, trade)) == {"butter 10 off": ["yoghurt"], "cake": ["cake"]}
    assert shown(4, NOT_PERSONAL) == {"butter 10 off": both}


@pytest.mark.parametrize("news", [NOT_PERSONAL, Told(3, (), 0, erased=1)])
@pytest.mark.parametrize("customer", ["anna", "zoe"])
def test_a_rule_for_a_segment_is_not_for_a_member_of_whom_nothing_may_be_known(
    tmp_path: Path, customer: str, news: Told
) -> None:
    served = served_of(tmp_path, replace(SHOP, people={"zoe": {}}, audiences={"vip": ["anna", "zoe"]}))
    rules = parse_rules(
        'schema = 1\n[[rules]]\nid = "none"\nkind = "block"\nbrands = []\ncategories = ["dairy"]\n'
        'segments = ["vip"]\n'
    )
    book = RuleBook(rules, Clock())
    assert ids(offers(desk_of(book=book), served, "zoe")) == []
    assert ids(offers(desk_of(lambda _: news, book), served, customer)) == ["butter 10 off"]


def test_a_shop_without_offers_has_none(tmp_path: Path) -> None:
    served = served_of(tmp_path, TinyShop())
    assert offers(desk_of(), served)["offers"] == []
    answer = Recommender(FirstLevel(10, 0), None).recommend(served, "anna", Query())
    assert desk_of().with_products(served, "anna", answer) is NO_OFFERS


def test_an_offer_begins_and_ends_at_its_moment(tmp_path: Path) -> None:
    beginning = replace(MILK, starts=datetime.fromtimestamp(NOW_S + 1, UTC))
    ending = replace(BUTTER, ends=datetime.fromtimestamp(NOW_S + 2, UTC))
    clock, served = Clock(), served_of(tmp_path, TinyShop(offers=(beginning, ending)))
    book = OfferBook(served, clock)
    milk, butter = (served.offers.find(offer.offer_id) for offer in (beginning, ending))
    on = []
    for _ in range(4):
        on.append(book.on)
        clock.now_s += 1
    assert on == [{butter}, {milk, butter}, {milk}, {milk}]
    assert on[2] is on[3]


def test_an_offer_that_is_over_when_its_version_is_opened_takes_no_place(tmp_path: Path) -> None:
    over = replace(MILK, ends=datetime.fromtimestamp(NOW_S - 1, UTC))
    served = served_of(tmp_path, TinyShop(offers=(over, BUTTER)))
    book = OfferBook(served, Clock())
    rows = [served.offers.find(offer.offer_id) for offer in (over, BUTTER)]
    assert set().union(*book.of_product.values()) == {rows[1]}
    assert [one.offer_row for one in book.ranked(served.customers.find("anna"))] == rows[1:]


def test_a_clock_that_is_set_back_ends_no_offer(tmp_path: Path) -> None:
    starting = replace(MILK, starts=datetime.fromtimestamp(NOW_S + 1, UTC))
    clock = Clock()
    book = OfferBook(served_of(tmp_path, TinyShop(offers=(starting,))), clock)
    clock.now_s += 3600
    assert book.on == {0}
    clock.now_s -= 3600
    assert book.on == set()


def test_money_is_told_to_the_cent(tmp_path: Path) -> None:
    dear = replace(BUTTER, discount=1234.56, margin=5000.0)
    served = served_of(tmp_path, TinyShop(offers=(dear,)))
    assert offers(desk_of(), served)["offers"][0]["discount"] == 1234.56


def test_of_another_s_products_nothing_is_offered(tmp_path: Path) -> None:
    served = served_of(tmp_path)
    book = OfferBook(served, Clock())
    milk, bread = (served.products.find(name) for name in ("milk", "bread"))
    assert [one.offer_row for one in book.ranked(served.customers.find("anna"), book.of_product[milk])] == [
        served.offers.find("milk 10 off")
    ]
    assert bread not in book.of_product


def test_a_product_comes_with_its_best_offer_and_the_others_with_none(tmp_path: Path) -> None:
    served = served_of(tmp_path)
    answer = Recommender(FirstLevel(10, 0), None).recommend(served, "anna", Query(n=12))
    for _ in range(2):  # the second time from what was written before
        found = desk_of().with_products(served, "anna", answer)
        body = json.loads(AnswerWriter(served).recommendations("anna", answer, offers=found.texts))
        shown = {one["product_id"]: one["offer"] for one in body["recommendations"]}
        assert {one for one in shown if shown[one]} == {"milk", "butter", "yoghurt", "cake"} & set(shown)
        assert shown["milk"]["offer_id"] == "milk 10 off"
        assert shown["milk"]["promised_until"] is None


# By probability times margin anna's milk would come first (.5), butter second (.4), bread last (.2): the
# offer of milk is expected to cost .5 x .8, that of butter .2 x .1; bread has none.
DEAR_MILK = TinyOffer("milk 80 off", ["milk"], {"anna": (0.5, 0.1)}, discount=0.8)
VALUED = TinyShop(
    probability={("anna", "milk"): 0.5, ("anna", "butter"): 0.4, ("anna", "bread"): 0.2},
    candidates={**TinyShop().candidates, "anna": [("milk", "milk"), ("butter", "milk"), ("bread", "bread")]},
    margins={"milk": 1.0, "butter": 1.0, "bread": 1.0},
    offers=(DEAR_MILK, BUTTER, CHEESE),
)


def valued(
    served: ServedVersion,
    desk: OfferDesk,
    objective: str = "value",
    news_of: Callable[[str], Told | None] = lambda _: None,
) -> dict[str, Any]:
    """Of the products of anna's answer what they are expected to earn, in the order of the answer."""
    book = RuleBook(clock=Clock())
    recommender = Recommender(FirstLevel(10, 1), None, news_of, costs_of=desk.costs, book=book)
    query, writer = Query(n=3, objective=objective), AnswerWriter(served)
    for _ in range(2):  # the second time from what was written before
        answer = recommender.recommend(served, "anna", query)
        found = desk.with_products(served, "anna", answer)
        body = json.loads(writer.recommendations("anna", answer, offers=found.texts))
    return {one["product_id"]: one["expected_value"] for one in body["recommendations"]}


def test_the_cost_of_a_product_s_offer_is_taken_from_its_value(tmp_path: Path) -> None:
    served = served_of(tmp_path, VALUED)
    found = valued(served, desk_of())
    assert list(found) == ["butter", "bread", "milk"]
    # milk of 80 off brings .5 x (.9 - .8), so it is shown
    assert list(found.values()) == pytest.approx([0.4 - 0.2 * 0.1, 0.2, 0.5 - 0.5 * 0.8], abs=1e-3)
    by_probability = valued(served, desk_of(), "probability")
    assert by_probability == found
    assert list(by_probability) == ["milk", "butter", "bread"]


def test_an_offer_that_was_redeemed_since_the_night_costs_nothing(tmp_path: Path) -> None:
    told = Told(1, (), 1, redeemed=frozenset([DEAR_MILK.offer_id]))
    found = valued(served_of(tmp_path, VALUED), desk_of(lambda _: told), news_of=lambda _: told)
    assert found == pytest.approx({"milk": 0.5, "butter": 0.4 - 0.2 * 0.1, "bread": 0.2}, abs=1e-3)
    assert list(found) == ["milk", "butter", "bread"]


def test_an_offer_that_cannot_be_promised_costs_nothing(tmp_path: Path) -> None:
    offer = TinyOffer("milk 80 off", ["milk"], {"anna": (0.5, 0.1)}, discount=0.8, budget=10)
    found = valued(served_of(tmp_path, replace(VALUED, offers=(offer,))), desk_of())
    assert found == pytest.approx({"milk": 0.5, "butter": 0.4, "bread": 0.2}, abs=1e-3)


@pytest.mark.parametrize(
    ("promised_to", "order"), [("anna", ["butter", "bread", "milk"]), ("ben", ["milk", "butter", "bread"])]
)
def test_an_offer_whose_budget_is_used_up_costs_only_whom_it_is_promised(
    tmp_path: Path, promised_to: str, order: list[str]
) -> None:
    offer = TinyOffer("milk 80 off", ["milk"], {"anna": (0.5, 0.1)}, discount=0.8, budget=1)
    served = served_of(tmp_path, replace(VALUED, offers=(offer,)))
    with empty_record(sqlite_url(tmp_path)) as record:
        desk, clock = desk_of(), Clock()
        budgets = desk.book_of(served).budgets
        desk.promises = Promises(Door(record), lambda: budgets, "worker", life_s=100, clock=clock)
        desk.promises.turn()
        assert desk.promises.make("milk 80 off", promised_to) is not None
        desk.promises.turn()
        assert list(valued(served, desk)) == order


def test_on_offer_is_the_reason_only_where_nothing_else_would_be_told_than_popular(tmp_path: Path) -> None:
    everything = ["milk", "butter", "apple", "pear", "plum", "bread"]
    ends = datetime(2018, 1, 10, tzinfo=UTC)
    offer = TinyOffer("all 10 off", everything, {"anna": (0.2, 0.1)}, ends=ends)
    shop = TinyShop(
        offers=(offer,),
        first_bought={"plum": date(2017, 12, 20), "apple": date(2017, 1, 1)},
        recent_buyers={"bread": 5, "rolls": 1, "apple": 3, "milk": 3, "pear": 1, "plum": 1},
    )
    served = served_of(tmp_path, shop)
    answer = Recommender(FirstLevel(10, 0), None).recommend(served, "anna", Query(n=12))
    found = desk_of().with_products(served, "anna", answer)
    body = json.loads(AnswerWriter(served).recommendations("anna", answer, offers=found.texts))
    reasons = {one["product_id"]: one["reason"] for one in body["recommendations"]}
    assert {product: reasons[product]["code"] for product in everything} == {
        **{"milk": "due_again", "bread": "bought_before", "butter": "because_you_bought"},
        **{"apple": "popular_in", "plum": "new_in", "pear": "on_offer"},
    }
    assert reasons["pear"]["text"] == "On offer until 9 January 2018"
    assert reasons["pear"]["evidence"] == {"offer_id": "all 10 off", "ends_at": ends.isoformat()}
    without = json.loads(AnswerWriter(served).recommendations("anna", answer))
    assert {one["reason"]["code"] for one in without["recommendations"] if one["product_id"] == "pear"} == {
        "popular"
    }
