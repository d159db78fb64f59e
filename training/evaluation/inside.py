"""What a ranker is made of, on one fold: what its sources found, and whether its probabilities came true."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, AnyArray, IntArray, LongArray
from models.base import Model, Told
from models.history.interactions import Interactions
from models.history.pair_keys import are_among, pair_keys
from models.numerics.lot import some_of
from models.ranker import Ranker
from models.ranking.ensembles import Opinions
from training.evaluation.calibration import Calibration, JudgedPairs, WindowFigures, judge
from training.evaluation.contribution import Contribution, SourceCounts, count_sources, pool_sources
from training.evaluation.folds import Fold, TargetTruth

ACTIVE_HORIZONS = 8  # who bought within this many horizons before a fold is active
MAX_CUSTOMERS = 3000  # active ones that are asked; a lot among more
TOLD_GAINS = 15


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


class Looking:
    """A ranker that is asked for lists: on the way it is looked into, also with other customers.

    It says of each what it would say of them alone; to find their candidates twice would take twice as long.
    """

    def __init__(
        self, ranker: Ranker, active: IntArray, truth: TargetTruth, fold: Fold, owned: sparse.csr_array
    ) -> None:
        """A look at one fold.

        Args:
            ranker: fitted on what was known at the fold.
            active: rows of the customers that are looked at, rising.
            truth: what was bought.
            fold: see there.
            owned: customers x products, what each had bought before.
        """
        self._ranker, self.active, self._truth, self._fold, self._owned = ranker, active, truth, fold, owned
        limits = ranker.options_.limits
        width = max(limits.own, 2 * limits.new)  # behind the first places up to as many that nobody bought
        self._lists = {name: np.full((len(active), width), -1, np.int32) for name in ranker.sources_}
        customer = np.repeat(truth.customer_row, np.diff(truth.products.indptr))
        self._bought = pair_keys(customer, truth.products.indices, owned.shape[1])  # rising
        self._parts: list[tuple[AnyArray, ...]] = []

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        """See Model; to be asked once."""
        for part in self._ranker.judged(np.union1d(rows, self.active)):
            self._note(part.of(self.active))
            theirs = part.of(rows)
            if len(theirs.found.rows):
                yield theirs.told()

    def look(self) -> Look:
        """What was seen, once all opinions were taken."""
        empty = np.empty(0, np.float32), np.empty(0, np.bool_), np.empty(0, np.int32), np.empty(0, np.int64)
        p, is_bought, customer, rank = (
            np.concatenate(column) for column in zip(empty, *self._parts, strict=True)
        )
        pairs = JudgedPairs(self._fold.as_of_s, p, is_bought, customer, rank, self.active)
        return Look(count_sources(self._truth, self._owned, self.active, self._lists), pairs)

    def _note(self, part: Opinions) -> None:
        found = part.found
        position = np.searchsorted(self.active, found.customer_row)
        for column, line in enumerate(self._lists.values()):
            at = np.flatnonzero(~np.isnan(found.places[:, column]))
            line[position[at], found.places[at, column].astype(np.int64)] = found.product_row[at]
        keys = pair_keys(found.customer_row, found.product_row, self._owned.shape[1])
        is_bought = are_among(keys, self._bought)
        self._parts.append((part.probability, is_bought, found.customer_row, _ranks(part)))


def looking(
    models: Mapping[str, Model[Any]],
    history: Interactions,
    truth: TargetTruth,
    fold: Fold,
    owned: sparse.csr_array,
    seed: int = 0,
) -> dict[str, Looking]:
    """What looks into each ranker that did not fall back.

    Args:
        models: name to a model fitted on `history`, and on nothing later.
        history: as it was known at the fold.
        truth, fold, owned: as of Looking.
        seed: of the lot among active customers.
    """
    rankers = {name: model for name, model in models.items() if isinstance(model, Ranker)}
    active = _active(history, fold, seed)
    return {
        name: Looking(model, active, truth, fold, owned)
        for name, model in rankers.items()
        if not model.why_not_
    }


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
        f"options allow {model.options.n_folds}"
        for name, model in models.items()
        if isinstance(model, Ranker) and model.options_.n_folds < model.options.n_folds
    }


def _active(history: Interactions, fold: Fold, seed: int) -> IntArray:
    """Some customers who bought lately, rising."""
    since_s = fold.as_of_s - ACTIVE_HORIZONS * fold.horizon_days * DAY_S
    return some_of(np.unique(history.customer_row[history.at_s >= since_s]), MAX_CUSTOMERS, seed)


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
