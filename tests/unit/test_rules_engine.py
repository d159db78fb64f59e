"""What each kind of rule does to answers of the tiny shop, worked out by hand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from service.answering.first_level import FirstLevel
from service.answering.own_list import Answer, Rung
from service.live.told import told_of
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.live import Trade
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import Bought, TinyShop

SHOP = replace(
    TinyShop(),
    brands={"milk": "Alm", "butter": "Alm", "cheese": "Alm", "bread": "Ofen", "rolls": "Ofen"},
    prices={"milk": 1.0, "bread": 3.0, "apple": 2.0, "butter": 5.0},
    margins={"milk": 0.2, "bread": 1.0, "apple": 0.5},
    stock={"bread": 2, "apple": 50},
    probability={("anna", "milk"): 0.5, ("anna", "bread"): 0.25, ("anna", "butter"): 0.125},
    people={
        "anna": {"age": "34", "card": "gold"},
        "ben": {"age": "16"},
        "zoe": {"age": "17", "card": "gold"},
    },
    audiences={"vip": ["anna", "zoe"], "minors": ["ben", "zoe"]},
    replaced={"old bread": "bread"},
)
NOON = datetime(2018, 1, 2, 12, tzinfo=UTC).timestamp()
FIRST_FIVE = Query(5)
FIVE = ["milk", "bread", "butter", "apple", "cheese"]  # anna's, without rules


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVersion]:
    yield tiny_served(tmp_path_factory.mktemp("store"), SHOP)


def recommender(rules: str, now_s: float = NOON) -> Recommender:
    return Recommender(
        FirstLevel(10, 0), None, book=RuleBook(parse_rules(f"schema = 1\n{rules}"), lambda: now_s)
    )


def names(served: ServedVersion, answer: Answer) -> list[str]:
    return [served.products[row] for row, *_ in answer.picks]


def shown(
    served: ServedVersion, rules: str, customer: str = "anna", query: Query = FIRST_FIVE, now_s: float = NOON
) -> list[str]:
    return names(served, recommender(rules, now_s).recommend(served, customer, query))


def rule(kind: str, **fields: str) -> str:
    lines = [f"{name} = {value}" for name, value in {"id": f'"the-{kind}"', **fields}.items()]
    return "\n".join(["[[rules]]", f'kind = "{kind}"', *lines, ""])


def test_without_rules_answers_are_what_they_were(served: ServedVersion) -> None:
    assert shown(served, "") == FIVE


def test_a_pin_stands_at_its_position_and_the_others_move_on(served: ServedVersion) -> None:
    assert shown(served, rule("pin", products='["plum"]', position="2")) == [
        *("milk", "plum", "bread", "butter", "apple")
    ]


def test_a_pin_that_was_in_the_list_keeps_its_probability_and_isnt_there_twice(served: ServedVersion) -> None:
    answer = recommender(rule("pin", products='["butter"]', position="1")).recommend(served, "anna", Query(3))
    assert names(served, answer) == ["butter", "milk", "bread"]
    assert answer.picks[0][1:] == (Rung.PINNED, 255, 0.125)
    assert answer.pinned == {answer.picks[0][0]: "the-pin"}


def test_a_pin_takes_the_first_of_its_products_that_may_be_shown(served: ServedVersion) -> None:
    pin = rule("pin", products='["unheard of", "cream", "plum"]', position="1")
    assert shown(served, pin)[0] == "plum"  # cream is out of stock
    assert shown(served, pin, query=Query(5, exclude=("plum",))) == FIVE
    assert "plum" not in shown(served, pin, query=Query(5, category="bakery"))


def test_of_two_pins_to_one_position_the_first_in_the_file_counts(served: ServedVersion) -> None:
    both = rule("pin", products='["plum"]', position="1") + rule(
        "pin", id='"second"', products='["cake"]', position="1"
    )
    assert shown(served, both) == ["plum", "milk", "bread", "butter", "apple"]


def test_a_pin_behind_the_last_product_comes_last(served: ServedVersion) -> None:
    pin = rule("pin", products='["rolls"]', position="9")
    assert shown(served, pin, query=Query(10, category="bakery")) == ["bread", "cake", "rolls"]
    assert shown(served, pin) == FIVE  # nobody asked for nine


def test_a_boost_multiplies_the_probability(served: ServedVersion) -> None:
    assert shown(served, rule("boost", brands='["Ofen"]', factor="1.5")) == FIVE  # .375 is less than .5
    assert shown(served, rule("boost", brands='["Ofen"]', factor="3"))[:2] == ["bread", "milk"]


OLD_IDS = {
    "pin": {"products": '["unheard of", "old bread"]', "position": "1"},
    "boost": {"products": '["old bread"]', "factor": "3"},
    "block": {"products": '["old bread"]'},
    "eligible": {"require": '[["product.product_id", "not in", ["old bread", "unheard of"]]]'},
    "exclude_bought": {"products": '["old bread"]', "days": "365"},
    "price": {"products": '["old bread"]', "at_most": "2"},
}


@pytest.mark.parametrize("kind", OLD_IDS)
def test_a_rule_holds_for_what_its_product_is_sold_as_now(served: ServedVersion, kind: str) -> None:
    old, new = (
        rule(kind, **{name: text.replace("old bread", named) for name, text in OLD_IDS[kind].items()})
        for named in ("old bread", "bread")
    )
    assert shown(served, old) == shown(served, new)
    assert shown(served, old) != FIVE


def test_of_what_a_condition_names_by_its_old_id_nothing_else_is_meant(served: ServedVersion) -> None:
    only = rule("eligible", require='[["product.product_id", "=", "old bread"]]')
    assert shown(served, only) == ["bread"]
    assert shown(served, rule("eligible", require='[["product.product_id", "=", "unheard of"]]')) == []


def test_a_bury_divides_it(served: ServedVersion) -> None:
    assert shown(served, rule("bury", products='["milk"]', factor="3"))[:3] == ["bread", "milk", "butter"]


def test_without_probabilities_a_factor_of_two_halves_the_place(served: ServedVersion) -> None:
    # milk, bread, cream (out of stock), apple, butter: apple from place 4 to 2, behind bread which is there
    popular = recommender(rule("boost", products='["apple"]', factor="2")).popular(served, Query(4))
    assert names(served, popular) == ["milk", "bread", "apple", "butter"]
    popular = recommender(rule("boost", products='["apple"]', factor="2.1")).popular(served, Query(4))
    assert names(served, popular) == ["milk", "apple", "bread", "butter"]


def test_factors_count_for_similar_products_and_for_scores(served: ServedVersion) -> None:
    book = recommender(rule("boost", products='["bread"]', factor="2"))
    similar = book.similar(served, served.products.find("milk"), Query(2))
    assert names(served, similar) == ["bread", "butter"]  # .6, .5
    ben = recommender(rule("boost", products='["plum"]', factor="7")).recommend(served, "ben", Query(3))
    assert names(served, ben) == ["apple", "pear", "plum"]  # a boost doesn't leave its rung


@pytest.mark.parametrize(
    "what", ['products = ["milk", "butter", "cheese"]', 'brands = ["Alm"]', 'brands = ["Alm", "unheard of"]']
)
def test_what_is_blocked_is_nowhere(served: ServedVersion, what: str) -> None:
    block = f'[[rules]]\nid = "b"\nkind = "block"\n{what}\n'
    assert shown(served, block) == ["bread", "apple", "rolls", "pear", "yoghurt"]
    all_of_them = shown(served, block, query=Query(100))
    assert len(all_of_them) == 8
    assert not {"milk", "butter", "cheese"} & set(all_of_them)
    assert "butter" not in names(
        served, recommender(block).similar(served, served.products.find("bread"), Query(100))
    )


def test_a_block_beats_a_pin(served: ServedVersion) -> None:
    both = rule("pin", products='["plum"]', position="1") + rule("block", categories='["fruit"]')
    assert shown(served, both) == ["milk", "bread", "butter", "cheese", "rolls"]


def test_a_block_for_a_segment_holds_for_its_members_only(served: ServedVersion) -> None:
    block = rule("block", categories='["dairy"]', segments='["minors"]')
    assert shown(served, block) == FIVE
    assert "milk" not in shown(served, block, "ben", Query(100))
    assert "milk" not in shown(served, block, "zoe", Query(100))  # she never bought anything
    assert "milk" in shown(served, block, "a stranger", Query(100))


@pytest.mark.parametrize("bought", [(), (Trade("milk", False, int(NOON * 1000), None, 1.0),)])
@pytest.mark.parametrize("customer", ["ben", "zoe"])
def test_of_who_was_erased_since_the_night_no_rule_knows_what_the_night_knew(
    served: ServedVersion, customer: str, bought: tuple[Trade, ...]
) -> None:
    block = parse_rules(f"schema = 1\n{rule('block', categories='["dairy"]', segments='["minors"]')}")
    told = told_of(5, bought, erased=3)
    recommends = Recommender(
        FirstLevel(10, 0), None, lambda _: told, book=RuleBook(block, lambda: NOON), clock=lambda: NOON
    )
    assert "milk" in names(served, recommends.recommend(served, customer, Query(100)))
    assert "milk" in names(served, recommends.complements(served, [], customer, Query(100)))


def test_conditions_on_customers_compare_numbers_as_numbers(served: ServedVersion) -> None:
    block = rule("block", categories='["dairy"]', customers='[["age", "<", 18], ["card", "=", "gold"]]')
    assert "milk" in shown(served, block, "ben", Query(100))  # he has no card
    assert "milk" not in shown(served, block, "zoe", Query(100))
    assert "milk" in shown(served, block, "anna", Query(100))


def test_what_requires_something_of_customers_is_for_nobody_else(served: ServedVersion) -> None:
    adults = rule("eligible", categories='["fruit"]', require='[["customer.age", ">=", 18]]')
    assert "apple" in shown(served, adults, "anna", Query(100))
    for customer in ("ben", "zoe", "a stranger"):
        assert not {"apple", "pear", "plum"} & set(shown(served, adults, customer, Query(100)))
        assert len(shown(served, adults, customer, Query(100))) == 8
    assert "apple" not in names(served, recommender(adults).popular(served, Query(100)))


@pytest.mark.parametrize(
    ("require", "allowed"),
    [
        ('["product.margin", ">", 0.2]', {"bread", "apple"}),
        ('["product.margin", ">=", 0.2]', {"bread", "apple", "milk"}),  # as float32 is compared
        ('["product.price", "<", 3]', {"apple", "milk"}),
        ('["product.stock", ">", 2]', {"apple"}),
        ('["product.stock", "in", [2, 50]]', {"apple", "bread"}),
        ('["product.stock", "in", [2.5, 50, 3000000000, 1e300]]', {"apple"}),  # 2.5 isn't 2
        ('["product.stock", "not in", [2.5, 3000000000]]', {"apple", "bread"}),
        ('["product.stock", "<", 3000000000]', {"apple", "bread"}),
        ('["product.price", "in", [3, 1e300]]', {"bread"}),
        ('["product.price", "<", 1e300]', {"milk", "bread", "apple", "butter"}),
        ('["product.brand", "=", "Ofen"]', {"bread", "rolls"}),
        ('["product.brand", "!=", "Ofen"]', {"milk", "butter", "cheese"}),
        (
            '["product.category", "in", ["fruit", "bakery"]]',
            {"bread", "rolls", "cake", "apple", "pear", "plum"},
        ),
        ('["product.category", "not in", ["fruit", "dairy"]]', {"bread", "rolls", "cake"}),
        ('["product.title", "=", "Fresh Milk"]', {"milk"}),
        ('["product.product_id", "in", ["milk", "plum"]]', {"milk", "plum"}),
        ('["product.brand", "=", "Alm"], ["product.price", ">", 1]', {"butter"}),
    ],
)
def test_what_is_not_known_of_a_product_meets_no_condition(
    served: ServedVersion, require: str, allowed: set[str]
) -> None:
    assert set(shown(served, rule("eligible", require=f"[{require}]"), query=Query(100))) == allowed


def test_at_most_n_of_a_brand_and_what_has_none_is_not_counted(served: ServedVersion) -> None:
    cap = rule("cap", per='"brand"', at_most="1")
    assert shown(served, cap, query=Query(7)) == ["milk", "bread", "apple", "pear", "yoghurt", "plum", "cake"]
    named = rule("cap", per='"brand"', at_most="1", names='["Alm"]')
    assert shown(served, named, query=Query(4)) == ["milk", "bread", "apple", "rolls"]


def test_a_cap_of_categories_is_no_word_on_a_category_that_was_asked_for(served: ServedVersion) -> None:
    cap = rule("cap", per='"category"', at_most="1")
    assert shown(served, cap, query=Query(100)) == ["milk", "bread", "apple", "bag"]
    assert len(shown(served, cap, query=Query(100, category="dairy"))) == 4


def test_a_pin_counts_for_a_cap_but_is_not_held_back_by_it(served: ServedVersion) -> None:
    pins = rule("pin", products='["plum"]', position="1") + rule(
        "pin", id='"two"', products='["pear"]', position="2"
    )
    cap = rule("cap", per='"category"', at_most="1")
    assert shown(served, pins + cap, query=Query(100)) == ["plum", "pear", "milk", "bread", "bag"]


CROSSING = TinyShop(
    products={"a1": "a", "b1": "b", "a2": "a", "c1": "c"},
    brands={"a1": "x", "b1": "x", "a2": "y", "c1": "x"},
    popular=("a1", "b1", "a2", "c1"),
    out_of_stock=(),
    similar={"c1": [("a1", 0.5), ("b1", 0.4), ("a2", 0.3)]},
    history={"anna": [Bought("c1"), Bought("b1", due=date(2018, 1, 3)), Bought("a1", due=date(2018, 1, 3))],
             "ben": [Bought(name, due=date(2018, 1, 3)) for name in ("a1", "b1", "a2")], "new": []},
    candidates={"anna": [("a1", "c1"), ("b1", "c1"), ("a2", ""), ("c1", "c1")]},
)  # fmt: skip
ONE_OF_EACH = rule("cap", per='"brand"', at_most="1") + rule("cap", id='"two"', per='"category"', at_most="1")


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> ServedVersion:
    return tiny_served(tmp_path_factory.mktemp("store"), CROSSING)


@pytest.mark.parametrize("customer", ["anna", "new", "nobody"])
def test_limits_of_brand_and_category_leave_no_place_empty(crossing: ServedVersion, customer: str) -> None:
    # a1 has both the brand of b1 and c1 and the category of a2: with it nothing else may come
    assert shown(crossing, ONE_OF_EACH, customer, Query(1)) == ["a1"]
    assert shown(crossing, ONE_OF_EACH, customer, Query(2)) == ["b1", "a2"]
    assert shown(crossing, ONE_OF_EACH, customer, Query(9)) == ["b1", "a2"]
    without_b = Query(2, exclude=("b1",))
    assert shown(crossing, ONE_OF_EACH, customer, without_b) == ["a2", "c1"]
    pinned = ONE_OF_EACH + rule("pin", products='["a1"]', position="2")
    assert shown(crossing, pinned, customer, Query(2)) == ["a1"]
    varied = ONE_OF_EACH + rule("diversity", strength="0.5")
    assert shown(crossing, varied, customer, Query(2)) == ["b1", "a2"]
    # a1 was taken and given up: that a2 is of its category makes it step back no more
    assert shown(crossing, varied.replace("0.5", "1.0"), customer, without_b) == ["a2", "c1"]


def test_so_it_is_on_every_route(crossing: ServedVersion) -> None:
    asked, row = recommender(ONE_OF_EACH), crossing.products.find("c1")
    assert names(crossing, asked.popular(crossing, Query(2))) == ["b1", "a2"]
    assert names(crossing, asked.similar(crossing, row, Query(2))) == ["b1", "a2"]
    in_cart = Query(2, exclude=("c1",))
    assert names(crossing, asked.complements(crossing, [row], None, in_cart)) == ["b1", "a2"]
    assert names(crossing, asked.complements(crossing, [row], "anna", in_cart)) == ["b1", "a2"]
    due = Query(2, objective="reorder", within_days=7)
    assert names(crossing, asked.reorder(crossing, "anna", due)) == ["a1"]  # nothing else that is due fits
    assert sorted(names(crossing, asked.reorder(crossing, "ben", due))) == ["a2", "b1"]


def test_what_was_bought_within_so_many_days_stays_away(served: ServedVersion) -> None:
    # anna bought milk on 28 December and bread on the 20th; it is 2 January
    assert shown(served, rule("exclude_bought", days="4")) == FIVE
    assert shown(served, rule("exclude_bought", days="5"))[:2] == ["bread", "butter"]
    assert shown(served, rule("exclude_bought", days="13"))[:2] == ["butter", "apple"]
    assert shown(served, rule("exclude_bought", days="13", categories='["bakery"]'))[:2] == ["milk", "butter"]
    assert shown(served, rule("exclude_bought", days="5"), now_s=NOON + 86_400) == FIVE


def test_minimum_stock_is_no_word_on_what_nobody_counts(served: ServedVersion) -> None:
    assert shown(served, rule("min_stock", stock="3")) == ["milk", "butter", "apple", "cheese", "rolls"]
    assert shown(served, rule("min_stock", stock="2")) == FIVE


def test_a_price_range_leaves_out_what_has_no_price(served: ServedVersion) -> None:
    assert shown(served, rule("price", at_least="2", at_most="3")) == ["bread", "apple"]
    assert shown(served, rule("price", at_most="1", categories='["dairy"]'), query=Query(3)) == [
        *("milk", "bread", "apple")
    ]


def test_a_rule_holds_at_its_placements_only(served: ServedVersion) -> None:
    block = rule("block", products='["milk"]', placements='["mail", "home"]')
    assert shown(served, block) == FIVE
    assert shown(served, block, query=Query(5, placement="basket")) == FIVE
    assert "milk" not in shown(served, block, query=Query(5, placement="home"))


def test_a_rule_begins_and_ends_by_the_clock_of_the_shop(tmp_path: Path) -> None:
    shop = replace(SHOP, timezone="Europe/Warsaw")
    served = tiny_served(tmp_path, shop)
    block = rule("block", products='["milk"]', starts="2018-01-05", ends="2018-01-06")
    now_s = 0.0
    book = RuleBook(parse_rules(f"schema = 1\n{block}"), lambda: now_s)
    answers = Recommender(FirstLevel(10, 0), None, book=book)

    def is_blocked(*when: int) -> bool:
        nonlocal now_s
        now_s = datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]
        return "milk" not in names(served, answers.recommend(served, "anna", Query(5)))

    assert not is_blocked(2018, 1, 4, 22, 59, 59)
    assert is_blocked(2018, 1, 4, 23)  # midnight in Warsaw
    assert is_blocked(2018, 1, 6, 22, 59, 59)  # a last day counts to its end
    assert not is_blocked(2018, 1, 6, 23)
    assert is_blocked(2018, 1, 5, 12)  # a clock may go back


@pytest.mark.parametrize("ends", ["9999-12-31", "9999-12-31T23:59:59", "9999-12-31T23:59:59-12:00"])
def test_the_last_day_of_the_calendar_is_no_end(served: ServedVersion, ends: str) -> None:
    assert "milk" not in shown(served, rule("block", products='["milk"]', ends=ends))


def test_the_same_customer_at_two_placements_gets_the_rules_of_each(served: ServedVersion) -> None:
    block = rule("boost", products='["bread"]', factor="3", placements='["home"]')
    kept = Recommender(FirstLevel(10, 1), None, book=RuleBook(parse_rules(f"schema = 1\n{block}")))
    for _ in range(2):
        assert names(served, kept.recommend(served, "anna", Query(1, placement="home"))) == ["bread"]
        assert names(served, kept.recommend(served, "anna", Query(1))) == ["milk"]
    assert kept.recommend(served, "anna", Query(1)).level == "worker"


def test_new_rules_count_from_the_next_answer_on(served: ServedVersion) -> None:
    book = RuleBook()
    kept = Recommender(FirstLevel(10, 1), None, book=book)
    assert names(served, kept.recommend(served, "anna", Query(5))) == FIVE
    book.take(parse_rules(f"schema = 1\n{rule('block', products='["milk"]')}"))
    assert names(served, kept.recommend(served, "anna", Query(5)))[0] == "bread"


def test_fills_go_on_beyond_whatever_is_blocked(tmp_path: Path) -> None:
    every = [f"p{number:04}" for number in range(2000)]
    shop = TinyShop(
        products={name: "a" if name == "p1999" else "b" for name in every},
        popular=every,
        out_of_stock=(),
        similar={},
        history={"anna": []},
        candidates={},
        brands=dict.fromkeys(every[:1990], "x"),
    )
    served = tiny_served(tmp_path, shop)
    assert shown(served, rule("block", brands='["x"]'), query=Query(20)) == every[1990:]
    assert shown(served, rule("cap", per='"brand"', at_most="1"), query=Query(20)) == ["p0000", *every[1990:]]
    assert shown(served, rule("cap", per='"category"', at_most="3"), query=Query(20)) == [*every[:3], "p1999"]
