"""What is like a product above it steps back: answers worked out by hand, and against a slow judge."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.answering.first_level import FirstLevel
from service.answering.packed import Columns
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.diversity import LOOK_AHEAD, Above, diverse
from service.rules.reading import parse_rules
from service.rules.ruling import in_new_order
from service.versions.served import ServedVersion
from service.web.parameters import Query
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import TinyShop

# anna's list: milk .5, cream (out of stock), bread .25, butter .125; apple counts .125 x 3/4 = .094
SHOP = replace(
    TinyShop(),
    brands={"milk": "Alm", "butter": "Alm", "cheese": "Alm", "bread": "Ofen", "rolls": "Ofen"},
    prices={"butter": 5.0},
    margins={"milk": 0.2, "bread": 1.0, "apple": 0.5},
    probability={("anna", "milk"): 0.5, ("anna", "bread"): 0.25, ("anna", "butter"): 0.125},
    audiences={"vip": ["anna"]},
)
PLAIN = ["milk", "bread", "butter", "apple"]
FOUR = Query(4)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedVersion:
    return of_shop(SHOP, tmp_path_factory.mktemp("store"))


def of_shop(shop: TinyShop, folder: Path) -> ServedVersion:
    return tiny_served(folder, shop)


def variety(strength: float, more: str = "") -> str:
    return f'[[rules]]\nid = "v{strength}"\nkind = "diversity"\nstrength = {strength}\n{more}\n'


def of_rules(rules: str, life_s: float = 0) -> Recommender:
    return Recommender(FirstLevel(10, life_s), None, book=RuleBook(parse_rules(f"schema = 1\n{rules}")))


def shown(served: ServedVersion, rules: str, customer: str = "anna", query: Query = FOUR) -> list[str]:
    answer = of_rules(rules).recommend(served, customer, query)
    return [served.products[row] for row, *_ in answer.picks]


@pytest.mark.parametrize(
    ("strength", "listed"),
    [
        (0, PLAIN),
        (0.2, PLAIN),  # butter, of milk's category and brand, counts .1, still more than apple
        (0.25, PLAIN),  # the same as apple, and it stood before it
        (0.3, ["milk", "bread", "apple", "butter"]),
        (1, ["milk", "bread", "apple", "butter"]),  # what counts nothing is still better than another rung
    ],
)
def test_what_is_like_a_product_above_loses_a_share_of_its_score(
    served: ServedVersion, strength: float, listed: list[str]
) -> None:
    assert shown(served, "") == PLAIN
    assert shown(served, variety(strength)) == listed


def test_another_brand_of_the_category_is_three_quarters_alike(tmp_path: Path) -> None:
    served = of_shop(replace(SHOP, brands={"milk": "Alm", "butter": "Hof"}), tmp_path)
    assert shown(served, variety(0.3)) == PLAIN  # butter .125 x .775 = .097
    assert shown(served, variety(0.4)) == ["milk", "bread", "apple", "butter"]  # .0875


def test_the_same_brand_of_another_category_is_a_quarter_alike(tmp_path: Path) -> None:
    served = of_shop(replace(SHOP, brands={"bread": "Alm", "butter": "", "apple": "Alm"}), tmp_path)
    # bread .25 x .75 = .19 stands before all else; then butter .125 x .25 = .03, apple .094 x .75 = .07
    assert shown(served, variety(1)) == ["milk", "bread", "apple", "butter"]


def test_without_categories_products_are_alike_that_the_same_customers_bought(tmp_path: Path) -> None:
    shop = TinyShop(
        products=dict.fromkeys("abcd", ""),
        similar={"a": [("b", 0.8)], "d": [("c", 0.5)]},
        history={"anna": []},
        candidates={"anna": [(name, "") for name in "abcd"]},
        probability={("anna", name): p for name, p in zip("abcd", (0.5, 0.4, 0.3, 0.25), strict=True)},
        titles={},
        prices={},
        out_of_stock=(),
        popular=(),
        recent_buyers={},
    )
    served = of_shop(shop, tmp_path)
    # b, in the list of a, counts .4 x .6 = .24, so c comes before it; d has c in its list: .25 x .75 = .19
    assert shown(served, variety(0.5)) == ["a", "c", "b", "d"]


def test_a_pin_stays_in_its_place_and_what_is_like_it_steps_back(served: ServedVersion) -> None:
    pin = '[[rules]]\nid = "p"\nkind = "pin"\nproducts = ["cake"]\nposition = 3\n'
    # bread, three quarters like cake, counts .0625, less than apple's .094
    assert shown(served, variety(1) + pin, query=Query(5)) == ["milk", "apple", "cake", "bread", "butter"]


@pytest.mark.parametrize("hidden", ["block", "query"])
def test_what_isnt_shown_makes_nothing_step_back(served: ServedVersion, hidden: str) -> None:
    block = '[[rules]]\nid = "b"\nkind = "block"\nproducts = ["milk"]\n' if hidden == "block" else ""
    query = Query(3, exclude=() if block else ("milk",))
    assert shown(served, variety(1) + block, query=query) == ["bread", "butter", "apple"]


def test_within_one_category_all_are_alike_and_their_order_stays(served: ServedVersion) -> None:
    dairy = Query(4, category="dairy")
    assert shown(served, variety(1), query=dairy) == shown(served, "", query=dairy)


def test_a_stranger_gets_variety_too(served: ServedVersion) -> None:
    # after apple, butter and rolls count nothing, pear 1/5 x 1/4, and the bag, the last of eleven, 1/11
    assert shown(served, variety(1), "a stranger", Query(5)) == ["milk", "bread", "apple", "bag", "pear"]


def test_by_value_a_share_of_the_value_is_lost(served: ServedVersion) -> None:
    value = Query(4, objective="value")
    assert shown(served, "", query=value) == ["bread", "butter", "milk", "apple"]  # .25, .156, .1, unknown
    assert shown(served, variety(1), query=value) == ["bread", "butter", "apple", "milk"]


def test_a_boost_counts_before_variety(served: ServedVersion) -> None:
    boost = '[[rules]]\nid = "b"\nkind = "boost"\nproducts = ["butter"]\nfactor = 1.9\n'
    # butter .2375; apple, fifth and without a probability, what butter's .125, fourth, falls to there: .1
    assert shown(served, variety(0.5) + boost) == PLAIN  # .119
    assert shown(served, variety(0.6) + boost) == ["milk", "bread", "apple", "butter"]  # .095


def test_a_cap_holds_beside_it(served: ServedVersion) -> None:
    cap = '[[rules]]\nid = "c"\nkind = "cap"\nper = "brand"\nat_most = 1\n'
    assert shown(served, variety(0.1) + cap) == ["milk", "bread", "apple", "pear"]


def test_of_two_rules_the_first_one_that_holds_counts(served: ServedVersion) -> None:
    quiet_mail = variety(0, 'placements = ["mail"]') + variety(1)
    assert shown(served, quiet_mail, query=Query(4, placement="mail")) == PLAIN
    assert shown(served, quiet_mail)[2] == "apple"
    for_some = variety(1, 'segments = ["vip"]')
    assert shown(served, for_some)[2] == "apple"
    assert shown(served, for_some, "a stranger") == shown(served, "", "a stranger")


def test_only_recommendations_are_varied_and_not_what_is_due_again(served: ServedVersion) -> None:
    plain, varied = of_rules(""), of_rules(variety(1))
    due = Query(4, objective="reorder")
    milk = served.products.find("milk")
    for ask in (
        lambda one: one.recommend(served, "anna", due),
        lambda one: one.popular(served, Query(11)),
        lambda one: one.similar(served, milk, Query(11)),
        lambda one: one.complements(served, [milk], "anna", Query(8)),
        lambda one: one.reorder(served, "anna", Query(4, within_days=30)),
    ):
        assert ask(varied).picks == ask(plain).picks


def test_a_second_answer_is_the_first_one_until_the_shelf_changes(tmp_path: Path) -> None:
    served = of_shop(SHOP, tmp_path)
    kept = of_rules(variety(1), life_s=10)
    first = kept.recommend(served, "anna", FOUR)
    again = kept.recommend(served, "anna", FOUR)
    assert (first.level, again.level) == ("map", "worker")
    assert again.picks == first.picks
    assert len(kept.recommend(served, "anna", Query(3)).picks) == 3
    served.shelf.in_stock[served.products.find("milk")] = False
    served.shelf.changes += 1
    found = [served.products[row] for row, *_ in kept.recommend(served, "anna", Query(3)).picks]
    assert found == ["bread", "butter", "apple"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scores=st.lists(st.integers(0, 20).map(lambda n: n / 20), max_size=12),
    products=st.permutations(list(SHOP.products)),
    strength=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    pinned=st.lists(st.sampled_from(list(SHOP.products)), max_size=2),
    refused=st.sets(st.sampled_from(list(SHOP.products)), max_size=3),
)
def test_each_product_is_the_one_that_counts_most_and_a_refused_one_counts_for_none(
    served: ServedVersion,
    scores: list[float],
    products: list[str],
    strength: float,
    pinned: list[str],
    refused: set[str],
) -> None:
    rows = [served.products.find(name) for name in products]
    entries = [
        (score, (row, 0, score)) for score, row in zip(sorted(scores, reverse=True), rows, strict=False)
    ]
    pins = [served.products.find(name) for name in pinned]
    bad = {served.products.find(name) for name in refused}
    above, order = Above(served, pins), []
    for row, *_ in diverse(iter(entries), strength, above):
        order.append(row)
        if row not in bad:
            above.add(row)
    assert order == slowly(served, entries, strength, pins, bad)
    if strength == 0:
        assert order == [entry[0] for _, entry in entries]


def slowly(
    served: ServedVersion,
    entries: list[tuple[float, tuple[int, int, float]]],
    strength: float,
    pins: list[int],
    bad: set[int],
) -> list[int]:
    left = {entry[0]: score for score, entry in entries}
    above, order = list(pins), []
    while left:
        counts = {
            row: score * (1 - strength * max((alike(served, row, one) for one in above), default=0))
            for row, score in left.items()
        }
        best = max(counts, key=lambda row: counts[row])  # of equals the first
        order.append(best)
        above += [] if best in bad else [best]
        del left[best]
    return order


def alike(served: ServedVersion, row: int, above: int) -> float:
    """Two products, by the words of the docs."""
    one, other = served.products[row], served.products[above]
    is_brand = SHOP.brands.get(one) is not None and SHOP.brands.get(one) == SHOP.brands.get(other)
    known = SHOP.products[one], SHOP.products[other]
    found = 0.25 * is_brand
    if known[0] and known[0] == known[1]:
        return 0.75 + found
    if not known[0]:
        found = max(found, dict(SHOP.similar.get(one, ())).get(other, 0))
    if not known[1]:
        found = max(found, dict(SHOP.similar.get(other, ())).get(one, 0))
    return found


def test_no_more_products_are_looked_at_than_it_takes(served: ServedVersion) -> None:
    milk, butter = served.products.find("milk"), served.products.find("butter")
    looked = 0

    def endless() -> Iterator[tuple[float, tuple[int, int, float]]]:
        nonlocal looked
        while True:
            looked += 1
            yield 0.5, (butter, 0, 0.5)

    above = Above(served, [milk])
    for row, *_ in islice(diverse(endless(), 1.0, above), 10):
        above.add(row)
    assert looked <= 10 + LOOK_AHEAD + 1


@given(
    scores=st.lists(st.one_of(st.floats(0.001, 1), st.just(float("nan"))), min_size=1, max_size=12),
    moved=st.sets(st.integers(0, 11)),
    factor=st.sampled_from([0.2, 3.0]),
)
def test_a_list_in_a_new_order_has_falling_scores(
    scores: list[float], moved: set[int], factor: float
) -> None:
    columns = Columns.of([(row, 0, score) for row, score in enumerate(scores)])
    away = sorted((-factor * columns.score_at(at), at) for at in moved if at < len(scores))
    found = list(in_new_order(columns, away))
    counts = [score for score, _ in found]
    assert counts == sorted(counts, reverse=True)
    assert sorted(entry[0] for _, entry in found) == list(range(len(scores)))
