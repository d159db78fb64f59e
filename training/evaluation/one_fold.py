"""One time split: every variant's lists over the full catalogue against what was then bought."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from models.arrays import DoubleArray, IntArray
from models.base import Model
from models.history.interactions import Interactions
from models.numerics.cores import at_once
from training.evaluation.folds import TARGETS, Fold, Target, TargetTruth, Truth, split
from training.evaluation.inside import Look, looking
from training.evaluation.metrics import KS, ListFigures, list_figures, per_customer
from training.ranking import rank_each

COVERAGE_K = 10


class EvaluationOptions(BaseModel):
    """Section `[evaluation]` of the configuration: of the gate, of `evaluate` and of `tune`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_customers: int = Field(
        default=20_000,
        ge=30,
        description="Customers who are judged in a window; a lot among more, the same for all variants.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of that lot.")


@dataclass(frozen=True)
class FoldFacts:
    """What a fold consists of.

    Attributes:
        as_of_s, horizon_days: see Fold.
        customers: who were judged; `new_customers` of them bought something new to them.
        known_customers: who bought in the window and before it, of whom the judged ones are a lot or all.
        unknown_customers: who bought in the window for the first time; in no figure.
        products_each: distinct products per known customer in the window.
        repeat_share: share of these (customer, product) pairs that the customer had bought before.
        unsold_share: share of these pairs whose product nobody had bought before.
        history_purchases, history_customers, history_products: what the models were fitted on.
    """

    as_of_s: int
    horizon_days: int
    customers: int
    known_customers: int
    new_customers: int
    unknown_customers: int
    products_each: float
    repeat_share: float
    unsold_share: float
    history_purchases: int
    history_customers: int
    history_products: int


@dataclass(frozen=True, eq=False)
class TargetScores:
    """Per-customer figures for one target; all variants on the same customers in the same order.

    Attributes:
        customer_row: shape (m,), customers with something to hit.
        orders_before: shape (m,), their orders before the fold.
        figures: variant to metric ("ndcg@10") to shape (m,), float64.
    """

    customer_row: IntArray
    orders_before: IntArray
    figures: dict[str, dict[str, DoubleArray]]


@dataclass(frozen=True, eq=False)
class FoldResult:
    """All that was measured on one fold.

    Attributes:
        facts, targets, lists: see there.
        score_s: wall time of the lists, which differs from run to run; where others were asked about on the
            way, the part of those whose lists they are.
        looks: into the rankers, where that was wanted.
    """

    facts: FoldFacts
    targets: dict[Target, TargetScores]
    lists: dict[str, ListFigures]
    score_s: dict[str, float]
    looks: Mapping[str, Look] = field(default_factory=dict)

    def per_customer(self, variant: str, metric: str = "ndcg@10", target: Target = "all") -> DoubleArray:
        """One figure of each customer, in the order of `targets[target].customer_row`."""
        return self.targets[target].figures[variant][metric]


@dataclass(frozen=True)
class Seconds:
    """Wall time of one variant on each fold; never among the figures that must be reproducible."""

    fit: list[float]
    score: list[float]


def evaluate_fold(
    interactions: Interactions,
    fold: Fold,
    models: Mapping[str, Model[Any]],
    *,
    fill: IntArray,
    options: EvaluationOptions | None = None,
    looks_inside: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> FoldResult:
    """Measure fitted models on one fold.

    Args:
        interactions: the whole history, with the fold's window.
        fold: where it is cut.
        models: name to a model fitted on `interactions.before(fold.as_of_s)`, and on nothing later.
        fill: product rows, most popular before the fold first; they fill lists up.
        options: how many customers are judged at most; None: all are.
        looks_inside: whether to look into the rankers, which asks more of them.
        on_step: is told of which variant lists are begun, maybe by another thread.
    Returns:
        figures of every model; with empty targets if nobody known bought in the window.
    """
    history, truth = split(interactions, fold)
    owned = history.matrix()
    figures: dict[Target, dict[str, dict[str, DoubleArray]]] = {target: {} for target in TARGETS}
    lists: dict[str, ListFigures] = {}
    score_s: dict[str, float] = {}
    buyers = np.bincount(owned.indices, minlength=history.n_products).astype(np.int32)
    n_buyers = max(1, history.n_buyers)
    asked = truth.targets if options is None else _by_lot(truth.targets, options)
    customers = asked["all"].customer_row

    looks_inside = looks_inside and len(customers) > 0  # where nobody came there is nothing to judge
    inside = looking(models, history, truth.targets["all"], fold, owned) if looks_inside else {}

    def ranked(name: str, model: Model[Any]) -> tuple[list[IntArray], float]:
        on_step(f"{name}, lists of {len(customers):,} customers")
        also = inside[name].active if name in inside else customers[:0]
        started = time.perf_counter()
        found = rank_each(inside.get(name, model), customers, max(KS), fill=fill, without=[None, owned])
        part = len(customers) / max(len(np.union1d(customers, also)), 1)
        return found, part * (time.perf_counter() - started)

    every = at_once([partial(ranked, *each) for each in models.items()])
    for name, ((best, unowned), score_s[name]) in zip(models, every, strict=True):
        fresh = unowned[np.searchsorted(customers, asked["new"].customer_row)]
        figures["all"][name] = per_customer(best, asked["all"].products)
        figures["next_order"][name] = per_customer(best, asked["next_order"].products)
        figures["new"][name] = per_customer(fresh, asked["new"].products)
        lists[name] = list_figures(best[:, :COVERAGE_K], asked["all"].products, buyers, n_buyers)
    targets = {
        target: TargetScores(part.customer_row, part.orders_before, figures[target])
        for target, part in asked.items()
    }
    facts = _facts(history, truth, asked, fold, owned, n_buyers)
    looks = {name: each.look() for name, each in inside.items()}
    return FoldResult(facts, targets, lists, score_s, looks)


def _by_lot(
    targets: Mapping[Target, TargetTruth], options: EvaluationOptions
) -> Mapping[Target, TargetTruth]:
    """The targets of at most this many customers; the same lot for the same history and fold."""
    customers = targets["all"].customer_row
    if len(customers) <= options.max_customers:
        return targets
    lot = np.random.default_rng(options.seed).choice(customers, options.max_customers, replace=False)
    return {target: part.only(lot) for target, part in targets.items()}


def _facts(
    history: Interactions,
    truth: Truth,
    asked: Mapping[Target, TargetTruth],
    fold: Fold,
    owned: sparse.csr_array,
    n_buyers: int,
) -> FoldFacts:
    every, new = truth.targets["all"], truth.targets["new"]
    n_pairs = every.products.nnz
    return FoldFacts(
        as_of_s=fold.as_of_s,
        horizon_days=fold.horizon_days,
        customers=len(asked["all"].customer_row),
        known_customers=len(every.customer_row),
        new_customers=len(asked["new"].customer_row),
        unknown_customers=truth.unknown_customers,
        products_each=n_pairs / max(1, len(every.customer_row)),
        repeat_share=1 - new.products.nnz / max(1, n_pairs),
        unsold_share=truth.unsold_share,
        history_purchases=len(history),
        history_customers=n_buyers,
        history_products=len(np.unique(owned.indices)),
    )
