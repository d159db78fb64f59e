"""The list of a customer who bought since the night, worked out by hand on the tiny shop."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.session import Recent, SessionFigures
from service.answering import own_list, packed
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.answering.own_list import Answer, Rung
from service.live import session
from service.live.session import Session, session_of
from service.live.told import NOT_PERSONAL, Told, told_of
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.live import Trade
from storage.versions.evidence import ITSELF
from storage.versions.store import Store
from tests.data.tiny_service import DictCache, tiny_served
from tests.data.tiny_version import AS_OF, VARIANT, Bought, TinyShop, publish, write_version

SHOP = TinyShop(product_interval={"milk": 5.0}, category_interval={"bakery": 2.0})
MORNING = datetime(2018, 1, 2, 8, tzinfo=UTC)
PRODUCTS = list(SHOP.products)


@pytest.fixture(scope="module")
def tiny() -> Iterator[ServedVersion]:
    with tempfile.TemporaryDirectory() as root:
        yield tiny_served(Path(root), SHOP)


def trades(*products: str, at: datetime = MORNING) -> list[Trade]:
    return [Trade(product, False, int(at.timestamp() * 1000), "o1", 1.0) for product in products]


def bought(*products: str, at: datetime = MORNING, epoch: int = 1, erased: int = 0) -> Told:
    return told_of(epoch, trades(*products, at=at), erased)


def test_what_was_bought_under_an_old_id_is_the_product_that_is_sold_now(tmp_path: Path) -> None:
    old_ids = {"old milk": "milk", "older milk": "milk"}
    shop = replace(SHOP, orders=[("anna", "o1", "old milk"), ("anna", "p1", "milk")], replaced=old_ids)
    served = tiny_served(tmp_path, shop)
    anna, morning_ms = served.customers.find("anna"), int(MORNING.timestamp() * 1000)

    def milk(*bought: tuple[str, int, str | None]) -> session.Bought | None:
        trade = [
            Trade(name, False, morning_ms - hours * 3_600_000, order, 1.0) for name, hours, order in bought
        ]
        found = session_of(served, anna, told_of(1, trade), MORNING.timestamp())
        if found is None:
            return None
        assert [served.products[one.product_row] for one in found.bought] == ["milk"]
        assert found.bought == (found.by_row[served.products.find("milk")],)
        return found.bought[0]

    assert milk(("old milk", 1, "o1")) is None  # of an order that the night had, under the id of then
    assert milk(("older milk", 1, "p1")) is None  # which the night had under the new one
    today, day = int(MORNING.timestamp()) // 86_400, 24
    for lines, times in (
        ([("milk", 1, None), ("old milk", 2, None)], 1),  # one day's are one order
        ([("old milk", 1, None), ("milk", day, None), ("older milk", 2 * day, None)], 3),
        ([("old milk", 1, "o2"), ("milk", 1, "o2")], 1),
        ([("old milk", 1, "o2"), ("milk", day, "o3"), ("older milk", 2 * day, "o4")], 3),
        ([("milk", day, "o3"), ("old milk", 1, "o1"), ("older milk", 2, "o2")], 2),
    ):
        found = milk(*lines)
        assert found is not None
        assert (found.times, found.day) == (times, today)


def recommender(
    told: Told | None, at: datetime = MORNING, cache: DictCache | None = None, rules: str = ""
) -> Recommender:
    book = RuleBook(parse_rules(f"schema = 1\n{rules}"), at.timestamp)
    news: Callable[[str], Told | None] = lambda _: told  # noqa: E731
    return Recommender(FirstLevel(10, 0), cache, news, book=book, clock=at.timestamp)


def shown(served: ServedVersion, answer: Answer) -> list[str]:
    return [served.products[row] for row, *_ in answer.picks]


def body(served: ServedVersion, customer: str, answer: Answer) -> Any:
    return json.loads(AnswerWriter(served).recommendations(customer, answer))


def test_what_was_bought_steps_back_and_the_less_the_longer_ago(tiny: ServedVersion) -> None:
    def places(day: int) -> list[str]:
        asked = recommender(bought("milk"), datetime(2018, 1, day, 9, tzinfo=UTC))
        return shown(tiny, asked.recommend(tiny, "anna", Query(n=4)))

    # night: milk 1/2, bread 1/4, butter 1/5, apple 1/6. Dairy steps back to .35 x: nobody buys dairy again
    # in general, so butter .07 + .05/2; milk is bought each 6 days, so half of it is made up in .25 days
    assert places(2) == ["bread", "milk", "apple", "butter"]  # milk .5 x .35
    assert places(3) == ["milk", "bread", "apple", "butter"]  # .5 x (1 - .65/16)


def test_what_orders_soon_after_another_are_for_steps_up_until_the_horizon_is_over(tmp_path: Path) -> None:
    lifted = replace(SHOP, follow_up_lift={"apple": 2.0})
    served = tiny_served(tmp_path, lifted)

    def places(told: Told | None, day: int) -> list[str]:
        asked = recommender(told, datetime(2018, 1, day, 9, tzinfo=UTC))
        return shown(served, asked.recommend(served, "anna", Query(n=4)))

    # bread 1/4; apple 1/6 x 2, until a week after the purchase
    assert places(bought("rolls"), 9) == ["milk", "apple", "bread", "butter"]
    assert places(bought("rolls"), 10) == ["milk", "bread", "butter", "apple"]
    assert places(None, 2) == ["milk", "bread", "butter", "apple"]


def test_what_was_bought_just_now_steps_back_even_if_it_is_what_such_orders_are_for(tmp_path: Path) -> None:
    lifted = replace(SHOP, follow_up_lift={"milk": 9.0})
    served = tiny_served(tmp_path, lifted)

    def places(day: int) -> list[str]:
        asked = recommender(bought("milk"), datetime(2018, 1, day, 9, tzinfo=UTC))
        return shown(served, asked.recommend(served, "anna", Query(n=4)))

    assert places(2) == ["bread", "milk", "apple", "butter"]  # as without a lift: milk .5 x .35
    assert places(3)[0] == "milk"


def test_a_product_that_nobody_buys_twice_waits_for_good(tiny: ServedVersion) -> None:
    asked = recommender(bought("apple", at=MORNING), datetime(2018, 3, 1, tzinfo=UTC))
    assert "apple" not in shown(tiny, asked.recommend(tiny, "anna", Query(n=9)))


def test_how_far_it_steps_back_is_what_the_version_says(tmp_path: Path) -> None:
    told = bought("milk")
    for figures, is_first in (
        (SessionFigures(steps_back=0.0), True),
        (SessionFigures(steps_back=1.0), False),
    ):
        folder = tmp_path / str(is_first)
        served = ServedVersion(Store(folder).open(publish(Store(folder), TinyShop(session=figures))), VARIANT)
        listed = shown(served, recommender(told).recommend(served, "anna", Query(n=4)))
        assert (listed[0] == "milk") == is_first


def test_what_is_similar_counts_beside_the_night_as_the_version_says(tmp_path: Path) -> None:
    def listed(similar: float) -> list[str]:
        served = tiny_served(tmp_path / str(similar), TinyShop(session=SessionFigures(similar=similar)))
        return shown(served, recommender(bought("apple")).recommend(served, "anna", Query(n=10)))

    # night: milk 1/2, bread 1/4, butter 1/5; like apples are pears, 2/2 x .35, and plums, 2/3 x .35
    assert listed(2.0)[:5] == ["milk", "pear", "bread", "plum", "butter"]
    assert listed(0.0)[:3] == ["milk", "bread", "butter"]
    assert listed(0.05) == listed(0.051)  # the usual one, where the night wrote none, and one that it wrote


def test_a_category_steps_back_as_far_as_the_night_saw_and_no_further_than_a_product(tmp_path: Path) -> None:
    # night: milk 1/2, bread 1/4, butter 1/5, apple 1/6; milk .5 x .35 = .175; butter is similar too: .05/2
    told = {1.0: ["bread", "butter", "milk", "apple"], 0.7: ["bread", "milk", "apple", "butter"]}
    for left, wanted in told.items():
        served = tiny_served(tmp_path / str(left), replace(SHOP, category_left={"dairy": left}))
        assert shown(served, recommender(bought("milk")).recommend(served, "anna", Query(n=4))) == wanted
    for left in (0.2, 0.35):
        served = tiny_served(tmp_path / str(left), replace(SHOP, category_left={"dairy": left}))
        cream, milk = (np.array([served.products.find(name)]) for name in ("cream", "milk"))
        scores = served.moves.left(cream, [Recent(int(milk[0]), 0, 5)], served.session)
        assert scores == pytest.approx([0.35])


def test_a_list_in_redis_is_one_of_the_day_on_which_it_was_made(tiny: ServedVersion) -> None:
    cache, told = DictCache(), bought("milk")
    first = recommender(told, cache=cache).recommend(tiny, "anna", Query(n=4))
    next_day = recommender(told, datetime(2018, 1, 3, 9, tzinfo=UTC), cache).recommend(
        tiny, "anna", Query(n=4)
    )
    assert (shown(tiny, first)[0], shown(tiny, next_day)[0]) == ("bread", "milk")


def test_without_an_own_interval_the_usual_one_of_the_product_counts(tiny: ServedVersion) -> None:
    def is_shown(product: str, day: int) -> bool:
        answer = recommender(bought(product), datetime(2018, 1, day, 12, tzinfo=UTC))
        return product in shown(tiny, answer.recommend(tiny, "nobody", Query(n=10)))

    assert [is_shown("milk", day) for day in (6, 7)] == [False, True]  # 5 days, of milk
    assert not is_shown("apple", 30)  # nobody buys it or its like again


def test_without_a_day_of_the_night_the_customer_s_mean_interval_counts(tiny: ServedVersion) -> None:
    for customer, product, days in (("anna", "milk", 6), ("ben", "apple", 1), ("ben", "milk", 5)):
        found = session_of(tiny, tiny.customers.find(customer), bought(product), MORNING.timestamp())
        assert found is not None
        assert found.bought[0].due_day - found.bought[0].day == days


def test_what_goes_with_the_purchase_steps_up_and_says_why(tiny: ServedVersion) -> None:
    before = shown(tiny, recommender(None).recommend(tiny, "anna", Query(n=10)))
    answer = recommender(bought("apple")).recommend(tiny, "anna", Query(n=10))
    after = shown(tiny, answer)
    assert after.index("pear") < before.index("pear")
    said = body(tiny, "anna", answer)
    assert said["source"] == "session"
    (pear,) = [one for one in said["recommendations"] if one["product_id"] == "pear"]
    assert pear["reason"] == {
        "code": "because_you_bought",
        "text": "Because you bought apple",
        "evidence": {"product_id": "apple", "last_purchased_on": "2018-01-02"},
    }


def test_dates_of_reasons_are_those_of_the_latest_purchase(tiny: ServedVersion) -> None:
    answer = recommender(bought("milk")).recommend(tiny, "anna", Query(n=12))
    reasons = {one["product_id"]: one["reason"] for one in body(tiny, "anna", answer)["recommendations"]}
    assert reasons["butter"]["evidence"] == {"product_id": "milk", "last_purchased_on": "2018-01-02"}
    milk = reasons["milk"]
    # 5 orders 6.1 days apart (6.102 as a float16), and one 5 days after them: 29.4 days in 5 gaps
    assert milk["evidence"] == {"times": 6, "interval_days": 5.9, "last_purchased_on": "2018-01-02"}
    assert milk["due_on"] == "2018-01-08"


def test_of_a_long_shopping_list_every_product_is_known_to_have_been_bought(tmp_path: Path) -> None:
    """More products than evidence has numbers for; milk and pears were bought before all the others."""
    many = [f"p{number:02}" for number in range(70)]
    served = tiny_served(tmp_path, replace(SHOP, products=dict(SHOP.products) | dict.fromkeys(many, "")))
    trade = trades("milk", "pear", at=MORNING - timedelta(hours=1)) + trades(*many)
    told, today = told_of(1, trade), {"last_purchased_on": "2018-01-02"}
    for customer, query in (("anna", Query(n=80)), ("anna", Query(n=80, objective="reorder"))):
        answer = recommender(told).recommend(served, customer, query)
        said = {one["product_id"]: one["reason"] for one in body(served, customer, answer)["recommendations"]}
        assert said["milk"]["evidence"] == {"times": 6, "interval_days": 5.9, **today}
        assert said["butter"]["evidence"] == {"product_id": "milk", **today}
    new = recommender(told).recommend(served, "anna", Query(n=80, objective="discovery"))
    assert not set(shown(served, new)) & {"milk", "pear", *many}
    stranger = recommender(told).recommend(served, "nobody", Query(n=82))  # what waits is shown at last
    said = {one["product_id"]: one["reason"] for one in body(served, "nobody", stranger)["recommendations"]}
    assert said["pear"]["evidence"].items() >= today.items()


def test_evidence_far_back_in_the_history_is_not_taken_for_a_purchase_since(tiny: ServedVersion) -> None:
    found = session_of(tiny, tiny.customers.find("anna"), bought("milk"), MORNING.timestamp())
    assert found is not None
    rows = np.array([tiny.products.find(name) for name in ("bread", "apple", "plum")])
    night = packed.Columns.of(zip(rows.tolist(), (199, 200, 253), (0.5, 0.4, 0.3), strict=True))
    assert session._explained(found, rows, night, {}).evidence.tolist() == [199, ITSELF, ITSELF]


def test_a_probability_of_before_the_purchase_is_no_longer_told(tmp_path: Path) -> None:
    shop = replace(SHOP, probability={("anna", "milk"): 0.5, ("anna", "bread"): 0.25})
    served = tiny_served(tmp_path, shop)
    late = datetime(2018, 1, 20, tzinfo=UTC)
    said = body(served, "anna", recommender(bought("milk"), late).recommend(served, "anna", Query(n=3)))
    chances = {one["product_id"]: one["probability"] for one in said["recommendations"]}
    assert (chances["milk"], chances["bread"]) == (None, 0.25)


def test_after_an_erasure_only_the_new_life_counts(tiny: ServedVersion) -> None:
    new_life = recommender(bought("bread", erased=1)).recommend(tiny, "anna", Query(n=5))
    stranger = recommender(bought("bread")).recommend(tiny, "nobody", Query(n=5))
    assert shown(tiny, new_life) == shown(tiny, stranger)


def test_a_night_that_knew_of_the_erasure_is_the_customer_s_again_and_one_before_it_is_not(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    told = told_of(9, (), erased=3)
    for known in (None, 2, 3, 4):
        version = store.open(write_version(store, SHOP, now=AS_OF, tombstone=known))
        served = ServedVersion(version, VARIANT)
        answer = recommender(told).recommend(served, "anna", Query(n=3))
        assert answer.source == ("personal" if (known or 0) >= 3 else "popular")


def test_who_may_not_get_personal_answers_gets_those_of_a_stranger(tiny: ServedVersion) -> None:
    for query in (Query(), Query(category="dairy")):
        answer = recommender(NOT_PERSONAL).recommend(tiny, "anna", query)
        assert answer == recommender(None).recommend(tiny, "nobody", query)
        assert answer.source == "popular"


def test_rules_on_what_was_bought_know_the_purchases_since_the_night(tiny: ServedVersion) -> None:
    rule = '[[rules]]\nid = "lately"\nkind = "exclude_bought"\ndays = 30\n'
    answer = recommender(bought("milk"), rules=rule).recommend(tiny, "nobody", Query(n=12))
    assert "milk" not in shown(tiny, answer)
    assert len(answer.picks) == 10  # cream is out of stock


@given(
    customer=st.sampled_from(["anna", "ben", "7", "new", "nobody"]),
    products=st.lists(st.sampled_from([*PRODUCTS, "unheard of"]), max_size=12, unique=True),
    days=st.integers(0, 40),
    n=st.integers(1, 12),
    exclude=st.lists(st.sampled_from(PRODUCTS), max_size=3, unique=True),
)
@settings(max_examples=200, deadline=None)
def test_as_many_as_there_are_none_twice_and_the_same_from_redis(
    tiny: ServedVersion, customer: str, products: list[str], days: int, n: int, exclude: list[str]
) -> None:
    at, cache = datetime.fromtimestamp(MORNING.timestamp() + days * 86_400, UTC), DictCache()
    told, query = bought(*products), Query(n=n, exclude=tuple(exclude))
    answer = recommender(told, at, cache).recommend(tiny, customer, query)
    names = shown(tiny, answer)
    assert len(names) == len(set(names)) == min(n, len(set(PRODUCTS) - {"cream", *exclude}))
    assert not set(names) & {"cream", *exclude}
    again = recommender(told, at, cache).recommend(tiny, customer, query)
    assert again.picks == answer.picks
    first, second = (body(tiny, customer, one)["recommendations"] for one in (answer, again))
    assert first == second
    for one in first:
        evidence = one["reason"]["evidence"]
        if one["reason"]["code"] == "because_you_bought" and evidence["product_id"] in products:
            assert evidence["last_purchased_on"] == date(2018, 1, 2).isoformat()


def test_what_goes_with_a_cart_has_what_was_bought_just_now_where_nothing_else_is_left(
    tiny: ServedVersion,
) -> None:
    """Bakery is bread, rolls and cake; a stranger bought rolls, and has bread in the cart."""
    asked, query = recommender(bought("rolls")), Query(n=3, category="bakery", exclude=("bread",))
    answer = asked.complements(tiny, [tiny.products.find("bread")], "stranger", query)
    assert shown(tiny, answer) == ["cake", "rolls"]
    assert answer.picks[1][1:3] == (Rung.OWN, session.FIRST_LINE)


def test_a_cart_is_answered_from_the_beginning_that_redis_has(
    tiny: ServedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "LIST_LENGTH", 2)
    asked, cart = recommender(bought("cake"), cache=DictCache()), [tiny.products.find("milk")]
    query = Query(n=2, exclude=("milk",))
    made = asked.complements(tiny, cart, "anna", query).picks
    monkeypatch.setattr(own_list, "made_list", None)  # nobody needs it
    assert asked.complements(tiny, cart, "anna", query).picks == made


def test_a_list_of_which_redis_has_the_beginning_is_made_once_for_all_answers(
    tiny: ServedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Session] = []
    make = session.assembled

    def counted(one: Session) -> packed.Columns:
        made.append(one)
        return make(one)

    monkeypatch.setattr(session, "assembled", counted)
    monkeypatch.setattr(packed, "LIST_LENGTH", 2)
    asked = recommender(bought("cake"), cache=DictCache())
    for n in (3, 4, 5):
        asked.recommend(tiny, "anna", Query(n=n))
    assert len(made) == 1


def test_a_list_of_which_redis_has_the_beginning_answers_carts_and_what_is_due_as_the_whole_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = {"milk": date(2018, 1, 3), "apple": date(2018, 1, 3), "butter": date(2018, 1, 4)}
    shop = replace(
        SHOP,
        history={"anna": [Bought(product, due=day) for product, day in due.items()]},
        candidates={"anna": [(product, product) for product in due]},
        similar={"bag": [("pear", 0.5), ("apple", 0.4), ("butter", 0.3)]},
        probability={("anna", "butter"): 0.25},
    )
    served = tiny_served(tmp_path, shop)
    monkeypatch.setattr(packed, "LIST_LENGTH", 2)
    asked = recommender(bought("cake"), datetime(2018, 1, 9, tzinfo=UTC), DictCache())
    for _ in range(2):  # made, then from Redis
        cart = asked.complements(served, [served.products.find("bag")], "anna", Query(n=3))
        assert shown(served, cart) == ["apple", "pear", "butter"]  # 1/3 + 1/3, 1/2 and 1/4
        assert [probability for *_, probability in cart.picks] == [-1.0, -1.0, 0.25]
        again = asked.recommend(served, "anna", Query(n=3, objective="reorder", exclude=("cake",)))
        assert shown(served, again) == ["milk", "apple", "butter"]  # in the order of the list
