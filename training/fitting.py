"""Fit variants on one history; blend takes what its components have learned: nothing is learned twice."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from hashlib import sha256
from time import perf_counter
from typing import Any

from models.arrays import IntArray
from models.base import Model
from models.interactions import Interactions
from models.popular import Popular
from models.registry import VARIANTS, build

type Variants = Mapping[str, Mapping[str, object]]


def fit_variants(
    interactions: Interactions,
    variants: Variants,
    *,
    horizon_days: float,
    on_step: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Model[Any]], dict[str, float]]:
    """The fitted models by name, and the seconds that each took.

    Args:
        interactions: the history; all of it is learned from.
        variants: name to options, as in `[variants.<name>]`.
        horizon_days: what the models should predict; an option of the same name goes before it.
        on_step: is told each variant's name before it is fitted.
    """
    models: dict[str, Model[Any]] = {}
    seconds: dict[str, float] = {}
    for name in sorted(variants, key=list(VARIANTS).index):  # components before what is made of them
        on_step(name)
        started = perf_counter()
        model = build(name, with_horizon(name, variants[name], horizon_days))
        model.options = replace(model.options, **dict(_learned_parts(model, models)))
        models[name] = model.fit(interactions)
        seconds[name] = perf_counter() - started
    return models, seconds


def refit(model: Model[Any], interactions: Interactions) -> Model[Any]:
    """The same recipe on another history, with the constants that `model` has learned."""
    return type(model)(model.options_).fit(interactions)


def popular_order(models: Mapping[str, Model[Any]]) -> IntArray:
    """Products by the fitted `popular`, the most popular first: what fills lists up."""
    popular = models[Popular.name]
    assert isinstance(popular, Popular)
    return popular.order()


def with_horizon(name: str, options: Mapping[str, object], horizon_days: float) -> dict[str, Any]:
    """Options with the horizon filled in, also for the parts that a variant is made of."""
    parts = {part: with_horizon(part, _part(options, part), horizon_days) for part in _parts(name)}
    return {"horizon_days": horizon_days, **options, **parts}


def _parts(name: str) -> list[str]:
    return [field.name for field in fields(VARIANTS[name].options_type) if field.name in VARIANTS]


def _part(options: Mapping[str, object], part: str) -> Mapping[str, object]:
    chosen = options.get(part, {})
    return chosen if isinstance(chosen, Mapping) else {}


def _learned_parts(model: Model[Any], fitted: Mapping[str, Model[Any]]) -> Iterator[tuple[str, Any]]:
    """What the parts of `model` need not learn, since a fitted variant of the same options has."""
    for part in _parts(model.name):
        if part in fitted and fitted[part].options == getattr(model.options, part):
            yield part, fitted[part].options_


def recipe_of(name: str, options: Mapping[str, object]) -> str:
    """What the gate compares: a hash of the variant, its options and the revision of its code and parts."""
    revisions = {part: VARIANTS[part].revision for part in (name, *_parts(name))}
    return sha256(json.dumps([name, options, revisions], sort_keys=True).encode()).hexdigest()[:16]
