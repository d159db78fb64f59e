"""What in a file of rules has no effect: times that are over, names that a version lacks. No mistakes."""

from collections.abc import Iterator

import numpy as np

from models.arrays import NONE
from service.live.products import NOT_COUNTED
from service.rules.book import period_of
from service.rules.file import (
    PRODUCT_NUMBERS,
    PRODUCT_TEXTS,
    Cap,
    Condition,
    Eligible,
    Pin,
    PriceRange,
    Rule,
    Scoped,
)
from service.rules.reading import Rules
from service.rules.who import COMPARE, as_number
from service.versions.served import ServedVersion
from storage.versions.people import People

TOLD = 10  # of one sort, for one rule


def warnings_of(served: ServedVersion, rules: Rules, now_s: float) -> list[str]:
    """A sentence for each rule that is over or never begins, and for each sort of name that is unknown."""
    over = []
    for rule in rules.rules:
        begins_s, end_s = period_of(rule, served.zone)
        if end_s <= begins_s:  # of one with an offset and one without, this isn't known before
            over.append(f"rule {rule.id}: in the shop's time it ends before it starts")
        elif end_s <= now_s:
            over.append(f"rule {rule.id}: its end, {rule.ends}, is past")
    return over + unknown_names(served, rules) + _new_ids(served, rules)


def unknown_names(served: ServedVersion, rules: Rules) -> list[str]:
    """A sentence for each sort of name that a rule has and the version hasn't; the rest of the rule holds."""
    known = {
        "brand": set(served.brands),
        "category": set(served.categories),
        "segment": set(served.people.audiences),
        "customers' column": set(served.people.traits),
    }
    found = []
    for rule in rules.rules:
        for sort, names in _names(rule):
            if sort == "product":
                missing = [name for name in names if served.product_row(name) == NONE]
            else:
                missing = _with_meant([name for name in names if name not in known[sort]], known[sort])
            if missing:
                found.append(f"rule {rule.id}: no such {sort}: {_some(missing)}")
        found += [
            f"rule {rule.id}: no product has a {name}: it hides all that it is about"
            for name in _needed(rule)
            if not _is_known(served, name)
        ]
        found += _no_numbers(rule, served.people)
    return found


def _with_meant(missing: list[str], known: set[str]) -> list[str]:
    """Names that are missing, beside each the one that differs in capitals and blanks alone, if there is."""
    alike = {_plain(name): name for name in sorted(known)} if missing else {}
    meant = {name: alike.get(_plain(name)) for name in missing}
    return [name if other is None else f"{name} (is {other} meant?)" for name, other in meant.items()]


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _new_ids(served: ServedVersion, rules: Rules) -> list[str]:
    """A sentence for each rule that names what was replaced."""
    named = {
        rule.id: [name for sort, names in _names(rule) if sort == "product" for name in names]
        for rule in rules.rules
    }
    return [
        f"rule {rule_id}: it holds for the new ids of what was replaced: {_some(replaced)}"
        for rule_id, names in named.items()
        if (replaced := _replaced(served, tuple(names)))
    ]


def _replaced(served: ServedVersion, product_ids: tuple[str, ...]) -> list[str]:
    """Which of these ids are old ones, and what is sold instead."""
    rows = {old: served.product_row(old) for old in product_ids if served.products.find(old) == NONE}
    return [f"{old} is {served.products[row]} now" for old, row in rows.items() if row != NONE]


def _no_numbers(rule: Rule, people: People) -> Iterator[str]:
    """Of columns that a rule compares by size: their words that no size can be told of, such as 18-24."""
    for column, sign, _ in _of_customers(rule):
        if sign in COMPARE and column in people.traits:
            words = [word for word in people.traits[column].words if as_number(word) is None]
            if words:
                yield f"rule {rule.id}: {column} {sign} never holds for what is no number: {_some(words)}"


def _of_customers(rule: Rule) -> list[Condition]:
    """All conditions of a rule on customers, without the prefix."""
    return [*rule.customers, *(rule.required_of("customer") if isinstance(rule, Eligible) else ())]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more


def _needed(rule: Rule) -> list[str]:
    """Columns of products without which a rule hides a product."""
    if isinstance(rule, PriceRange):
        return ["price"]
    columns = [column for column, *_ in rule.required_of("product")] if isinstance(rule, Eligible) else []
    return [name for name in PRODUCT_TEXTS + PRODUCT_NUMBERS if name in columns]


def _is_known(served: ServedVersion, name: str) -> bool:
    """Whether any product has this."""
    match name:
        case "product_id":
            return True
        case "title":
            return any(served.titles[row] for row in range(len(served.titles)))
        case "brand":
            return bool(served.brands)
        case "category":
            return bool(served.categories)
        case "stock":
            return bool((served.shelf.stock != NOT_COUNTED).any())
        case _:
            return not np.isnan(getattr(served.shelf, name)).all()


def _names(rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "segment", rule.segments
    if isinstance(rule, Pin | Scoped):
        yield "product", rule.products
    if isinstance(rule, Scoped):
        yield "brand", rule.brands
        yield "category", rule.categories
    if isinstance(rule, Cap):
        yield rule.per, rule.names
    if isinstance(rule, Eligible):
        for column, _, value in rule.required_of("product"):
            sort = "product" if column == "product_id" else column
            if sort in ("product", "brand", "category"):
                yield sort, tuple(map(str, value if isinstance(value, tuple) else (value,)))
    yield "customers' column", tuple(column for column, *_ in _of_customers(rule))
