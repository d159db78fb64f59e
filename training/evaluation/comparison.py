"""All folds together: each variant's figures with intervals, by fold, by activity, against others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import BoolArray, DoubleArray, IntArray
from training.evaluation.bootstrap import RESAMPLES, Interval, Resampled, resample
from training.evaluation.folds import TARGETS, Target
from training.evaluation.metrics import ListFigures
from training.evaluation.one_fold import FoldFacts, FoldResult

N_BUCKETS = 5
ACTIVITY_METRICS = ("ndcg@10", "recall@10", "hit@10")


@dataclass(frozen=True)
class Difference:
    """One variant minus another on the same customers; `relative` is its share of the other's mean."""

    interval: Interval
    relative: float | None


@dataclass(frozen=True)
class VariantResult:
    """The figures of one variant over all folds.

    Attributes:
        metrics: target to metric to mean over the folds.
        by_fold: target to one dict per fold, in the order of `Evaluation.folds`; empty without truth.
        by_activity: target to one dict per bucket, in the order of `Evaluation.activity`: ACTIVITY_METRICS.
        differences: the other variant to target to metric; `baseline` and `default` are the others.
        lists: what the lists are made of, mean over the folds.
    """

    metrics: dict[Target, dict[str, Interval]]
    by_fold: dict[Target, list[dict[str, Interval]]]
    by_activity: dict[Target, list[dict[str, Interval]]]
    differences: dict[str, dict[Target, dict[str, Difference]]]
    lists: ListFigures


@dataclass(frozen=True)
class Bucket:
    """Customers with `low` to `high` orders before the fold; `customers` counts each once per fold."""

    label: str
    low: int
    high: int
    customers: int


@dataclass(frozen=True)
class Evaluation:
    """The comparison of all variants: the same data, seed and library versions give the same figures.

    Attributes:
        default: the variant that customers get; it may not be among those that are compared.
        reference: to which the others are held: the default, else the baseline, else the first.
    """

    baseline: str
    default: str
    reference: str
    resamples: int
    seed: int
    folds: list[FoldFacts]
    activity: list[Bucket]
    variants: dict[str, VariantResult]


def summarise(
    results: Sequence[FoldResult],
    *,
    default: str,
    baseline: str = "popular",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """The comparison over folds.

    Args:
        results: at least one, each of the same variants.
        default: the variant to whose figures the others are compared, beside `baseline`, if it is there.
        baseline: the simple variant that everything must beat.
        resamples, seed: of the bootstrap.
    """
    variants = list(results[0].lists)
    pools = {target: _Pool.of(results, target) for target in TARGETS}
    edges = activity_edges(pools["all"].orders_before)
    pooled = {target: pool.tables(resamples, seed) for target, pool in pools.items()}
    folds = {
        target: [pool.where(pool.folds == fold).tables(resamples, seed) for fold in range(len(results))]
        for target, pool in pools.items()
    }
    buckets = {
        target: [pool.within(low, high).tables(resamples, seed) for low, high in edges]
        for target, pool in pools.items()
    }
    others = [name for name in dict.fromkeys((baseline, default)) if name in variants] or variants[:1]
    return Evaluation(
        baseline=baseline,
        default=default,
        reference=others[-1],
        resamples=resamples,
        seed=seed,
        folds=[result.facts for result in results],
        activity=[
            Bucket(_label(low, high), low, high, len(pools["all"].within(low, high).customers))
            for low, high in edges
        ],
        variants={
            name: VariantResult(
                metrics={target: table.of(name) for target, table in pooled.items()},
                by_fold={target: [table.of(name) for table in tables] for target, tables in folds.items()},
                by_activity={
                    target: [table.of(name, ACTIVITY_METRICS) for table in tables]
                    for target, tables in buckets.items()
                },
                differences={
                    other: {target: table.minus(name, other) for target, table in pooled.items()}
                    for other in others
                    if other != name
                },
                lists=_mean_lists([result.lists[name] for result in results]),
            )
            for name in variants
        },
    )


def activity_edges(orders_before: IntArray) -> list[tuple[int, int]]:
    """Bounds, both included, of up to N_BUCKETS groups of about equally many customers."""
    if not len(orders_before):
        return []
    cuts = np.quantile(orders_before, np.linspace(0, 1, N_BUCKETS + 1)[1:-1], method="higher")
    lows = np.unique([int(orders_before.min()), *(int(cut) for cut in cuts)])
    highs = [*(int(low) - 1 for low in lows[1:]), int(orders_before.max())]
    return [(int(low), high) for low, high in zip(lows, highs, strict=True)]


@dataclass(frozen=True, eq=False)
class _Table:
    """Resampled means of every (variant, metric); None where nobody was left to average over."""

    columns: dict[tuple[str, str], int]
    resampled: Resampled | None

    def of(self, variant: str, metrics: Sequence[str] | None = None) -> dict[str, Interval]:
        if self.resampled is None:
            return {}
        return {
            metric: self.resampled.interval(column)
            for (name, metric), column in self.columns.items()
            if name == variant and (metrics is None or metric in metrics)
        }

    def minus(self, variant: str, other: str) -> dict[str, Difference]:
        if self.resampled is None:
            return {}
        found: dict[str, Difference] = {}
        for (name, metric), column in self.columns.items():
            if name == variant:
                against = self.columns[other, metric]
                mean = float(self.resampled.mean[against])
                interval = self.resampled.difference(column, against)
                found[metric] = Difference(interval, interval.mean / mean if mean else None)
        return found


@dataclass(frozen=True, eq=False)
class _Pool:
    """The customers of several folds in one table; a column for each (variant, metric)."""

    values: DoubleArray
    customers: IntArray
    folds: IntArray
    orders_before: IntArray
    columns: dict[tuple[str, str], int]

    @classmethod
    def of(cls, results: Sequence[FoldResult], target: Target) -> "_Pool":
        scores = [result.targets[target] for result in results]
        names = [(name, metric) for name, figures in scores[0].figures.items() for metric in figures]
        values = [np.column_stack([part.figures[name][metric] for name, metric in names]) for part in scores]
        sizes = [len(part.customer_row) for part in scores]
        return cls(
            values=np.concatenate(values),
            customers=np.concatenate([part.customer_row for part in scores]),
            folds=np.repeat(np.arange(len(scores), dtype=np.int32), sizes),
            orders_before=np.concatenate([part.orders_before for part in scores]),
            columns={name: column for column, name in enumerate(names)},
        )

    def where(self, mask: BoolArray) -> "_Pool":
        return _Pool(
            self.values[mask], self.customers[mask], self.folds[mask], self.orders_before[mask], self.columns
        )

    def within(self, low: int, high: int) -> "_Pool":
        return self.where((self.orders_before >= low) & (self.orders_before <= high))

    def tables(self, resamples: int, seed: int) -> _Table:
        if not len(self.customers):
            return _Table(self.columns, None)
        drawn = resample(self.values, self.customers, self.folds, resamples=resamples, seed=seed)
        return _Table(self.columns, drawn)


def _mean_lists(parts: Sequence[ListFigures]) -> ListFigures:
    return ListFigures(
        coverage=float(np.mean([part.coverage for part in parts])),
        novelty=float(np.mean([part.novelty for part in parts])),
        popularity=float(np.mean([part.popularity for part in parts])),
        truth_popularity=float(np.mean([part.truth_popularity for part in parts])),
    )


def _label(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low}-{high}"
