"""What must hold for every answer, and answers of the tiny shop worked out by hand."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.answering.objectives import PROBABILITY
from service.answering.own_list import OwnList, Rung
from service.errors import RefusedError
from service.live.told import Told, told_of
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.placed import PlacedRules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from tests.data.side_by_side import side_by_side
from tests.data.tiny_service import DictCache, tiny_served
from tests.data.tiny_version import VARIANT, Bought, TinyShop

ANNA = PROBABILITY, "anna"


def served_from(shop: TinyShop, root: Path) -> ServedVersion:
    return tiny_served(root, shop)


@pytest.fixture(scope="module")
def tiny() -> Iterator[ServedVersion]:
    with tempfile.TemporaryDirectory() as root:
        yield served_from(TinyShop(), Path(root))


def no_rules(served: ServedVersion) -> PlacedRules:
    return RuleBook().at(served, None)


def without_cache() -> Recommender:
    return Recommender(FirstLevel(10, 0), None)


def happened(epoch: int) -> Told:
    """Something new that is no purchase."""
    return told_of(epoch, [])


def products(served: ServedVersion, customer: str, query: Query) -> list[tuple[str, Rung]]:
    answer = without_cache().recommend(served, customer, query)
    return [(served.products[row], rung) for row, rung, _, _ in answer.picks]


def test_the_own_list_comes_first_then_what_was_not_in_it_by_popularity(tiny: ServedVersion) -> None:
    assert products(tiny, "ben", Query(n=5)) == [
        ("apple", Rung.OWN),
        ("pear", Rung.OWN),
        ("plum", Rung.SCORES),  # apple's neighbours are pear, which is taken, and plum
        ("milk", Rung.POPULAR),
        ("bread", Rung.POPULAR),
    ]


def test_lists_as_long_as_a_small_catalogue_answer_as_long_ones(tiny: ServedVersion, tmp_path: Path) -> None:
    short = served_from(TinyShop(places=12), tmp_path)
    for customer in ("anna", "ben", "nobody"):
        for query in (Query(n=3), Query(n=11)):
            assert products(short, customer, query) == products(tiny, customer, query)


def test_scores_add_up_over_the_history_and_the_strongest_product_is_the_anchor(tmp_path: Path) -> None:
    shop = replace(TinyShop(), candidates={})
    served = served_from(shop, tmp_path)
    answer = without_cache().recommend(served, "anna", Query(n=4))
    # butter 0.5 + 0.4 from milk and bread; cheese 0.35 from bread; bread 0.3 from milk; rolls 0.2 from bread;
    # cream is out of stock
    found = [(served.products[row], rung, evidence) for row, rung, evidence, _ in answer.picks]
    assert found == [
        ("butter", Rung.SCORES, 0),
        ("cheese", Rung.SCORES, 1),
        ("bread", Rung.SCORES, 0),
        ("rolls", Rung.SCORES, 1),
    ]
    assert answer.source == "personal"


def test_with_a_category_every_fill_stays_within_it(tiny: ServedVersion) -> None:
    assert products(tiny, "ben", Query(n=10, category="bakery")) == [
        ("bread", Rung.CATEGORY),
        ("rolls", Rung.CATEGORY),
        ("cake", Rung.CATEGORY),
    ]


def test_an_answer_without_a_personal_product_does_not_call_itself_personal(tiny: ServedVersion) -> None:
    assert without_cache().recommend(tiny, "ben", Query(n=2, category="bakery")).source == "popular"


def test_a_list_that_the_night_filled_with_popular_products_is_not_personal(tmp_path: Path) -> None:
    served = served_from(replace(TinyShop(), candidates={"7": [("milk", ""), ("apple", "")]}), tmp_path)
    answer = without_cache().recommend(served, "7", Query(n=2))
    assert [rung for _, rung, _, _ in answer.picks] == [Rung.OWN, Rung.OWN]
    assert answer.source == "popular"


def test_ids_are_text_so_7_is_not_007(tiny: ServedVersion) -> None:
    assert products(tiny, "7", Query(n=1)) == [("cake", Rung.OWN)]
    assert products(tiny, "007", Query(n=1)) == [("plum", Rung.OWN)]


@pytest.mark.parametrize("objective", ["reorder", "value", "discovery"])
def test_an_id_that_is_written_like_a_question_about_another_customer_is_nobodys(
    tiny: ServedVersion, objective: str
) -> None:
    recommender = Recommender(FirstLevel(10, 1.0), None)
    recommender.recommend(tiny, "anna", Query(objective=objective))
    answer = recommender.recommend(tiny, f"{objective}\nanna", Query())
    assert (answer.own, answer.source) == (None, "popular")


def test_an_unknown_category_is_refused_by_name(tiny: ServedVersion) -> None:
    with pytest.raises(RefusedError) as caught:
        products(tiny, "anna", Query(category="shoes"))
    assert (caught.value.kind, caught.value.field) == ("unknown_category", "category")


def test_filters_read_on_beyond_the_part_of_the_list_that_is_cached(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(150)]
    shop = TinyShop(
        products={name: "deep" if name == "p140" else "broad" for name in names},
        popular=names[:1],
        out_of_stock=(),
        similar={},
        history={"anna": [Bought("p0")]},
        candidates={"anna": [(name, "p0") for name in names]},
    )
    served = served_from(shop, tmp_path)
    assert products(served, "anna", Query(n=1, category="deep")) == [("p140", Rung.OWN)]


def test_a_product_bought_longer_ago_than_a_byte_tells_still_says_when(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(300)]
    bought = [Bought(name, date(2017, 12, 1), times=2, interval_days=5) for name in names]
    bought[280] = Bought("p280", date(2016, 2, 29), times=3, interval_days=9)
    shop = TinyShop(
        products=dict.fromkeys(names, "all"),
        popular=names[:1],
        out_of_stock=(),
        similar={},
        history={"anna": bought},
        candidates={"anna": [("p280", "p280"), ("p253", "p253"), ("p254", "p254")]},
    )
    served = served_from(shop, tmp_path)
    answer = without_cache().recommend(served, "anna", Query(n=3))
    body = json.loads(AnswerWriter(served).recommendations("anna", answer))
    assert body["source"] == "personal"
    assert [item["reason"]["evidence"] for item in body["recommendations"]] == [
        {"times": 3, "interval_days": 9.0, "last_purchased_on": "2016-02-29"},
        {"times": 2, "interval_days": 5.0, "last_purchased_on": "2017-12-01"},
        {"times": 2, "interval_days": 5.0, "last_purchased_on": "2017-12-01"},
    ]


def test_a_list_planted_for_another_customer_is_a_miss(tiny: ServedVersion) -> None:
    cache = DictCache()
    recommender = Recommender(FirstLevel(10, 0), cache)
    right = recommender.recommend(tiny, "anna", Query())
    recommender.recommend(tiny, "ben", Query())
    keys = {customer: (tiny.version_id, VARIANT, customer, 0) for customer in ("anna", "ben")}
    cache.lists[keys["anna"]] = cache.lists[keys["ben"]]
    answer = recommender.recommend(tiny, "anna", Query())
    assert (answer.level, answer.picks) == ("map", right.picks)
    assert recommender.recommend(tiny, "anna", Query()).level == "redis"  # it was made again


def test_the_first_level_ends_with_its_life_its_version_and_its_epoch(
    tiny: ServedVersion, tmp_path: Path
) -> None:
    now_s = 0.0
    first_level = FirstLevel(2, 1.0, clock=lambda: now_s)
    rules, other = no_rules(tiny), no_rules(served_from(TinyShop(), tmp_path))
    own = OwnList(tiny, 0, None, tiny.candidates(0), rules, rules.of_nobody())
    assert first_level.get(ANNA, rules, None) is None
    first_level.put(ANNA, own)
    assert first_level.get(ANNA, rules, None) is own
    assert first_level.get(ANNA, rules, happened(1)) is None
    assert first_level.get(ANNA, no_rules(tiny), None) is None  # other rules
    assert first_level.get(ANNA, other, None) is None
    assert first_level.get(ANNA, rules, None) is None  # nothing of a version outlasts it
    first_level.put(ANNA, own)
    now_s = 1.1
    assert first_level.get(ANNA, rules, None) is None


def test_the_first_level_lets_the_list_go_that_was_made_first(tiny: ServedVersion) -> None:
    first_level, rules = FirstLevel(2, 1.0), no_rules(tiny)
    own = OwnList(tiny, 0, None, tiny.candidates(0), rules, rules.of_nobody())
    first_level.get(ANNA, rules, None)
    for customer_id in ("anna", "ben", "anna", "carla"):
        first_level.put((PROBABILITY, customer_id), own)
    kept = [name for name in ("anna", "ben", "carla") if first_level.get((PROBABILITY, name), rules, None)]
    assert kept == ["anna", "carla"]


def test_a_version_may_warm_up_in_another_thread_while_lists_come_and_go(
    tiny: ServedVersion, tmp_path: Path
) -> None:
    first_level, other = FirstLevel(1, 60.0), served_from(TinyShop(), tmp_path)

    def use(*each: ServedVersion) -> None:
        for served in each:
            rules = no_rules(served)
            own = OwnList(served, 0, None, served.candidates(0), rules, rules.of_nobody())
            for number in range(20_000):
                first_level.get((PROBABILITY, str(number)), rules, None)
                first_level.put((PROBABILITY, str(number)), own)

    # First the two versions by turns, then both threads on the one that came.
    assert side_by_side(lambda: use(tiny, other), lambda: use(other, other)) == []


def test_a_list_put_after_its_version_was_left_is_not_kept(tiny: ServedVersion, tmp_path: Path) -> None:
    first_level = FirstLevel(2, 1.0)
    first_level.get(ANNA, no_rules(served_from(TinyShop(), tmp_path)), None)
    rules = no_rules(tiny)
    first_level.put(ANNA, OwnList(tiny, 0, None, tiny.candidates(0), rules, rules.of_nobody()))
    assert not first_level._lists


def test_only_lists_of_customers_with_something_new_are_cached(tiny: ServedVersion) -> None:
    cache, news = DictCache(), {"anna": happened(1)}
    recommender = Recommender(FirstLevel(10, 0), cache, news.get, only_changed=True)
    levels = [recommender.recommend(tiny, name, Query()).level for name in ("anna", "ben", "anna", "ben")]
    assert levels == ["map", "map", "redis", "map"]
    assert list(cache.lists) == [(tiny.version_id, VARIANT, "anna", 1)]


def test_a_raised_epoch_leaves_every_older_list_behind(tiny: ServedVersion) -> None:
    cache, news = DictCache(), {"anna": happened(1)}
    recommender = Recommender(FirstLevel(10, 1), cache, news.get)

    def level() -> str:
        return recommender.recommend(tiny, "anna", Query()).level

    assert [level(), level()] == ["map", "worker"]
    news["anna"] = happened(2)
    assert level() == "map"
    cache.lists[tiny.version_id, VARIANT, "anna", 3] = cache.lists[tiny.version_id, VARIANT, "anna", 2]
    news["anna"] = happened(3)
    assert level() == "map"  # the value says of which epoch it is


def test_the_level_of_a_customer_nobody_knows_is_what_their_answer_comes_from(tiny: ServedVersion) -> None:
    assert without_cache().recommend(tiny, "nobody", Query()).level == "popular"
    assert without_cache().recommend(tiny, "nobody", Query(category="bakery")).level == "category"


IDS = [f"p{number}" for number in range(12)]


@st.composite
def shops(draw: st.DrawFn) -> TinyShop:
    names = IDS[: draw(st.integers(1, len(IDS)))]
    some = st.lists(st.sampled_from(names), unique=True)
    pairs = st.lists(
        st.tuples(st.sampled_from(names), st.floats(0.125, 1, width=32)),
        max_size=4,
        unique_by=lambda pair: pair[0],
    )
    bought = draw(some)
    return TinyShop(
        products={name: draw(st.sampled_from(["", "a", "b"])) for name in names},
        titles={name: draw(st.text(st.characters(codec="utf-8"), max_size=4)) for name in names},
        prices={},
        out_of_stock=draw(some),
        popular=draw(some),
        recent_buyers={},
        similar={name: draw(pairs) for name in names[:4]},
        alike={name: draw(some) for name in names[:4]},
        history={"anna": [Bought(name, date(2017, 12, 1)) for name in bought], "new": []},
        candidates={"anna": [(name, draw(st.sampled_from(["", *bought]))) for name in draw(some)]},
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shop=shops(),
    customer=st.sampled_from(["anna", "new", "nobody"]),
    n=st.integers(1, 20),
    category=st.sampled_from([None, "a", "b"]),
    exclude=st.lists(st.sampled_from([*IDS, "unheard of"]), max_size=5),
)
def test_asked_n_got_n_none_twice_none_excluded_none_out_of_stock(
    shop: TinyShop, customer: str, n: int, category: str | None, exclude: list[str]
) -> None:
    if category not in shop.products.values():
        category = None
    query = Query(n, category, tuple(exclude))
    eligible = {
        product
        for product, its in shop.products.items()
        if product not in shop.out_of_stock and product not in exclude and category in (None, its)
    }
    with tempfile.TemporaryDirectory() as root:
        served = served_from(shop, Path(root))
        recommender = Recommender(FirstLevel(10, 1), DictCache())
        answer = recommender.recommend(served, customer, query)
        found = [served.products[row] for row, _, _, _ in answer.picks]
        assert len(found) == len(set(found)) == min(n, len(eligible))
        assert set(found) <= eligible
        own = [product for product, _ in shop.candidates.get(customer, ()) if product in eligible]
        assert found[: len(own)] == own[:n]
        again = recommender.recommend(served, customer, query)
        from_redis = Recommender(FirstLevel(10, 0), recommender._cache).recommend(served, customer, query)
        assert again.picks == from_redis.picks == answer.picks
        body = json.loads(AnswerWriter(served).recommendations(customer, answer))
        assert [item["product_id"] for item in body["recommendations"]] == found
        assert [item["rank"] for item in body["recommendations"]] == list(range(1, len(found) + 1))
        codes = {item["reason"]["code"] for item in body["recommendations"]}
        own_codes = {"due_again", "bought_before", "because_you_bought"}
        assert (body["source"] == "personal") == bool(codes & own_codes)
        for item in body["recommendations"]:
            assert item["title"] == (shop.titles[item["product_id"]] or item["product_id"])
            assert item["probability"] == shop.probability.get((customer, item["product_id"]))
        for similar_to in list(shop.products)[:2]:
            picks = recommender.similar(served, served.products.find(similar_to), query).picks
            assert similar_to not in [served.products[row] for row, _, _, _ in picks]
            assert len({row for row, _, _, _ in picks}) == len(picks)
            if category is None:
                assert len(picks) == min(n, len(eligible - {similar_to}))


def test_probabilities_stand_beside_the_own_list_and_beside_nothing_else(tmp_path: Path) -> None:
    shop = TinyShop(
        probability={("anna", "milk"): 0.71234, ("anna", "bread"): 0.00004, ("ben", "apple"): 1.0}
    )
    served = served_from(shop, tmp_path)
    cache = DictCache()
    for recommender in (Recommender(FirstLevel(10, 0), cache), Recommender(FirstLevel(10, 0), cache)):
        told = {}
        for customer in ("anna", "ben", "nobody"):
            answer = recommender.recommend(served, customer, Query(n=8))
            body = json.loads(AnswerWriter(served).recommendations(customer, answer))
            told[customer] = {item["product_id"]: item["probability"] for item in body["recommendations"]}
        assert told["anna"]["milk"] == 0.712
        assert told["anna"]["bread"] == pytest.approx(0.00004, rel=0.01)
        assert told["anna"]["butter"] is None  # in the list, but nothing is known of it
        assert told["ben"]["apple"] == 0.999  # nothing is certain
        assert set(told["anna"].values()) - {None} == {0.712, told["anna"]["bread"]}
        assert set(told["nobody"].values()) == {None}
    assert len(cache.lists) == 2
