"""What a ranker is made of, on one fold: what its sources found, and whether its probabilities came true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, IntArray, LongArray
from models.base import Model
from models.history.interactions import Interactions
from models.history.pair_keys import are_among, pair_keys
from models.numerics.lot import some_of
from models.ranker import Ranker
from models.ranking.calibration import LEAST_WINDOWS
from models.ranking.ensembles import Opinions
from training.evaluation.calibration import Calibration, JudgedPairs, WindowFigures, judge
from training.evaluation.contribution import Contribution, SourceCounts, count_sources, pool_sources
from training.evaluation.folds import Fold, TargetTruth, split

ACTIVE_HORIZONS = 8  # who bought within this many horizons before a fold is active
MAX_CUSTOMERS = 3000  # active ones that are asked; a lot among more
TOLD_GAINS = 15
UNCORRECTED = f"; with fewer than {LEAST_WINDOWS} nothing corrects its probabilities"


@dataclass(frozen=True, eq=False)
class Look:
    """One ranker on one fold."""

    sources: SourceCounts
    pairs: JudgedPairs


@dataclass(frozen=True)
class Inside:
    """What the report says of the rankers among the variants, by variant.

    Attributes:
        contribution, calibration: over all folds; missing where a ranker fell back on each.
        gains: the features that brought most to the order, most first, each with its share of all.
        notes: plain sentences that a reader must know first, such as that a ranker fell back.
    """

    contribution: Mapping[str, Contribution] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    gains: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def look_inside(
    models: Mapping[str, Model[Any]], interactions: Interactions, fold: Fold, *, seed: int = 0
) -> dict[str, Look]:
    """A look into each ranker that did not fall back.

    Args:
        models: name to a model fitted on `interactions.before(fold.as_of_s)`, and on nothing later.
        interactions: the whole history, with the fold's window.
        fold: where it is cut.
        seed: of the lot among active customers.
    """
    rankers = {name: model for name, model in models.items() if isinstance(model, Ranker)}
    rankers = {name: model for name, model in rankers.items() if not model.why_not_}
    if not rankers:
        return {}
    history, truth = split(interactions, fold)
    active = _active(history, fold, seed)
    owned = history.matrix()
    return {name: _look(model, active, truth.targets["all"], fold, owned) for name, model in rankers.items()}


def pooled(
    looks: Sequence[Mapping[str, Look]],
    models: Mapping[str, Model[Any]],
    notes: Sequence[str] = (),
    earlier: Mapping[str, Sequence[WindowFigures]] = MappingProxyType({}),
) -> Inside:
    """The looks of all folds as the report has them.

    Args:
        looks: one for each fold.
        models: as fitted last; importance of features is theirs.
        notes: see Inside.
        earlier: windows that were judged before, by variant.
    """
    names = dict.fromkeys(name for each in looks for name in each)
    by_name = {name: [each[name] for each in looks if name in each] for name in names}
    return Inside(
        contribution={
            name: pool_sources([look.sources for look in found]) for name, found in by_name.items()
        },
        calibration={
            name: judge([look.pairs for look in found], earlier.get(name, ()))
            for name, found in by_name.items()
        },
        gains={
            name: top
            for name, model in models.items()
            if isinstance(model, Ranker) and (top := _top(model.gains_))
        },
        notes=notes,
    )


def fallback_notes(models: Mapping[str, Model[Any]]) -> dict[str, str]:
    """Of each ranker that fell back, why, in plain words."""
    return {
        name: f"{name}: too little history, the blend answers instead ({model.why_not_})"
        for name, model in models.items()
        if isinstance(model, Ranker) and model.why_not_
    }


def budget_notes(models: Mapping[str, Model[Any]]) -> dict[str, str]:
    """Of each ranker that a time budget left with fewer windows, how many, in plain words."""
    return {
        name: f"{name}: the time budget left it {len(model.windows_)} past windows to learn from, where its "
        f"options allow {model.options.n_folds}{'' if len(model.windows_) >= LEAST_WINDOWS else UNCORRECTED}"
        for name, model in models.items()
        if isinstance(model, Ranker) and model.options_.n_folds < model.options.n_folds
    }


def _active(history: Interactions, fold: Fold, seed: int) -> IntArray:
    """Some customers who bought lately, rising."""
    since_s = fold.as_of_s - ACTIVE_HORIZONS * fold.horizon_days * DAY_S
    return some_of(np.unique(history.customer_row[history.at_s >= since_s]), MAX_CUSTOMERS, seed)


def _look(ranker: Ranker, rows: IntArray, truth: TargetTruth, fold: Fold, owned: sparse.csr_array) -> Look:
    limits = ranker.options_.limits
    width = max(limits.own, limits.new)
    lists = {name: np.full((len(rows), width), -1, np.int32) for name in ranker.sources_}
    customer = np.repeat(truth.customer_row, np.diff(truth.products.indptr))
    bought = pair_keys(customer, truth.products.indices, owned.shape[1])  # rising
    parts: list[tuple[Any, ...]] = []
    for part in ranker.judged(rows):
        _enter(lists, part, rows)
        found = part.found
        keys = pair_keys(found.customer_row, found.product_row, owned.shape[1])
        parts.append((part.probability, are_among(keys, bought), found.customer_row, _ranks(part)))
    empty = np.empty(0, np.float32), np.empty(0, np.bool_), np.empty(0, np.int32), np.empty(0, np.int64)
    p, is_bought, customer, rank = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
    pairs = JudgedPairs(fold.as_of_s, p, is_bought, customer, rank, rows)
    return Look(count_sources(truth, owned, rows, lists), pairs)


def _enter(lists: Mapping[str, IntArray], part: Opinions, rows: IntArray) -> None:
    """Write what each source listed to the customers' lines."""
    found = part.found
    position = np.searchsorted(rows, found.customer_row)
    for column, line in enumerate(lists.values()):
        at = np.flatnonzero(~np.isnan(found.places[:, column]))
        line[position[at], found.places[at, column].astype(np.int64)] = found.product_row[at]


def _ranks(part: Opinions) -> LongArray:
    """The place of each pair in its customer's list, ties by product row."""
    found = part.found
    order = np.lexsort((found.product_row, -part.order, found.customer_row))
    customer = found.customer_row[order]
    first = np.searchsorted(customer, customer)
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - first
    return ranks


def _top(gains: Mapping[str, float]) -> dict[str, float]:
    """The features that brought most; of those that brought nothing, none."""
    best = sorted(gains.items(), key=lambda entry: -entry[1])  # stable: equals by column
    return {name: gain for name, gain in best[:TOLD_GAINS] if gain > 0}
