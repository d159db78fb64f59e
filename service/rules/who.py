"""For whom a rule holds: members of audiences, and those whose columns say so."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.rules.file import AnyRule, Condition
from storage.versions.people import Audience, People

NOBODY_KNOWN = -1
"""The row of somebody of whom nothing is known: no condition holds for them, and no audience has them."""

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True, eq=False)
class TraitTest:
    """One condition on a column: for each of its words whether it holds; never where the cell is empty."""

    codes: "memoryview[int]"
    allowed: bytes

    def holds(self, person_row: int) -> bool:
        return person_row >= 0 and bool(self.allowed[self.codes[person_row]])


@dataclass(frozen=True, slots=True, eq=False)
class NeverHolds:
    """A condition on a column that the shop doesn't have."""

    def holds(self, person_row: int) -> bool:
        return False


type Test = TraitTest | NeverHolds


@dataclass(frozen=True, slots=True, eq=False)
class Who:
    """Whoever is in one of the audiences (None: whoever), and passes every test, but not all of `unless`."""

    audiences: tuple[Audience, ...] | None
    tests: tuple[Test, ...]
    unless: tuple[Test, ...] = ()

    @property
    def is_everybody(self) -> bool:
        return self.audiences is None and not self.tests and not self.unless

    def holds(self, person_row: int) -> bool:
        if self.audiences is not None and (
            person_row < 0 or not any(audience.has(person_row) for audience in self.audiences)
        ):
            return False
        for test in self.tests:  # an `all` of them takes three times as long, for each answer
            if not test.holds(person_row):
                return False
        return not self.unless or not all(test.holds(person_row) for test in self.unless)


def who_of(rule: AnyRule, people: People, unless: tuple[Condition, ...] = ()) -> Who:
    """For whom a rule holds in a version. Audiences that it doesn't know have no members.

    Args:
        unless: conditions on customers, without the prefix; for those who meet all of them it doesn't hold.
    """
    audiences = None
    if rule.segments:
        audiences = tuple(people.audiences[name] for name in rule.segments if name in people.audiences)
    tests = tuple(_test(condition, people) for condition in rule.customers)
    return Who(audiences, tests, tuple(_test(condition, people) for condition in unless))


def _test(condition: Condition, people: People) -> Test:
    column, sign, value = condition
    trait = people.traits.get(column)
    if trait is None:
        return NeverHolds()
    return TraitTest(trait.codes, bytes([0, *(_holds(word, sign, value) for word in trait.words)]))


def _holds(word: str, sign: str, value: object) -> bool:
    if sign in COMPARE:
        number = as_number(word)
        return number is not None and COMPARE[sign](number, value)
    values = value if isinstance(value, tuple) else (value,)
    is_among = any(_same(word, one) for one in values)
    return is_among if sign in ("=", "in") else not is_among


def _same(word: str, value: object) -> bool:
    """Cells are text; a number in a rule is compared as a number, true and false in any case of letters."""
    if isinstance(value, bool):
        return word.lower() == str(value).lower()
    return word == value if isinstance(value, str) else as_number(word) == value


def as_number(word: str) -> float | None:
    """The number that a cell is, if it is one."""
    try:
        return float(word)
    except ValueError:
        return None
