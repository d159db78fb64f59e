"""Which rules touch the answers of a dry run, and which pins don't get to their position."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.arrays import NONE, BoolArray
from service.answering.first_level import FirstLevel
from service.answering.own_list import Answer
from service.live.told import Told, has_night_of
from service.recommender import Recommender
from service.rules.binding import Binder, BoundRule
from service.rules.book import RuleBook, holds_at, is_at, period_of
from service.rules.effects import Bought, Hide, Limit, Often, Place, Scale, Vary
from service.rules.reading import Rules
from service.rules.ruling import Ruling
from service.rules.who import NOBODY_KNOWN
from service.versions.served import ServedVersion
from service.web.parameters import Query


class Firing:
    """Looks at answers without and with the rules.

    Attributes:
        asleep: ids of rules that don't hold now.
        missed: how many lists lack a pin, by rule and reason.
    """

    def __init__(
        self, served: ServedVersion, rules: Rules, now_s: float, news_of: Callable[[str], Told | None]
    ) -> None:
        self._served, binder = served, Binder(served)
        self._now_s, self._news_of = now_s, news_of
        self._book = RuleBook(rules, lambda: now_s)
        self._today = self._book.at(served, None).today
        awake = [rule for rule in rules.rules if holds_at(period_of(rule, served.zone), now_s)]
        self.asleep = [rule.id for rule in rules.rules if rule not in awake]
        parts = [part for rule in awake for part in binder.bind(rule)]
        self._parts = [part for part in parts if not isinstance(part.effect, Often)]  # nobody was shown any
        self._ids = [rule.id for rule in awake if rule.kind not in ("frequency", "offer_frequency")]
        self._masks = {id(part): _mask(part, served) for part in self._parts}
        self._fired: set[str] = set()
        self.missed: Counter[tuple[str, str]] = Counter()

    @property
    def never_fired(self) -> list[str]:
        """Ids of rules that touched none of the answers, in the order of the file."""
        return [rule_id for rule_id in self._ids if rule_id not in self._fired]

    def look(self, query: Query, customer_id: str, plain: Answer, ruled: Answer) -> None:
        """Take in the answers to one customer, without rules and with them."""
        served, told = self._served, self._news_of(customer_id)
        customer_row, person_row = NONE, NOBODY_KNOWN
        if has_night_of(told, served.tombstone):
            customer_row = served.customer_row(customer_id)
            person_row = served.people.find_other(customer_id) if customer_row == NONE else customer_row
        for part in self._parts:
            rule, is_pin = part.rule, isinstance(part.effect, Place)
            if (rule.id in self._fired and not is_pin) or not _concerns(part, query, person_row):
                continue
            if self._touches(part, query, customer_id, customer_row, plain, ruled):
                self._fired.add(rule.id)
            elif isinstance(part.effect, Place):
                placed = self._book.at(served, query.placement, query.rule_set)
                shown = placed.of_customer(customer_id, customer_row, told).shown
                self.missed[rule.id, _why_missed(part.effect, ruled, shown, served)] += 1

    def _touches(
        self, part: BoundRule, query: Query, customer_id: str, customer_row: int, plain: Answer, ruled: Answer
    ) -> bool:
        effect, mask = part.effect, self._masks[id(part)]
        before, after = ([row for row, *_ in answer.picks] for answer in (plain, ruled))
        if isinstance(effect, Place):
            return effect.rule_id in ruled.pinned.values()
        if isinstance(effect, Limit):
            served = self._served
            group_of = served.category_row if effect.is_of_categories else served.brand_row
            counts = Counter(group_of[row] for row in before)
            return any(count > effect.most[group] for group, count in counts.items())
        if isinstance(effect, Bought):
            session = plain.own.session if plain.own is not None else None
            bought = Ruling(self._served, [effect]).bought_lately(customer_row, session, self._today)
            return not bought.isdisjoint(before)
        if isinstance(effect, Vary):
            return self._alone(part, query, customer_id, len(before)) != before
        assert mask is not None
        return bool(mask[before].any()) or (isinstance(effect, Scale) and bool(mask[after].any()))

    def _alone(self, part: BoundRule, query: Query, customer_id: str, n: int) -> list[int]:
        """The answer if this rule were the only one."""
        book = RuleBook(Rules("alone", "", (part.rule,)), lambda: self._now_s)
        recommender = Recommender(FirstLevel(1, 0), None, self._news_of, book=book, clock=lambda: self._now_s)
        answer = recommender.recommend(self._served, customer_id, replace(query, n=max(n, 1)))
        return [row for row, *_ in answer.picks]


def _why_missed(pin: Place, ruled: Answer, shown: "memoryview[int]", served: ServedVersion) -> str:
    if not pin.rows:
        return "the version knows none of its products"
    if pin.position > len(ruled.picks):
        return f"its position is behind the {len(ruled.picks)} products of the list"
    if ruled.pinned and any(shown[row] for row in pin.rows):
        return "another pin stands there or has its products, or they were bought lately"
    if not served.shelf.stock[list(pin.rows)].any():
        return "its products are out of stock"
    return "none of its products may be shown: other rules hide them, or what was asked for"


def _concerns(part: BoundRule, query: Query, person_row: int) -> bool:
    return is_at(part.rule, query.placement, query.rule_set) and part.who.holds(person_row)


def _mask(part: BoundRule, served: ServedVersion) -> BoolArray | None:
    """The products that a part hides or moves."""
    n_products = len(served.products)
    if isinstance(part.effect, Hide):
        shown = np.ones(n_products, np.bool_)
        part.effect.apply(shown)
        return ~shown
    if isinstance(part.effect, Scale):
        moved = np.zeros(n_products, np.bool_)
        moved[part.effect.rows] = True
        return moved
    return None
