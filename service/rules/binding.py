"""Rules on a version: names become rows, conditions become masks. Done once for each version and file."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.arrays import NONE, BoolArray, IntArray
from models.numerics.by_group import ByGroup
from service.rules.effects import (
    ANY_NUMBER,
    Allowed,
    Bought,
    Effect,
    Hide,
    Limit,
    Often,
    Place,
    Scale,
    Vary,
    as_mask,
)
from service.rules.file import (
    PRODUCT_NUMBERS,
    Boost,
    Bury,
    Cap,
    Condition,
    Diversity,
    Eligible,
    ExcludeBought,
    Frequency,
    MinStock,
    OfferFrequency,
    Pin,
    PriceRange,
    Rule,
    Scoped,
)
from service.rules.who import Who, who_of
from service.versions.served import ServedVersion

NUMBER_TESTS = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


@dataclass(frozen=True, slots=True, eq=False)
class BoundRule:
    """A part of a rule: for whom, and what."""

    rule: Rule
    who: Who
    effect: Effect


class Binder:
    """Binds rules to one version."""

    def __init__(self, served: ServedVersion) -> None:
        self._served, self._n = served, len(served.products)

    def bind(self, rule: Rule) -> list[BoundRule]:
        """The parts of a rule; none if the version has nothing that it is about."""
        who = who_of(rule, self._served.people)
        if isinstance(rule, Eligible):
            return self._eligible(rule, who)
        effect = self._effect(rule)
        return [BoundRule(rule, who, effect)] if effect else []

    def _effect(self, rule: Rule) -> Effect | None:
        if isinstance(rule, Pin):
            found = map(self._served.product_row, rule.products)
            return Place(rule.id, rule.position, tuple(row for row in found if row != NONE))
        if isinstance(rule, Cap):
            return self._limit(rule)
        if isinstance(rule, OfferFrequency):
            return Often(rule.at_most, rule.days, is_of_offers=True)
        if isinstance(rule, Diversity):
            return Vary(rule.strength)
        rows = self.rows_of(rule)
        if rows is not None and not rows.size:
            return None
        return self._effect_on(rule, rows)

    def _effect_on(self, rule: Rule, rows: IntArray | None) -> Effect:
        """What a rule does to rows of products; None for all."""
        if isinstance(rule, Boost | Bury):
            assert rows is not None
            return Scale(rows, rule.factor if isinstance(rule, Boost) else 1 / rule.factor)
        if isinstance(rule, ExcludeBought):
            return Bought(rule.days, as_mask(rows, self._n))
        if isinstance(rule, Frequency):
            return Often(rule.at_most, rule.days, as_mask(rows, self._n))
        return Hide(rows, self._allowed(rule, rows))

    def _allowed(self, rule: Rule, rows: IntArray | None) -> Allowed | None:
        """What a rule on stock or price lets through, as of when it is asked; None for a block."""
        shelf, where = self._served.shelf, slice(None) if rows is None else rows
        if isinstance(rule, MinStock):
            return lambda: (shelf.stock[where] < 0) | (shelf.stock[where] >= rule.stock)
        if isinstance(rule, PriceRange):
            least = np.float32(-np.inf if rule.at_least is None else rule.at_least)
            most = np.float32(np.inf if rule.at_most is None else rule.at_most)
            return lambda: (shelf.price[where] >= least) & (shelf.price[where] <= most)
        return None

    def _eligible(self, rule: Eligible, who: Who) -> list[BoundRule]:
        """What isn't as required is hidden from all; from customers who aren't, all that it is about."""
        rows = self.rows_of(rule)
        if rows is not None and not rows.size:
            return []
        of_products = rule.required_of("product")
        of_customers = rule.required_of("customer")
        parts: list[BoundRule] = []
        if of_products:
            parts.append(BoundRule(rule, who, Hide(rows, self._all_of(of_products, rows))))
        if of_customers:
            others = who_of(rule, self._served.people, unless=of_customers)
            parts.append(BoundRule(rule, others, Hide(rows)))
        return parts

    def rows_of(self, rule: Scoped) -> IntArray | None:
        """Rows of the products that a rule is about, ascending; None for all."""
        if rule.is_about_all:
            return None
        served = self._served
        named = [row for row in map(served.product_row, rule.products) if row != NONE]
        categories = [served.trends[served.category_rows.get(name, NONE)] for name in rule.categories]
        brands = [self._by_brand[self._brand_rows.get(name, NONE)] for name in rule.brands]
        return np.unique(np.concatenate([np.array(named, np.int32), *categories, *brands]))

    def _limit(self, rule: Cap) -> Limit:
        served, is_of_categories = self._served, rule.per == "category"
        names = served.categories if is_of_categories else served.brands
        most = np.full(len(names) + 1, ANY_NUMBER, np.int32)
        if rule.names:
            known = served.category_rows if is_of_categories else self._brand_rows
            most[[known[name] for name in rule.names if name in known]] = rule.at_most
        else:
            most[:-1] = rule.at_most
        return Limit(most, is_of_categories)

    @cached_property
    def _brand_rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._served.brands)}

    @cached_property
    def _by_brand(self) -> ByGroup:
        return ByGroup.of(self._served.popular, np.asarray(self._served.brand_row), len(self._served.brands))

    def _all_of(self, conditions: Iterable[Condition], rows: IntArray | None) -> Allowed:
        """Whether each of the rows meets all conditions: texts looked at once, numbers each time."""
        where = slice(None) if rows is None else rows
        every = np.arange(self._n, dtype=np.int32) if rows is None else rows
        fixed = np.ones(len(every), np.bool_)
        numbers = []
        for name, sign, value in conditions:
            if name in PRODUCT_NUMBERS:
                numbers.append((getattr(self._served.shelf, name), sign, value))
            else:
                fixed &= self._text(name, sign, value, every)

        def allowed() -> BoolArray:
            held = fixed.copy()
            for array, sign, value in numbers:
                held &= _number(array[where], sign, value)
            return held

        return allowed

    def _text(self, name: str, sign: str, value: object, rows: IntArray) -> BoolArray:
        """A product without such a text meets no condition on it."""
        values = set(value) if isinstance(value, tuple) else {value}
        is_positive = sign in ("=", "in")
        if name in ("category", "brand"):
            words = self._served.categories if name == "category" else self._served.brands
            group = np.asarray(self._served.category_row if name == "category" else self._served.brand_row)
            holds = np.array([*((word in values) is is_positive for word in words), False])
            held: BoolArray = holds[group[rows]]  # -1 is the last one
            return held
        if name == "product_id":
            named = [self._served.product_row(str(product_id)) for product_id in values]
            among: BoolArray = np.isin(rows, named) == is_positive
            return among
        texts = (self._served.titles[row] for row in rows.tolist())
        return np.array([bool(text) and (text in values) is is_positive for text in texts], np.bool_)


def _number(array: np.ndarray, sign: str, value: object) -> BoolArray:
    """A number that isn't known meets no condition. Of stocks, those that nobody counts aren't known."""
    known = array >= 0 if array.dtype == np.int32 else ~np.isnan(array)
    # As the array's floats are: 2.99 is the nearest float32. Whole numbers are told from any other.
    kind = np.float64 if array.dtype == np.int32 else array.dtype
    with np.errstate(over="ignore"):  # more than a float32 can be is more than any price
        wanted = np.asarray(value, kind)
    if sign in ("in", "not in"):
        is_among = np.isin(array, wanted)
        return known & (is_among if sign == "in" else ~is_among)
    held: BoolArray = NUMBER_TESTS[sign](array, wanted)
    return known & held
