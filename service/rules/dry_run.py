"""What a file of rules would change, tried on a thousand customers before anybody sees it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from service.answering.first_level import FirstLevel
from service.answering.own_list import Answer
from service.live.told import Told
from service.offers.desk import OfferDesk
from service.recommender import Recommender, nothing_new
from service.rules.book import RuleBook, is_at
from service.rules.firing import Firing
from service.rules.reading import NO_RULES, Rules
from service.versions.served import ServedVersion
from service.web.parameters import Query

CUSTOMERS = 1000
N = 10
TOLD = 50  # products that are named, those of most lists first
EVERYWHERE = "(other placements)"
VARIANTS = "(variants with rules = {}, other placements)"
VARIANTS_AT = "{} (variants with rules = {})"


@dataclass(frozen=True, slots=True)
class MovedProduct:
    """A product that comes into lists, or leaves them."""

    product_id: str
    title: str
    lists: int


@dataclass(frozen=True, slots=True)
class PlacementChange:
    """What changes at one placement.

    Attributes:
        lists: how many were compared.
        changed: of them, how many differ in anything.
        shorter: of them, how many have fewer products than before; `empty`: of these, how many have none.
        entering, leaving: products, those of most lists first, at most TOLD.
        expected_before, expected_after: mean over the lists of the sum of the probabilities that are known.
    """

    placement: str
    lists: int
    changed: int
    shorter: int
    empty: int
    entering: list[MovedProduct]
    leaving: list[MovedProduct]
    expected_before: float
    expected_after: float


@dataclass(frozen=True, slots=True)
class PinNotShown:
    """A pin that doesn't stand at its position in some lists, though it is for these customers."""

    rule: str
    why: str
    lists: int


@dataclass(frozen=True, slots=True)
class NotHere:
    """A rule that holds for none of the lists, by where they are shown or whose variant they are of."""

    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """What new rules would change against those in force.

    Attributes:
        customers: how many were tried: those whose ids have the smallest hashes, so always the same.
        never_fired: ids of rules that hold now and touch none of these lists: they hide no product that would
            be among the ten without rules, move none, and put none there.
        asleep: ids of rules that have not begun, or have ended.
        not_here: of those that never fired, which are for other placements or variants than those tried.
    """

    version: str
    rules_before: str
    rules_after: str
    customers: int
    placements: list[PlacementChange]
    never_fired: list[str]
    asleep: list[str]
    not_here: list[NotHere]
    pins_not_shown: list[PinNotShown]


def sample(served: ServedVersion) -> list[str]:
    """The customers on whom rules are tried: rows are in the order of a hash of the ids."""
    return [served.customers[row] for row in range(min(CUSTOMERS, len(served.customers)))]


def dry_run(
    served: ServedVersion,
    before: Rules,
    after: Rules,
    *,
    now_s: float,
    news_of: Callable[[str], Told | None] = nothing_new,
    one: tuple[str, Query] | None = None,
) -> DryRun:
    """Compare the first ten products of a fixed sample of customers, at each placement that a rule names, and
    for the variants of experiments that one names.

    Args:
        now_s: Unix seconds at which both are tried.
        news_of: what is new of those in the `sample`, or of the one.
        one: the customer to try it on, and the query, instead of all these.
    """
    customer_ids, queries = ([one[0]], [one[1]]) if one else (sample(served), _queries(before, after))
    firing = Firing(served, after, now_s, news_of)
    changes = []
    for query in queries:
        plain, old, new = (
            _answers(Uncounted(rules, now_s, news_of), served, query, customer_ids)
            for rules in (NO_RULES, before, after)
        )
        changes.append(_change(served, query, old, new))
        for customer_id, without, ruled in zip(customer_ids, plain, new, strict=True):
            firing.look(query, customer_id, without, ruled)
    return DryRun(
        version=served.version_id,
        rules_before=before.version,
        rules_after=after.version,
        customers=len(customer_ids),
        placements=changes,
        never_fired=firing.never_fired,
        asleep=firing.asleep,
        not_here=_not_here(after, queries, firing.never_fired),
        pins_not_shown=[PinNotShown(rule, why, lists) for (rule, why), lists in firing.missed.most_common()],
    )


class Uncounted:
    """Answers under some rules at a moment. Nothing is counted as shown, no offer with a budget promised."""

    def __init__(self, rules: Rules, now_s: float, news_of: Callable[[str], Told | None]) -> None:
        book = RuleBook(rules, lambda: now_s)
        self.offers = OfferDesk(news_of, book, lambda: now_s)
        self.recommender = Recommender(
            FirstLevel(1, 0), None, news_of, book=book, costs_of=self.offers.costs, clock=lambda: now_s
        )


def _queries(before: Rules, after: Rules) -> list[Query]:
    every = [rule for rules in (before, after) for rule in rules.rules]
    placements = {name for rule in every for name in rule.placements}
    rule_sets = {name for rule in every for name in (*rule.only_for, *rule.not_for)}
    queries = [Query(N, placement=placement) for placement in (None, *sorted(placements))]
    queries += [Query(N, rule_set=name) for name in sorted(rule_sets)]
    both = {pair for rule in every for pair in product(rule.placements, (*rule.only_for, *rule.not_for))}
    queries += [Query(N, placement=placement, rule_set=name) for placement, name in sorted(both)]
    return queries


def _not_here(rules: Rules, queries: list[Query], never_fired: list[str]) -> list[NotHere]:
    found = []
    for rule in rules.rules:
        if rule.id not in never_fired or any(is_at(rule, one.placement, one.rule_set) for one in queries):
            continue
        why = []
        if rule.placements and not any(one.placement in rule.placements for one in queries):
            why.append(f"only at {', '.join(rule.placements)}")
        if not any(rule.is_for(one.rule_set) for one in queries):
            why.append(f"only for variants with rules = {', '.join(rule.only_for)}")
        found.append(NotHere(rule.id, ", ".join(why)))
    return found


def _answers(trial: Uncounted, served: ServedVersion, query: Query, customer_ids: list[str]) -> list[Answer]:
    return [trial.recommender.recommend(served, customer_id, query) for customer_id in customer_ids]


def _change(
    served: ServedVersion, query: Query, before: list[Answer], after: list[Answer]
) -> PlacementChange:
    entering: Counter[int] = Counter()
    leaving: Counter[int] = Counter()
    changed = shorter = empty = 0
    for old, new in zip(before, after, strict=True):
        old_rows, new_rows = ([row for row, *_ in answer.picks] for answer in (old, new))
        changed += old_rows != new_rows
        shorter += len(new_rows) < len(old_rows)
        empty += not new_rows and bool(old_rows)
        entering.update(set(new_rows) - set(old_rows))
        leaving.update(set(old_rows) - set(new_rows))
    return PlacementChange(
        _where(query),
        len(before),
        changed,
        shorter,
        empty,
        _most(served, entering),
        _most(served, leaving),
        _expected(before),
        _expected(after),
    )


def _where(query: Query) -> str:
    if not query.rule_set:
        return query.placement or EVERYWHERE
    if query.placement is None:
        return VARIANTS.format(query.rule_set)
    return VARIANTS_AT.format(query.placement, query.rule_set)


def _most(served: ServedVersion, counts: Counter[int]) -> list[MovedProduct]:
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOLD]
    return [MovedProduct(served.products[row], served.titles[row], lists) for row, lists in order]


def _expected(answers: list[Answer]) -> float:
    known = sum(probability for answer in answers for *_, probability in answer.picks if probability >= 0)
    return round(known / len(answers), 5) if answers else 0.0
