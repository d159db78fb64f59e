"""Fit variants on one history; what is made of others takes them as they are: nothing is fitted twice."""

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import sha256
from time import perf_counter
from typing import Any

from models.arrays import IntArray
from models.base import Model
from models.blend import Blend
from models.content import Content, ContentOptions
from models.errors import NoMemoryError
from models.history.interactions import Interactions
from models.item_item import ItemItem
from models.numerics.cores import at_once, give_back
from models.popular import Popular
from models.ranker import Ranker
from models.ranking.windows import Window
from models.registry import VARIANTS, build
from training.budget import Budget

type Variants = Mapping[str, Mapping[str, object]]


def fit_variants(
    interactions: Interactions,
    variants: Variants,
    *,
    horizon_days: float,
    on_step: Callable[[str], None] = lambda _: None,
    windows: MutableMapping[Any, Window] | None = None,
    budget: Budget | None = None,
) -> tuple[dict[str, Model[Any]], dict[str, float]]:
    """The fitted models by name, and the seconds that each took; those that need no other share the cores.

    Args:
        interactions: the history; all of it is learned from.
        variants: name to options, as in `[variants.<name>]`.
        horizon_days: what the models should predict; an option of the same name goes before it.
        on_step: is told each variant's name when its fit begins, maybe by another thread.
        windows: past windows of this shop that rankers left there, with other variants or on a longer or
            shorter history; those at hand take and leave some. None: they share among themselves alone.
        budget: what is left of it says how many windows rankers learn from; None for no limit.
    """
    windows = {} if windows is None else windows
    names = sorted(variants, key=list(VARIANTS).index)  # components before what is made of them
    wholes = [name for name in names if issubclass(VARIANTS[name], (Blend, Ranker))]
    rankers = [name for name in wholes if issubclass(VARIANTS[name], Ranker)]
    models: dict[str, Model[Any]] = {}
    seconds: dict[str, float] = {}

    def fit(name: str, model: Model[Any]) -> tuple[Model[Any], float]:
        on_step(name)
        started = perf_counter()
        with naming_variant(name, model):
            fitted = model.fit(interactions)
        give_back()
        return fitted, perf_counter() - started

    def built(name: str, **more: float) -> Model[Any]:
        return build(name, with_horizon(name, variants[name], horizon_days) | more)

    alone = [name for name in names if name not in wholes]
    steps = [partial(fit, name, built(name)) for name in alone]
    for name, (model, took_s) in zip(alone, at_once(steps), strict=True):
        models[name], seconds[name] = model, took_s
    for name in wholes:
        if name in rankers and budget is not None:
            model = built(name, time_budget_s=budget.for_ranker(len(rankers)))
        else:
            model = built(name)
        if isinstance(model, Blend):
            model = Blend(model.options, _fitted_parts(model, models))
        elif isinstance(model, Ranker):
            told = partial(lambda name, at: on_step(f"{name}, {at}"), name)
            model = type(model)(model.options, _fitted_parts(model, models), windows, told)
        models[name], seconds[name] = fit(name, model)
    return models, seconds


@contextmanager
def naming_variant(name: str, model: Model[Any]) -> Iterator[None]:
    """What goes wrong in a fit says of which variant.

    Raises:
        NoMemoryError: in place of a MemoryError; it names the options that are larger than by default.
    """
    try:
        yield
    except MemoryError as err:
        raise NoMemoryError(f"[variants.{name}]", str(err), _raised(model.options)) from err
    except Exception as err:
        err.add_note(f"This was in the fit of [variants.{name}]")
        raise


def _raised(options: Any, within: str = "") -> list[str]:
    """The numbers among options, those of parts too, that are above their defaults."""
    found = []
    for name, usual in ((field.name, getattr(type(options)(), field.name)) for field in fields(options)):
        value = getattr(options, name)
        if is_dataclass(value):
            found += _raised(value, f"{within}{name}.")
        elif isinstance(value, int | float) and isinstance(usual, int | float) and value > usual:
            found.append(f"{within}{name} = {value} (by default {usual})")
    return found


def popular_order(models: Mapping[str, Model[Any]]) -> IntArray:
    """Products by the fitted `popular`, the most popular first: what fills lists up."""
    popular = models[Popular.name]
    assert isinstance(popular, Popular)
    return popular.order()


def item_item_of(models: Mapping[str, Model[Any]]) -> ItemItem:
    """The fitted `item_item`, which every version needs, as the configuration sees to."""
    item_item = models[ItemItem.name]
    assert isinstance(item_item, ItemItem)
    return item_item


def content_of(models: Mapping[str, Model[Any]], interactions: Interactions, horizon_days: float) -> Content:
    """The fitted `content`: a variant, or what another one is made of; fitted here where none is."""
    known = dict(models)
    for model in models.values():
        if isinstance(model, Blend):
            known = vars(model.parts_) | known
        elif isinstance(model, Ranker):
            known = model.sources_ | known
    content = known.get(Content.name)
    if isinstance(content, Content):
        return content
    return Content(ContentOptions(horizon_days=horizon_days)).fit(interactions)


def with_horizon(name: str, options: Mapping[str, object], horizon_days: float) -> dict[str, Any]:
    """Options with the horizon filled in, also for the parts that a variant is made of."""
    parts = {part: with_horizon(part, _part(options, part), horizon_days) for part in _parts(name)}
    own = {"horizon_days": horizon_days} if _has_horizon(name) else {}
    return {**own, **options, **parts}


def _has_horizon(name: str) -> bool:
    return "horizon_days" in {field.name for field in fields(VARIANTS[name].options_type)}


def _parts(name: str) -> list[str]:
    """The options that are tables of another variant's; a number may be called as a variant is."""
    defaults = VARIANTS[name].options_type()
    names = [field.name for field in fields(defaults) if is_dataclass(getattr(defaults, field.name))]
    return [name for name in names if name in VARIANTS]


def _part(options: Mapping[str, object], part: str) -> Mapping[str, object]:
    chosen = options.get(part, {})
    return chosen if isinstance(chosen, Mapping) else {}


def _fitted_parts(whole: Model[Any], models: Mapping[str, Model[Any]]) -> dict[str, Model[Any]]:
    """What a variant of the same options already is, of the parts and, for a ranker, of the blend and its."""
    blend = models.get(Blend.name)
    known = {**vars(blend.parts_), **models} if isinstance(blend, Blend) else models
    parts = [part for part in _parts(whole.name) if part in known]
    fitted = {part: known[part] for part in parts if known[part].options == getattr(whole.options, part)}
    if isinstance(whole, Ranker) and isinstance(blend, Blend) and _is_of(blend, whole):
        fitted[Blend.name] = blend
    return fitted


def _is_of(blend: Blend, ranker: Ranker) -> bool:
    """Whether a blend is made of the ranker's own sources."""
    return all(
        getattr(blend.options, part) == getattr(ranker.options, part, None) for part in _parts(Blend.name)
    )


def recipe_of(name: str, options: Mapping[str, object]) -> str:
    """What the gate compares: a hash of the variant, its options and the revision of its code and parts."""
    revisions = {part: VARIANTS[part].revision for part in (name, *_parts(name))}
    return sha256(json.dumps([name, options, revisions], sort_keys=True).encode()).hexdigest()[:16]
