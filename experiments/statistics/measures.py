"""A metric of the specification, measured on customers whose window is over."""

from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.specification import DOWN, MEANS, RATIOS, Analysis, Metric, Specification
from experiments.statistics.effects import (
    CONFIDENCE,
    TAIL,
    Effect,
    lean,
    of_ces,
    of_means,
    of_nps,
    of_ratios,
)
from experiments.statistics.sequences import half_width
from models.arrays import DAY_MS, DoubleArray

LEAST_ANSWERS = 100  # to a survey, of each arm: a handful is far from normal, and rolled back 5 % for nothing
MOST_LEAN = 0.05  # an end of an interval is missed in about 3 % of looks instead of 2.5

type GuardState = Literal["harmful", "harmless", "open"]


@dataclass(frozen=True, eq=False)
class Table:
    """Customers as arrays, in the order of their first exposure.

    Attributes:
        arm: number of each one's variant, 0 for the control.
        closed_ms: when each one's window is over.
        columns: by name, shape (n,); NaN for a survey without an answer.
    """

    arm: NDArray[np.int32]
    closed_ms: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    columns: dict[str, DoubleArray]

    @staticmethod
    def of(customers: pl.DataFrame, analysis: Analysis) -> "Table":
        """Of `daily.Figures.customers`."""
        plain = ("customer_id", "arm", "first_ms", "is_new")
        return Table(
            customers["arm"].to_numpy(),
            customers["first_ms"].to_numpy() + analysis.attribution_days * DAY_MS,
            customers["is_new"].to_numpy(),
            {
                name: customers[name].cast(pl.Float64).to_numpy()
                for name in customers.columns
                if name not in plain
            },
        )

    def where(self, keep: "NDArray[np.bool_] | slice") -> "Table":
        """The same of some customers only."""
        columns = {name: column[keep] for name, column in self.columns.items()}
        return Table(self.arm[keep], self.closed_ms[keep], self.is_new[keep], columns)

    def closed(self, at_ms: int) -> "Table":
        """Of customers whose window was over then: the first ones, of whom nothing is copied."""
        return self.where(slice(self.closed_n(at_ms)))

    def closed_n(self, at_ms: int) -> int:
        """How many customers' windows were over then."""
        return int(np.searchsorted(self.closed_ms, at_ms, side="right"))


@dataclass(frozen=True)
class Sequence:
    """A confidence sequence around a difference: it holds whenever one looks."""

    low: float
    high: float


def measure(metric: Metric, table: Table, arm: int, winsor_quantile: float) -> Effect | None:
    """An arm against the control; None where too little is known."""
    control, treatment = table.arm == 0, table.arm == arm
    if metric.kind in ("nps", "ces"):
        answers = table.columns[metric.kind]
        sides = [answers[side & ~np.isnan(answers)] for side in (control, treatment)]
        return of_nps(*sides) if metric.kind == "nps" else of_ces(*sides)
    if metric.kind == "ratio":
        above, below = (bounded(table, name, winsor_quantile) for name in metric.of_ratio)
        return of_ratios((above[control], below[control]), (above[treatment], below[treatment]))
    name = metric.of_mean
    values = bounded(table, name, winsor_quantile)
    if not metric.cuped or f"before_{name}" not in table.columns:
        return of_means(values[control], values[treatment])
    before = bounded(table, f"before_{name}", winsor_quantile)
    return of_means(values[control], values[treatment], before=(before[control], before[treatment]))


def lean_of(metric: Metric, table: Table, arm: int, winsor_quantile: float) -> float:
    """How far an arm's difference from the control leans, as `effects.lean`; 0 for surveys, whose answers
    have bounds."""
    sides = [table.arm == number for number in (0, arm)]
    if metric.kind in ("nps", "ces") or any(side.sum() < 2 for side in sides):
        return 0.0
    if metric.kind == "ratio":
        above, below = (bounded(table, name, winsor_quantile) for name in metric.of_ratio)
        return lean(*(around_ratio(above[side], below[side]) for side in sides))
    name = metric.of_mean
    values = bounded(table, name, winsor_quantile)
    if metric.cuped and f"before_{name}" in table.columns:
        before = bounded(table, f"before_{name}", winsor_quantile)
        within = [(values[side] - values[side].mean(), before[side] - before[side].mean()) for side in sides]
        spread = sum(float(x @ x) for _, x in within)
        if spread > 0:
            values = values - sum(float(y @ x) for y, x in within) / spread * before
    return lean(*(values[side] for side in sides))


def by_chance(leans: float) -> str:
    """What a difference that leans so far does too often."""
    share = (1 - CONFIDENCE) / 2 + TAIL * abs(leans)
    way = "lower" if leans > 0 else "higher"
    often = f"in about {share:.1%} of tests of the planned size, where 2.5 % are meant"
    return f"is found {way} by chance alone {often}"


def around_ratio(above: DoubleArray, below: DoubleArray) -> DoubleArray:
    """What each customer adds to a ratio of sums beyond its mean (delta method); empty if all below is 0."""
    if not below.any():
        return np.zeros(0)
    return (above - above.sum() / below.sum() * below) / below.mean()


def sequence(effect: Effect | None, n: int, alpha: float, planned_n: int) -> Sequence:
    """The confidence sequence of an effect measured on n customers; without an effect, everything."""
    if effect is None:
        return Sequence(-inf, inf)
    half = half_width(effect.variance, n, alpha, planned_n)
    return Sequence(effect.difference - half, effect.difference + half)


def sign(metric: Metric) -> int:
    """1 where more is better, -1 where less is."""
    return 1 if metric.direction == "up" else -1


def harmless(metric: Metric, effect: Effect) -> float:
    """How much worse a guardrail may be, in its own unit."""
    margin = metric.margin or 0.0
    return margin if metric.kind in ("nps", "ces") else margin * abs(effect.control)


def guard_state(metric: Metric, effect: Effect | None, around: Sequence) -> GuardState:
    """What a guardrail's sequence says: surely worse, surely no worse than the margin, or neither yet, as of
    all surveys with fewer than LEAST_ANSWERS."""
    is_of_few = effect is not None and min(effect.n_control, effect.n_treatment) < LEAST_ANSWERS
    if metric.kind in ("nps", "ces") and is_of_few:
        return "open"
    worst, best = sorted((sign(metric) * around.low, sign(metric) * around.high))
    if effect is not None and best < 0:
        return "harmful"
    if effect is not None and worst >= -harmless(metric, effect):
        return "harmless"
    return "open"


def statistic(metric: Metric, effect: Effect) -> float:
    """Standardised, above 0 in the good direction."""
    return sign(metric) * effect.statistic


def others(specification: Specification) -> tuple[Metric, ...]:
    """What is known without having been asked for: shown beside, decides nothing."""
    named = {metric.name for metric in specification.metrics}
    kinds = {metric.kind for metric in specification.metrics}
    means = [Metric(name=name, role="secondary", kind="mean") for name in MEANS if name not in named]
    ratios = [
        Metric(name=name, role="secondary", kind="ratio", direction="down" if name in DOWN else "up")
        for name in RATIOS
        if name not in named
    ]
    surveys = [Metric(name=kind, role="secondary", kind=kind) for kind in ("nps", "ces") if kind not in kinds]
    return (*means, *ratios, *surveys)


def bounded(table: Table, name: str, quantile: float) -> DoubleArray:
    """A column; of money, what is above the quantile of all customers counts as the quantile."""
    values = table.columns[name]
    if not name.endswith("revenue") or quantile >= 1 or not len(values):
        return values
    return np.minimum(values, np.quantile(values, quantile))
