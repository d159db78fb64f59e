"""Every variant by name. A new model is registered here once, and the shared suite runs on it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import inf
from typing import Any

from models.affinity import Affinity
from models.als import Als
from models.base import Model
from models.blend import Blend
from models.bpr import Bpr
from models.content import Content
from models.due import Due
from models.ease import Ease
from models.errors import BadConfigError, BadOptionError
from models.item_item import ItemItem
from models.neighbours import Neighbours
from models.popular import Popular
from models.ranker import Discovery, Ranker
from models.repeat import Repeat
from models.season import Season
from models.sequel import Sequel
from models.trend import Trend

VARIANTS: dict[str, type[Model[Any]]] = {
    model.name: model
    for model in (
        *(Popular, Trend, Season, Repeat, Due),
        *(ItemItem, Sequel, Als, Bpr, Ease, Neighbours, Affinity, Content),
        *(Blend, Ranker, Discovery),
    )
}
MOST_WHOLE = 2_000_000_000  # rows, and the libraries' own options, are of 32 bits
LEAST_FLOAT, MOST_FLOAT = 1e-37, 3e38  # that single precision holds
MAY_BE_ZERO = ("n_folds", "seed", "threads")  # of the whole numbers; implicit takes 0 threads for all cores


def build(name: str, options: Mapping[str, object] | None = None) -> Model[Any]:
    """An unfitted model of this variant; `options` as in `[variants.<name>]` of nextbest.toml.

    Raises:
        BadConfigError: no such variant or option, or a value that it can't have.
    """
    if name not in VARIANTS:
        raise BadConfigError(f"variant {name!r}", f"unknown; there are: {', '.join(VARIANTS)}")
    model = VARIANTS[name]
    return model(_options(model.options_type, options or {}, f"[variants.{name}]"))


def _options(wanted: type, given: Mapping[str, object], where: str) -> Any:
    """The options dataclass `wanted` from plain values, nested ones too, each checked against its default."""
    defaults = wanted()
    known = {field.name: field.type for field in fields(wanted)}
    values: dict[str, object] = {}
    for name, value in given.items():
        if name not in known:
            raise BadConfigError(f"{where} {name}", f"unknown; there are: {', '.join(known)}")
        default = getattr(defaults, name)
        if is_dataclass(default) and isinstance(value, Mapping):
            values[name] = _options(type(default), value, f"{where[:-1]}.{name}]")
        elif is_dataclass(default):
            raise BadConfigError(f"{where} {name}", f"{value!r} is not a table of options")
        else:
            values[name] = _checked(name, value, str(known[name]), f"{where} {name}")
    try:
        return wanted(**values)
    except BadOptionError as err:  # what options check themselves; they don't know whose they are
        raise BadConfigError(f"{where} {err.option}", err.why) from err


def _checked(name: str, value: object, kind: str, where: str) -> object:
    """`value` if it fits a field annotated `kind`; whole numbers do for float."""
    if value is None and "None" in kind:
        return None
    if "tuple[str" in kind:
        return _texts(value, where)
    if "str" in kind:
        if isinstance(value, str):
            return value
        raise BadConfigError(where, f"{value!r} is not text")
    if "tuple" in kind:
        return _numbers(value, where)
    is_whole = "int" in kind
    fits = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
    if not fits or not abs(value) < inf:  # type: ignore[arg-type]  # a number by then
        raise BadConfigError(where, f"{value!r} is not a {'whole ' if is_whole else ''}number")
    return _within_reach(name, value, where, is_whole=is_whole)  # type: ignore[arg-type]  # as above


def _within_reach(name: str, value: float, where: str, *, is_whole: bool) -> float:
    """`value` if it is neither too small nor too large for a number of its kind."""
    may_be_zero = name in MAY_BE_ZERO if is_whole else not name.endswith("_days")
    least = 1 if is_whole else LEAST_FLOAT
    if value < least and not (value == 0 and may_be_zero):
        low = "0 or more" if may_be_zero else "1 or more" if is_whole else "above 0"
        raise BadConfigError(where, f"{value!r} is too small: it must be {low}")
    if value > (most := MOST_WHOLE if is_whole else MOST_FLOAT):
        raise BadConfigError(where, f"{value!r} is too large: {most:g} is the most")
    return value if is_whole else float(value)


def _texts(value: object, where: str) -> tuple[str, ...]:
    """`value` if it is a list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise BadConfigError(where, f"{value!r} is not a list of texts")
    return tuple(value)


def _numbers(value: object, where: str) -> tuple[float, ...]:
    """`value` if it is a list of numbers, which may be negative."""
    numbers: list[float] = []
    for number in value if isinstance(value, list | tuple) else (None,):
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= MOST_FLOAT:
            raise BadConfigError(where, f"{value!r} is not a list of numbers")
        numbers.append(float(number))
    return tuple(numbers)
