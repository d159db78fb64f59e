"""A plan: what the shop's own history says an experiment can show, and whether that was promised."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from experiments.errors import BadLogError, UnderpoweredError
from experiments.logs.cohort import Cohort
from experiments.logs.daily import Figures, figures_of
from experiments.logs.purchases import outcomes_of
from experiments.specification import Analysis, Metric, Specification
from experiments.statistics.effects import leaning, skewness
from experiments.statistics.measures import MOST_LEAN, Table, around_ratio, bounded, by_chance, others
from experiments.statistics.power import ALWAYS, Design, Spread
from models.arrays import DAY_MS, DoubleArray

ENOUGH = 30  # customers, before a variance says anything


@dataclass(frozen=True)
class Line:
    """One metric of the plan.

    Attributes:
        spread: None where purchases can't tell the metric, as clicks.
        relative: the effect that is to be seen: the metric's `mde`, or the primary's; of a guardrail its
            margin, within which it is to be shown harmless.
        needed_n: customers of all arms that do.
        visible: the smallest relative effect that `planned_n` customers show.
        needed_n_cuped, visible_cuped: the same with what customers did before; None for ratios.
        skewness: of what customers have, measured as the specification says.
    """

    metric: str
    role: str
    spread: Spread | None
    relative: float
    needed_n: int | None = None
    visible: float | None = None
    needed_n_cuped: int | None = None
    visible_cuped: float | None = None
    skewness: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What the history says.

    Attributes:
        customers: whose windows it was measured on.
        per_day: customers seen for the first time on each of that many days in a row, up to that window.
    """

    planned_n: int
    attribution_days: int
    customers: int
    lines: tuple[Line, ...]
    per_day: tuple[float, ...]

    @property
    def primary(self) -> Line:
        return next(line for line in self.lines if line.role == "primary")

    def days(self, n: int | None) -> int | None:
        """Days until so many customers have come and their windows are over; None beyond the history."""
        if n is None:
            return None
        come = np.cumsum(self.per_day)
        if not len(come) or come[-1] < n:
            return None
        return int(np.searchsorted(come, n)) + 1 + self.attribution_days


def plan_of(specification: Specification, purchases: pl.DataFrame) -> Plan:
    """Measure each metric on the last whole window of the history, on those who bought in the weeks before.

    Args:
        purchases: as in a version's `purchases.parquet`; whoever doesn't buy isn't seen there, so days are
            an upper bound for a shop whose visitors look more often than they buy.
    Raises:
        BadLogError: too short, or too few customers.
    """
    analysis, head = specification.analysis, specification.experiment
    outcomes = outcomes_of(purchases)
    figures, start_ms = last_window(outcomes, analysis)
    table = Table.of(figures.customers, analysis)
    n = len(table.arm)
    if n < ENOUGH:
        raise BadLogError(
            "history", f"only {n} customers bought in the {analysis.cuped_days} days before its last window"
        )
    asked = (*specification.metrics, *others(specification))
    lines = tuple(_line(specification, metric, table) for metric in asked)
    per_day = _coming(outcomes, start_ms, head.traffic, 3 * head.planned_days)
    return Plan(analysis.planned_n, analysis.attribution_days, n, lines, per_day)


def refuse_underpowered(specification: Specification, plan: Plan) -> None:
    """Nothing, where the planned size shows the primary's mde or the specification accepts that it doesn't.

    Raises:
        UnderpoweredError: the experiment would end without an answer.
    """
    found = _underpowered(specification, plan)
    if found is not None and not specification.experiment.accept_underpowered:
        raise found


def doubts(specification: Specification, plan: Plan) -> Iterator[str]:
    """What is promised and won't be kept, as the history says; each a sentence."""
    found = _underpowered(specification, plan)
    if found is not None and specification.experiment.accept_underpowered:
        yield (
            f"{plan.planned_n:,} customers show {found.visible:.1%} or more on {found.metric}, and "
            f"{found.mde:.1%} needs {found.needed_n:,}: it is accepted that the end may be without an answer"
        )
    if _needed(specification, plan.primary) is None:
        yield (
            f"{plan.primary.metric}, which decides, can't be measured on the history (nothing there, or the "
            "same for everybody): whether planned_n is enough isn't known"
        )
    days, planned_days = plan.days(plan.planned_n), specification.experiment.planned_days
    if days is None or days > planned_days:
        yield (
            f"planned_n = {plan.planned_n:,} takes {days_text(plan, plan.planned_n)} days of customers who "
            f"buy, and planned_days is {planned_days}"
        )
    for line in plan.lines:
        needed = _needed(specification, line)
        if line.role == "guardrail" and needed is not None and needed > plan.planned_n:
            yield (
                f"guardrail {line.metric} is shown to be harmless within its margin of {line.relative:.1%} "
                f"by {needed:,} customers: with {plan.planned_n:,} a better variant may not be shipped"
            )

    yield from _leaning(specification, plan)


def _leaning(specification: Specification, plan: Plan) -> Iterator[str]:
    """Which figures that decide are too skewed for so few customers, in arms that differ in size."""
    control, *arms = specification.arms
    for line in plan.lines:
        if line.role not in ("primary", "guardrail"):
            continue
        sizes = [(plan.planned_n * control.weight, plan.planned_n * arm.weight) for arm in arms]
        leans = max((leaning(line.skewness, *size) for size in sizes), key=abs)
        if abs(leans) > MOST_LEAN:
            yield f"{line.metric} {by_chance(leans)}: equal weights or more customers bring that down"


def _underpowered(specification: Specification, plan: Plan) -> UnderpoweredError | None:
    line = plan.primary
    needed = _needed(specification, line)
    visible = line.visible_cuped if needed == line.needed_n_cuped else line.visible
    if needed is None or visible is None or needed <= plan.planned_n:
        return None
    return UnderpoweredError(line.metric, plan.planned_n, line.relative, needed, visible)


def _needed(specification: Specification, line: Line) -> int | None:
    """By the way in which the specification says that the metric is measured."""
    is_cuped = next((one.cuped for one in specification.metrics if one.name == line.metric), False)
    return line.needed_n_cuped if is_cuped and line.needed_n_cuped is not None else line.needed_n


def last_window(outcomes: pl.DataFrame, analysis: Analysis) -> tuple[Figures, int]:
    """Figures as if everybody who bought lately had seen something at the start of the last whole window."""
    if not outcomes.height:
        raise BadLogError("history", "holds no purchase")
    end = int(outcomes["at_ms"].to_numpy().max()) + 1
    start = end - analysis.attribution_days * DAY_MS
    lately = outcomes.filter(
        pl.col("at_ms").is_between(start - analysis.cuped_days * DAY_MS, start, closed="left")
    )
    people = (
        lately.select("customer_id")
        .unique(maintain_order=True)
        .with_columns(arm=pl.lit(0, pl.Int32), first_ms=pl.lit(start, pl.Int64))
    )
    nothing = pl.DataFrame(
        schema={
            "request_id": pl.String,
            "customer_id": pl.String,
            "at_ms": pl.Int64,
            "arm": pl.Int32,
            "items": pl.String,
            "is_fallback": pl.Boolean,
            "latency_ms": pl.Float64,
        }
    )
    return figures_of(Cohort(nothing, people, {}), outcomes, analysis, end), start


def _line(specification: Specification, metric: Metric, table: Table) -> Line:
    analysis = specification.analysis
    relative = metric.margin or metric.mde or specification.primary.mde or 0.0
    weights = [arm.weight for arm in specification.arms]
    if metric.role == "guardrail":
        design = Design(specification.guard_alpha, analysis.power, weights, ALWAYS)
    else:
        looks = specification.experiment.planned_days if metric.role == "primary" else 1
        design = Design(specification.arm_alpha, analysis.power, weights, looks)
    plain, explained = spreads(metric, table, analysis.winsor_quantile)
    if plain is None:
        return Line(metric.name, metric.role, None, relative)
    n = analysis.planned_n
    return Line(
        metric.name,
        metric.role,
        plain,
        relative,
        design.needed_n(plain, relative),
        design.visible(plain, n),
        None if explained is None else design.needed_n(explained, relative),
        None if explained is None else design.visible(explained, n),
        (explained if metric.cuped and explained is not None else plain).skewness,
    )


def spreads(metric: Metric, table: Table, winsor_quantile: float) -> tuple[Spread | None, Spread | None]:
    """A metric's spread without and with what customers did before; None where it can't be told."""
    if metric.kind == "ratio":
        above, below = (bounded(table, name, winsor_quantile) for name in metric.of_ratio)
        return _of_ratio(above, below), None
    values = bounded(table, metric.of_mean, winsor_quantile) if metric.kind == "mean" else np.zeros(0)
    if not values.any():
        return None, None
    plain = Spread(float(values.mean()), float(values.var(ddof=1)), skewness(values))
    name = f"before_{metric.of_mean}"
    before = bounded(table, name, winsor_quantile) if name in table.columns else np.zeros(0)
    if not (before.any() and before.var() and plain.variance):
        return plain, None
    related = float(np.corrcoef(values, before)[0, 1])
    rest = values - related * values.std() / before.std() * before
    return plain, Spread(plain.value, plain.variance * (1 - related * related), skewness(rest))


def _of_ratio(above: DoubleArray, below: DoubleArray) -> Spread | None:
    """The delta method's variance for one customer."""
    if not (below.any() and above.any()):
        return None
    rest = around_ratio(above, below)
    return Spread(float(above.sum() / below.sum()), float(rest.var(ddof=1)), skewness(rest))


def _coming(outcomes: pl.DataFrame, start_ms: int, traffic: float, days: int) -> tuple[float, ...]:
    """How many come for the first time on each day, over the last days of the history before its window."""
    first_ms = int(outcomes["at_ms"].to_numpy().min())
    n_days = min(days, max(0, (start_ms - first_ms) // DAY_MS))
    since = outcomes.filter(pl.col("at_ms").is_between(start_ms - n_days * DAY_MS, start_ms, closed="left"))
    day = (pl.col("at_ms") - (start_ms - n_days * DAY_MS)) // DAY_MS
    firsts = since.group_by("customer_id").agg(day=day.min())["day"].to_numpy()
    return tuple(float(count) * traffic for count in np.bincount(firsts, minlength=n_days))


def days_text(plan: Plan, n: int | None) -> str:
    """Days in words."""
    if n is None:
        return "-"
    days = plan.days(n)
    return f"{days}" if days is not None else f"over {len(plan.per_day) + plan.attribution_days}"
