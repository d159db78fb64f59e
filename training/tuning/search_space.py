"""Which options of a variant are worth trying, and between which values: read off its options dataclass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from models.errors import BadConfigError
from models.item_item import UNITS
from models.registry import VARIANTS, build

if TYPE_CHECKING:
    from optuna import Trial

type Value = float | int | str | None
type Changes = dict[str, Value]

LEARNED = "learned"
# Given by the question, or of the machine: another value is no better or worse answer to the same question.
FIXED = ("horizon_days", "seed", "threads", "time_budget_s")
# More of these is more work for hardly ever a worse list: tried only when asked for by name.
COSTS = (
    *("n_folds", "enough_customers", "enough_bought", "max_customers", "max_pairs", "max_products"),
    *("max_basket", "pool", "n_candidates", "own_candidates", "new_candidates"),
    *("negatives", "likely_negatives"),
)
SHARES = {"columns": (0.1, 1.0), "alpha": (0.0, 1.0)}
LEAST = {"leaves": 2, "factors": 2}
HALVINGS = 20  # of the way from a bound that is refused to the present value
CHOICES = {"together": UNITS}


@dataclass(frozen=True)
class Dimension:
    """One option and the values to try.

    Attributes:
        name: dotted where it is of a part: `trees.leaves`.
        low, high: bounds, both included; unused with `choices`.
        is_whole, is_log: whole numbers only; as likely between 1 and 2 as between 2 and 4.
        may_be_learned: leaving it to the model is among the values.
        choices: words.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    is_whole: bool = False
    is_log: bool = False
    may_be_learned: bool = False
    choices: tuple[str, ...] = ()

    def suggest(self, trial: "Trial") -> Value:
        """A value to try, with four digits at most; None: left to the model."""
        if self.choices:
            words = (LEARNED, *self.choices) if self.may_be_learned else self.choices
            word = trial.suggest_categorical(self.name, words)
            return None if word == LEARNED else word
        if self.may_be_learned and trial.suggest_categorical(self._who, (LEARNED, "given")) == LEARNED:
            return None
        if self.is_whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.is_log)
        return float(f"{trial.suggest_float(self.name, self.low, self.high, log=self.is_log):.4g}")

    def as_parameters(self, value: Value) -> dict[str, Any]:
        """What `suggest` must draw to give `value`."""
        if self.choices:
            return {self.name: LEARNED if value is None else value}
        who = {self._who: LEARNED if value is None else "given"} if self.may_be_learned else {}
        return who if value is None else {**who, self.name: value}

    def __str__(self) -> str:
        told = ", ".join(self.choices) or f"{self.low:.4g} to {self.high:.4g}"
        return told + (", or learned" if self.may_be_learned else "")

    @property
    def _who(self) -> str:
        return f"who sets {self.name}"


@dataclass(frozen=True)
class _Field:
    """A field of an options dataclass; `part` is the innermost variant that it belongs to, with its path."""

    path: str
    kind: str
    part: str
    part_path: str


def search_space(
    variant: str, options: Mapping[str, object], asked: Sequence[str], learned: Callable[[str, str], object]
) -> list[Dimension]:
    """The dimensions of a search around the present options.

    A positive number is tried from a quarter to four times its value, on a log scale, a whole one from a
    third to three times; a power from 0 to 1, a share of a whole within it, and 0 from 0 to 1. Around what is
    learned, where that is left to the model. Lists are not tried.

    Args:
        variant, options: the present configuration, as in `[variants.<name>]`.
        asked: dotted names of options or of tables of them, with or without the variant's name before; none:
            all of the variant's own but FIXED and COSTS, without those of the variants that it is made of.
        learned: the options that a part (its name, its dotted path) has after a fit, to centre on.
    Raises:
        BadConfigError: an option that isn't there or can't be tried, or none is left.
    """
    present = build(variant, options).options
    every = list(_walk(VARIANTS[variant].options_type, variant))
    if asked:
        chosen = [field for name in asked for field in _asked(name, variant, every)]
    else:
        chosen = [field for field in every if not field.part_path and _last(field.path) not in COSTS]
    dimensions = []
    for field in dict.fromkeys(chosen):
        value = _at(present, field.path)
        if value is None and "str" not in field.kind:
            within = field.path.removeprefix(f"{field.part_path}.")
            value = _at(learned(field.part, field.part_path), within)
        dimensions.append(_within_limits(_dimension(field, value), variant, options, value))
    if not dimensions:
        raise BadConfigError(f"--variant {variant}", "has no option to try; name one with --option")
    return dimensions


def with_changes(options: Mapping[str, Any], changes: Mapping[str, Value]) -> dict[str, Any]:
    """Options of a variant with some of them changed; None takes one out, so that it is learned."""
    whole = deepcopy(dict(options))
    for name, value in changes.items():
        *tables, last = name.split(".")
        table = whole
        for key in tables:
            table = table.setdefault(key, {}) if value is not None else table.get(key, {})
        if value is None:
            table.pop(last, None)
        else:
            table[last] = value
    return whole


def present_value(variant: str, options: Mapping[str, object], name: str) -> Value:
    """What the present configuration has there, its default included; None: left to the model."""
    value: Value = _at(build(variant, options).options, name)
    return value


def _walk(kind: type, part: str, path: str = "", part_path: str = "") -> Iterator[_Field]:
    """All fields that can be tried, those of tables below it too."""
    defaults = kind()
    for field in fields(kind):
        here = f"{path}.{field.name}".lstrip(".")
        value = getattr(defaults, field.name)
        if is_dataclass(value):
            is_variant = field.name in VARIANTS
            inner = (field.name, here) if is_variant else (part, part_path)
            yield from _walk(type(value), inner[0], here, inner[1])
        elif _can_be_tried(field.name, str(field.type)):
            yield _Field(here, str(field.type), part, part_path)


def _can_be_tried(name: str, kind: str) -> bool:
    if name in FIXED or "tuple" in kind or "bool" in kind:
        return False
    return name in CHOICES if "str" in kind else True


def _asked(name: str, variant: str, every: Sequence[_Field]) -> list[_Field]:
    for path in (name, name.removeprefix(f"{variant}.")):
        found = [field for field in every if field.path == path or field.path.startswith(f"{path}.")]
        if found:
            return found
    names = ", ".join(field.path for field in every if not field.part_path)
    parts = ", ".join(dict.fromkeys(field.part_path for field in every if field.part_path))
    more = f"; of its parts {parts}: PART.OPTION" if parts else ""
    raise BadConfigError(f"--option {name}", f"{variant} has no such option to try; there are: {names}{more}")


def _dimension(field: _Field, value: Any) -> Dimension:
    name, may_be_learned = _last(field.path), "None" in field.kind
    if name in CHOICES:
        return Dimension(field.path, may_be_learned=may_be_learned, choices=CHOICES[name])
    if value is None:
        raise BadConfigError(
            f"--option {field.path}", "is learned, and this history is too short to learn it: give it a value"
        )
    low, high, is_log = _bounds(name, float(value), is_whole="int" in field.kind)
    return Dimension(field.path, low, high, "int" in field.kind, is_log, may_be_learned)


def _within_limits(
    dimension: Dimension, variant: str, options: Mapping[str, object], value: Any
) -> Dimension:
    """The dimension with bounds that the variant takes, as near to those given as halving finds."""
    if dimension.choices:
        return dimension

    def taken(bound: float) -> float:
        for _ in range(HALVINGS):
            try:
                given = int(bound) if dimension.is_whole else bound
                build(variant, with_changes(options, {dimension.name: given}))
            except BadConfigError:
                between = (bound * value) ** 0.5 if dimension.is_log else (bound + value) / 2
                bound = round(between) if dimension.is_whole else float(f"{between:.4g}")
            else:
                return bound
        return float(value)

    return replace(dimension, low=taken(dimension.low), high=taken(dimension.high))


def _bounds(name: str, value: float, *, is_whole: bool) -> tuple[float, float, bool]:
    """Bounds that hold `value`, and whether between them a log scale fits."""
    if name in SHARES or name.endswith("_power"):
        low, high = SHARES.get(name, (0.0, 1.0))
        return min(low, value), max(high, value), False
    if value == 0:
        return (0.0, 3.0, False) if is_whole else (0.0, 1.0, False)
    if is_whole:
        return min(value, max(LEAST.get(name, 1), round(value / 3))), value * 3, True
    return float(f"{value / 4:.4g}"), float(f"{value * 4:.4g}"), True


def _at(options: Any, path: str) -> Any:
    for name in path.split("."):
        options = getattr(options, name)
    return options


def _last(path: str) -> str:
    return path.rsplit(".", 1)[-1]
