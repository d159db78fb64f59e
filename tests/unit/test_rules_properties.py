"""What must hold for every shop, every file of rules and every customer."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import combinations
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.answering.first_level import FirstLevel
from service.answering.own_list import Rung
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.file import (
    AnyRule,
    Block,
    Boost,
    Bury,
    Cap,
    Diversity,
    Eligible,
    ExcludeBought,
    MinStock,
    Pin,
    PriceRange,
    Rule,
    Scoped,
)
from service.rules.reading import Rules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from tests.data.tiny_service import DictCache, tiny_served
from tests.data.tiny_version import Bought, TinyShop

SHOPS = 8
IDS = [f"p{number}" for number in range(10)]
BRANDS, CATEGORIES = ["x", "y", "z"], ["a", "b"]
TODAY = date(2018, 1, 2)
NOW_S = datetime(2018, 1, 2, 12, tzinfo=UTC).timestamp()
PEOPLE = ["anna", "new", "prospect", "nobody"]

some_ids = st.lists(st.sampled_from([*IDS, "unheard of"]), max_size=4)
some_names = {
    "products": some_ids,
    "brands": st.lists(st.sampled_from([*BRANDS, "unheard of"]), max_size=2),
    "categories": st.lists(st.sampled_from([*CATEGORIES, "unheard of"]), max_size=1),
}
who = {
    "segments": st.sampled_from([(), (), ("vip",), ("unheard of",)]),
    "customers": st.sampled_from([(), (), (("age", "<", 18),), (("card", "=", "gold"),)]),
    "placements": st.sampled_from([(), (), ("home",)]),
    "starts": st.sampled_from([None, None, date(2018, 1, 2), date(2018, 1, 3)]),
}
some_caps = st.sampled_from([(), (), ("x", "a"), ("unheard of",)])
requirements = st.lists(
    st.sampled_from(
        [
            ("product.price", "<", 3),
            ("product.brand", "!=", "x"),
            ("product.stock", ">=", 1),
            ("customer.age", ">=", 18),
        ]
    ),
    min_size=1,
    max_size=2,
)
KINDS: list[tuple[type[AnyRule], dict[str, st.SearchStrategy[object]]]] = [
    (Pin, {"products": some_ids, "position": st.integers(1, 6)}),
    (Boost, some_names | {"factor": st.floats(1.1, 50)}),
    (Bury, some_names | {"factor": st.floats(1.1, 50)}),
    (Block, some_names),
    (Eligible, some_names | {"require": requirements}),
    (Cap, {"per": st.just("brand"), "at_most": st.integers(1, 3), "names": some_caps}),
    (Cap, {"per": st.just("category"), "at_most": st.integers(1, 3), "names": some_caps}),
    (Diversity, {"strength": st.floats(0, 1)}),
    (ExcludeBought, some_names | {"days": st.integers(1, 40)}),
    (MinStock, some_names | {"stock": st.integers(1, 5)}),
    (PriceRange, some_names | {"at_least": st.integers(0, 2), "at_most": st.integers(2, 5)}),
]


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    made: list[Rule] = []
    for number in range(draw(st.integers(0, 5))):
        kind, fields = draw(st.sampled_from(KINDS))
        values = {name: draw(strategy) for name, strategy in (fields | who).items()}
        try:
            word = kind.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
            made.append(kind(id=f"r{number}", kind=word, **values))  # type: ignore[arg-type,call-arg]
        except ValueError:
            continue  # it names nothing
    return tuple(made)


def made_up_shop(seed: int) -> TinyShop:
    """Writing a version takes long, so there are a few shops, each with whatever may be odd about one."""
    rng = Random(seed)
    names = IDS[: rng.randint(1, len(IDS)) if seed else len(IDS)]

    def some(most: int = len(IDS)) -> list[str]:
        return rng.sample(names, rng.randint(0, min(most, len(names))))

    bought, candidates = some(), some()
    purchases = [Bought(name, date(2017, 12, rng.randint(1, 31))) for name in bought]
    purchases.sort(key=lambda purchase: purchase.last, reverse=True)  # as a night writes them
    return TinyShop(
        products={name: rng.choice(["", *CATEGORIES]) for name in names},
        brands={name: rng.choice(BRANDS) for name in some()},
        prices={name: rng.randint(0, 5) for name in some()},
        stock={name: rng.randint(0, 5) for name in some()},
        titles={},
        out_of_stock=some(2),
        popular=some(),
        recent_buyers={},
        similar={name: [(other, rng.choice([0.5, 0.25])) for other in some(3)] for name in names[:3]},
        history={"anna": purchases, "new": []},
        candidates={"anna": [(name, rng.choice(["", *bought])) for name in candidates]},
        probability={("anna", name): rng.choice([0.5, 0.25, 0.125]) for name in candidates[:3]},
        people={"anna": {"age": "34", "card": rng.choice(["gold", "none"])}, "prospect": {"age": "12"}},
        audiences={"vip": rng.sample(PEOPLE[:3], 2)},
    )


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[TinyShop, ServedVersion]]:
    made = []
    for seed in range(SHOPS):
        shop = made_up_shop(seed)
        made.append((shop, tiny_served(tmp_path_factory.mktemp("store"), shop)))
    return made


@dataclass(frozen=True)
class Judge:
    """The rules once more, one product after another, as a person would read them."""

    shop: TinyShop
    rules: tuple[Rule, ...]
    customer: str
    query: Query

    def concerns(self, rule: Rule) -> bool:
        columns = self.shop.people.get(self.customer, {})
        tests = {
            ("age", "<", 18): int(columns.get("age", "99")) < 18,
            ("card", "=", "gold"): columns.get("card") == "gold",
        }
        return (
            (not rule.segments or any(self.customer in self.shop.audiences.get(s, ()) for s in rule.segments))
            and all(tests[test] for test in rule.customers)  # type: ignore[index]
            and (not rule.placements or self.query.placement in rule.placements)
            and (rule.starts is None or rule.starts <= TODAY)
        )

    @property
    def holding(self) -> list[Rule]:
        return [rule for rule in self.rules if self.concerns(rule)]

    def may_show(self, product: str) -> bool:
        if product in self.query.exclude or self.stock(product) == 0:
            return False
        if self.query.category not in (None, self.shop.products[product]):
            return False
        owned = {bought.product for bought in self.shop.history.get(self.customer, ())}
        if self.query.objective == "discovery" and product in owned:
            return False
        return not any(self.hides(rule, product) for rule in self.holding)

    def stock(self, product: str) -> int | None:
        return 0 if product in self.shop.out_of_stock else self.shop.stock.get(product)

    def hides(self, rule: Rule, product: str) -> bool:
        if not isinstance(rule, Scoped) or not self.is_about(rule, product):
            return False
        price, stock = self.shop.prices.get(product), self.stock(product)
        match rule:
            case MinStock():
                return stock is not None and stock < rule.stock
            case PriceRange():
                return price is None or not rule.at_least <= price <= rule.at_most  # type: ignore[operator]
            case ExcludeBought():
                bought = {b.product: b.last for b in self.shop.history.get(self.customer, ())}
                return product in bought and (TODAY - bought[product]).days <= rule.days
            case Eligible():
                return not self.meets(rule, product)
        return isinstance(rule, Block)

    def meets(self, rule: Eligible, product: str) -> bool:
        price, stock = self.shop.prices.get(product), self.stock(product)
        age = self.shop.people.get(self.customer, {}).get("age")
        met = {
            "product.price": price is not None and price < 3,
            "product.brand": self.shop.brands.get(product) in ("y", "z"),
            "product.stock": stock is not None and stock >= 1,
            "customer.age": age is not None and int(age) >= 18,
        }
        return all(met[column] for column, *_ in rule.require)

    def is_about(self, rule: Scoped, product: str) -> bool:
        return rule.is_about_all or (
            product in rule.products
            or self.shop.brands.get(product) in rule.brands
            or self.shop.products[product] in rule.categories
        )

    def pins(self, n: int) -> dict[int, str]:
        """The pins that must be shown, by position."""
        pins = [rule for rule in self.holding if isinstance(rule, Pin)]
        at: dict[int, str] = {}
        for pin in sorted(pins, key=lambda pin: pin.position):
            free = (
                p
                for p in pin.products
                if p in self.shop.products and self.may_show(p) and p not in at.values()
            )
            product = next(free, None)
            if product and pin.position <= n and pin.position not in at:
                at[pin.position] = product
        return at

    def breaks_limits(self, products: Iterable[str], pinned: Iterable[str]) -> bool:
        """Whether there are too many of a group. Pins count, and are in it whatever others do."""
        for rule in self.holding:
            if isinstance(rule, Cap) and not (rule.per == "category" and self.query.category):
                groups = self.shop.brands if rule.per == "brand" else self.shop.products
                named = {
                    name: group for name, group in groups.items() if group in rule.names or not rule.names
                }
                counts = Counter(map(named.get, (*products, *pinned)))
                if any(counts[group] > rule.at_most for group in map(named.get, products) if group):
                    return True
        return False

    def longest(self, eligible: list[str], pinned: Iterable[str]) -> list[str]:
        """Of all answers that keep the limits and are as long as can be the first in this order."""
        lengths = range(min(self.query.n - len(tuple(pinned)), len(eligible)), -1, -1)
        every = (products for length in lengths for products in combinations(eligible, length))
        return list(next(products for products in every if not self.breaks_limits(products, pinned)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(0, SHOPS - 1),
    made=rules(),
    customer=st.sampled_from(PEOPLE),
    n=st.integers(1, 12),
    objective=st.sampled_from(["probability", "probability", "value", "discovery"]),
    category=st.sampled_from([None, None, "a"]),
    placement=st.sampled_from([None, "home", "mail"]),
    exclude=st.lists(st.sampled_from([*IDS, "unheard of"]), max_size=2),
)
def test_every_answer_keeps_every_rule_and_is_as_long_as_it_can_be(
    versions: list[tuple[TinyShop, ServedVersion]],
    number: int,
    made: tuple[Rule, ...],
    customer: str,
    n: int,
    objective: str,
    category: str | None,
    placement: str | None,
    exclude: list[str],
) -> None:
    shop, served = versions[number]
    if category not in shop.products.values():
        category = None
    query = Query(n, category, tuple(exclude), placement, objective)
    judge = Judge(shop, made, customer, query)
    recommender = Recommender(FirstLevel(10, 1), DictCache(), book=book_of(made))
    answer = recommender.recommend(served, customer, query)
    found = [served.products[row] for row, *_ in answer.picks]
    assert len(found) == len(set(found)) <= n
    assert all(judge.may_show(product) for product in found)
    pins = judge.pins(n)
    assert {served.products[row] for row in answer.pinned} == set(pins.values())
    for position, product in pins.items():
        assert found.index(product) == position - 1 or position > len(found)
    free = [served.products[row] for row, rung, *_ in answer.picks if rung is not Rung.PINNED]
    eligible = [product for product in shop.products if judge.may_show(product)]
    best = judge.longest([product for product in eligible if product not in pins.values()], pins.values())
    assert not judge.breaks_limits(free, pins.values())
    assert len(free) == len(best)
    if not any(isinstance(rule, Pin | Diversity) for rule in judge.holding):  # else nothing tells the order
        plain = Recommender(FirstLevel(10, 0), None, book=book_of(without_caps(made)))
        every = plain.recommend(served, customer, replace(query, n=len(IDS))).picks
        in_order = [served.products[row] for row, *_ in every]
        assert found == judge.longest(in_order, ())
    assert recommender.recommend(served, customer, query).picks == answer.picks
    from_redis = Recommender(FirstLevel(10, 0), recommender._cache, book=book_of(made))
    assert from_redis.recommend(served, customer, query).picks == answer.picks


def without_caps(made: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(rule for rule in made if not isinstance(rule, Cap))


def book_of(made: tuple[Rule, ...]) -> RuleBook:
    return RuleBook(Rules("test", "", made), lambda: NOW_S)
