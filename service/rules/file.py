"""What a file of rules may say: its kinds of rules and their fields, and nothing else."""

import sys
from datetime import date, datetime, time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, model_validator

SCHEMA = 1
MAX_RULES = 1000
LARGEST = sys.float_info.max
PINNED_MAX, FACTOR_MAX = 100, 1000.0
MOST_SHOWN_DAYS = 30  # as long showings are kept

RULE_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
SHORT_NAME = r"^[a-z0-9][a-z0-9_-]{0,31}$"
SPELT = {
    RULE_ID: "must be 1 to 64 letters, digits, '.', '_' and '-', and begin with a letter or a digit",
    SHORT_NAME: "must be 1 to 32 of a-z, 0-9, '-' and '_', and begin with a-z or 0-9",
}
"""How names must be written, in words."""

type RuleId = Annotated[str, Field(pattern=RULE_ID)]
type RuleSet = Annotated[str, Field(pattern=SHORT_NAME)]
type Placement = Annotated[str, Field(pattern=SHORT_NAME)]
type Name = Annotated[str, Field(min_length=1, max_length=256)]
type Names = Annotated[tuple[Name, ...], Field(max_length=10_000)]
type Some = Annotated[Names, Field(min_length=1)]
type Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in"]
type Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
type Whole = Annotated[int, Field(strict=True)]
type Value = bool | int | float | str
type Moment = Annotated[datetime, Field(strict=True)] | Annotated[date, Field(strict=True)]

PRODUCT_TEXTS = ("product_id", "title", "category", "brand")
PRODUCT_NUMBERS = ("price", "margin", "stock")


def _single(told: object) -> Value:
    if isinstance(told, (bool, str)):
        return told
    if not isinstance(told, (int, float)):
        raise ValueError("must be a text, true, false, a number, or a list of such")
    if not abs(told) <= LARGEST:  # NaN isn't; and whole numbers of TOML may have any length here
        raise ValueError("must be a number that a float64 can be")
    return told


def _value(told: object) -> Value | tuple[Value, ...]:
    """By hand: of a union pydantic says what is wrong for each of its members."""
    return tuple(map(_single, told)) if isinstance(told, list) else _single(told)


type Triple = tuple[str, Operator, Annotated[Value | tuple[Value, ...], PlainValidator(_value)]]


def _fits(condition: Triple) -> Triple:
    _, operator, value = condition
    if operator in ("in", "not in"):
        if not isinstance(value, tuple) or not value:
            raise ValueError(f"{operator!r} needs a list of values")
    elif isinstance(value, tuple):
        raise ValueError(f"{operator!r} needs a single value")
    elif operator in ("<", "<=", ">", ">=") and (isinstance(value, (str, bool))):
        raise ValueError(f"{operator!r} needs a number")
    return condition


type Condition = Annotated[Triple, AfterValidator(_fits)]
"""Column, operator, value."""


def _moment(told: datetime | date, *, is_end: bool = False) -> datetime:
    """Of a day its first moment, or as an end its last."""
    return told if isinstance(told, datetime) else datetime.combine(told, time.max if is_end else time.min)


class Strict(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnyRule(Strict):
    """What every rule has: a name, for whom, where, and when.

    Attributes:
        note: for people.
        placements: where it holds; everywhere without.
        segments: the audiences for whom it holds; for all without.
        customers: conditions on customers' columns, all of which must hold.
        starts: from this moment or day on.
        ends: up to this moment, or to the end of this day.
        only_for, not_for: variants of experiments by their `rules`: it holds for these only, or not for them.
    """

    id: RuleId
    note: str = Field("", max_length=1000)
    placements: tuple[Placement, ...] = ()
    segments: Names = ()
    customers: tuple[Condition, ...] = ()
    starts: Moment | None = None
    ends: Moment | None = None
    only_for: tuple[RuleSet, ...] = ()
    not_for: tuple[RuleSet, ...] = ()

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.starts is not None and self.ends is not None:
            begins, ends = _moment(self.starts), _moment(self.ends, is_end=True)
            if (begins.tzinfo is None) == (ends.tzinfo is None) and ends <= begins:
                raise ValueError("ends before it starts")
        return self

    def is_for(self, rule_set: str) -> bool:
        """Whether it holds for answers of a variant with this set of rules, "" for all others."""
        return (not self.only_for or rule_set in self.only_for) and rule_set not in self.not_for


class Scoped(AnyRule):
    """A rule about some products: those that are named, of these brands, or in these categories; or all."""

    products: Names = ()
    brands: Names = ()
    categories: Names = ()

    @property
    def is_about_all(self) -> bool:
        return not (self.products or self.brands or self.categories)


class Named(Scoped):
    """A rule that must name what it is about."""

    @model_validator(mode="after")
    def _names_something(self) -> "Named":
        if self.is_about_all:
            raise ValueError("needs products, brands or categories")
        return self


class Pin(AnyRule):
    """The first of these products that may be shown stands at this position."""

    kind: Literal["pin"]
    products: Some
    position: Whole = Field(ge=1, le=PINNED_MAX)


class Boost(Named):
    """Multiply the score."""

    kind: Literal["boost"]
    factor: Number = Field(gt=1, le=FACTOR_MAX)


class Bury(Named):
    """Divide the score."""

    kind: Literal["bury"]
    factor: Number = Field(gt=1, le=FACTOR_MAX)


class Block(Named):
    """Never show them."""

    kind: Literal["block"]


class Eligible(Scoped):
    """Show them only if all of this holds, of the product and of the customer."""

    kind: Literal["eligible"]
    require: tuple[Condition, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _known_columns(self) -> "Eligible":
        for column, operator, value in self.require:
            side, _, name = column.partition(".")
            if side not in ("product", "customer") or not name:
                raise ValueError(f"{column!r} must begin with 'product.' or 'customer.'")
            if side == "product":
                _check_product(name, operator, value)
        return self

    def required_of(self, side: Literal["product", "customer"]) -> tuple[Condition, ...]:
        """The conditions on one of both, without the prefix that says on which."""
        mine = [one for one in self.require if one[0].startswith(f"{side}.")]
        return tuple((column.removeprefix(f"{side}."), sign, value) for column, sign, value in mine)


class Cap(AnyRule):
    """At most this many of one brand or category; of each, or of those that are named."""

    kind: Literal["cap"]
    per: Literal["brand", "category"]
    at_most: Whole = Field(ge=1, le=PINNED_MAX)
    names: Names = ()


class ExcludeBought(Scoped):
    """Not what the customer bought within this many days."""

    kind: Literal["exclude_bought"]
    days: Whole = Field(ge=1, le=3650)


class Frequency(Scoped):
    """Not what the customer was shown that many times at the same placement within this many days."""

    kind: Literal["frequency"]
    at_most: Whole = Field(ge=1, le=1000)
    days: Whole = Field(ge=1, le=MOST_SHOWN_DAYS)


class OfferFrequency(AnyRule):
    """The same of offers."""

    kind: Literal["offer_frequency"]
    at_most: Whole = Field(ge=1, le=1000)
    days: Whole = Field(ge=1, le=MOST_SHOWN_DAYS)


class Diversity(AnyRule):
    """What is like a product above it counts for less; of several such rules the first one holds."""

    kind: Literal["diversity"]
    strength: Number = Field(ge=0, le=1)


class MinStock(Scoped):
    """Only what has this many pieces in stock; what isn't counted is enough."""

    kind: Literal["min_stock"]
    stock: Whole = Field(ge=1)


class PriceRange(Scoped):
    """Only what has a price, and one in this range."""

    kind: Literal["price"]
    at_least: Number | None = Field(None, ge=0)
    at_most: Number | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _is_a_range(self) -> "PriceRange":
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most")
        return self


type Rule = Annotated[
    Pin
    | Boost
    | Bury
    | Block
    | Eligible
    | Cap
    | ExcludeBought
    | Frequency
    | OfferFrequency
    | Diversity
    | MinStock
    | PriceRange,
    Field(discriminator="kind"),
]
KINDS_OF_RULES: tuple[type[AnyRule], ...] = (
    *(Pin, Boost, Bury, Block, Eligible, Cap, ExcludeBought),
    *(Frequency, OfferFrequency, Diversity, MinStock, PriceRange),
)


class RulesFile(Strict):
    """A file: the number of its form, and rules, of which each has its own id."""

    schema_: Literal[1] = Field(alias="schema")
    rules: tuple[Rule, ...] = Field((), max_length=MAX_RULES)


def _check_product(name: str, operator: Operator, value: object) -> None:
    if name not in PRODUCT_TEXTS + PRODUCT_NUMBERS:
        raise ValueError(f"no column product.{name}; there are: {', '.join(PRODUCT_TEXTS + PRODUCT_NUMBERS)}")
    values = value if isinstance(value, tuple) else (value,)
    is_number = name in PRODUCT_NUMBERS
    if not is_number and operator in ("<", "<=", ">", ">="):
        raise ValueError(f"product.{name} is a text, and {operator!r} needs a number")
    for one in values:
        if isinstance(one, bool) or isinstance(one, str) is is_number:
            raise ValueError(f"product.{name} is a {'number' if is_number else 'text'}, {one!r} isn't")
