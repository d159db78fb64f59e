"""The judge: a pure function from logs and earlier looks to a judgement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, sqrt

import polars as pl

from experiments.judgement import ArmState, Day, Judgement
from experiments.logs.cohort import Cohort, check_log, cohort_of, start_ms
from experiments.logs.daily import Figures, figures_of, shown_products
from experiments.logs.frames import EXPOSURES, OUTCOMES
from experiments.specification import Specification, hash_of, vain_cuped
from experiments.statistics.bounds import bounds
from experiments.statistics.compared import compare
from experiments.statistics.explored import Choice, choices_of
from experiments.statistics.health import Finding, findings
from experiments.statistics.interleaved import Preference, preference
from experiments.statistics.looks import NEWS, Look, next_look, rounded
from experiments.statistics.measures import Table, measure, sequence, sign, statistic
from experiments.statistics.novelty import novelty_of
from experiments.verdict import Evidence, Guard, Verdict, Word, decide
from models.arrays import DAY_MS


@dataclass(frozen=True, eq=False)
class Case:
    """An experiment's logs made into figures, as they were known at a moment.

    Attributes:
        preferences: of each arm whose lists were interleaved.
        choices: of each arm with a place that is filled by lot.
    """

    specification: Specification
    now_ms: int
    cohort: Cohort
    figures: Figures
    table: Table
    health: tuple[Finding, ...]
    preferences: dict[str, Preference]
    choices: dict[str, tuple[Choice, ...]]

    @property
    def alpha(self) -> float:
        """Of each arm's comparison."""
        return self.specification.arm_alpha

    @property
    def start_ms(self) -> int:
        """Midnight of the first day: the planned one, or a later one on which it really began."""
        first_ms, planned = self.cohort.customers["first_ms"].to_numpy(), start_ms(self.specification)
        return max(planned, int(first_ms.min()) // DAY_MS * DAY_MS) if len(first_ms) else planned

    @property
    def elapsed_days(self) -> int:
        return max(0, (self.now_ms - self.start_ms) // DAY_MS)


def open_case(
    specification: Specification,
    exposures: pl.DataFrame,
    outcomes: pl.DataFrame,
    now: datetime,
    *,
    dropped: int = 0,
) -> Case:
    """Everything that comes before a decision.

    Args:
        exposures, outcomes: by `frames`, in the order of arrival.
        now: aware; what is later isn't known.
        dropped: exposures that were counted and never written.
    Raises:
        BadLogError: a log isn't what it must be.
    """
    now_ms = int(now.timestamp() * 1000)
    cohort = cohort_of(specification, check_log(exposures, EXPOSURES, "exposures"), now_ms)
    outcomes = check_log(outcomes, OUTCOMES, "outcomes")
    figures = figures_of(cohort, outcomes, specification.analysis, now_ms)
    table = Table.of(figures.customers, specification.analysis)
    health = findings(specification, cohort, figures, table, now_ms, dropped=dropped)
    done = outcomes.filter(pl.col("at_ms") <= now_ms)
    preferences = {
        arm.name: preference(cohort, done, number)
        for number, arm in enumerate(specification.arms)
        if arm.interleave
    }
    choices = {
        arm.name: found
        for number, arm in enumerate(specification.arms)
        if arm.explore and (found := choices_of(cohort, done, number, arm.rivals, now_ms))
    }
    return Case(specification, now_ms, cohort, figures, table, health, preferences, choices)


def judge(case: Case, looks: Sequence[Look] = ()) -> Judgement:
    """The whole report.

    Args:
        looks: earlier ones at this version; `new_looks` of the result must be kept for the next time.
    """
    specification, analysis = case.specification, case.specification.analysis
    head = specification.experiment
    decided = {
        arm.name: decide_arm(case, number, looks) for number, arm in enumerate(specification.arms) if number
    }
    taken = tuple(look for _, look, is_new in decided.values() if look is not None and is_new)
    verdicts = {name: verdict for name, (verdict, _, _) in decided.items()}
    arm, headline = headline_of(case, verdicts)
    every = (*looks, *taken)
    next_bound, next_information = _next(case, every)
    return Judgement(
        experiment_id=head.id,
        version=head.version,
        spec_hash=hash_of(specification),
        hypothesis=head.hypothesis,
        now=datetime.fromtimestamp(case.now_ms / 1000, tz=UTC),
        elapsed_days=case.elapsed_days,
        planned_days=head.planned_days,
        planned_n=analysis.planned_n,
        customers=len(case.table.arm),
        closed=case.table.closed_n(case.now_ms),
        information=_information(case, case.now_ms),
        alpha=case.alpha,
        headline=headline,
        headline_arm=arm,
        arms=_arms(case, verdicts),
        health=case.health,
        comparisons=compare(specification, case.table.closed(case.now_ms)),
        looks=tuple(sorted(every, key=lambda look: (look.arm, look.information))),
        new_looks=taken,
        next_bound=next_bound,
        next_information=next_information,
        days=days_of(case),
        novelty=novelty_of(specification, case.figures, case.now_ms),
        exposures_by_day=_exposures_by_day(case),
        preferences=case.preferences,
        choices=case.choices,
        exposure_counts=case.cohort.counts,
        outcome_counts=case.figures.counts,
        notes=_notes(case, decided),
    )


def decide_arm(case: Case, number: int, looks: Sequence[Look]) -> tuple[Verdict, Look | None, bool]:
    """The decision on an arm, the look that it rests on, and whether that is a new one."""
    specification, analysis = case.specification, case.specification.analysis
    metric, head = specification.primary, specification.experiment
    name = specification.arms[number].name
    closed = case.table.closed(case.now_ms)
    n = len(closed.arm)
    effect = measure(metric, closed, number, analysis.winsor_quantile)
    look, is_new = None, False
    if effect is not None:
        before = [look for look in looks if (look.metric, look.arm) == (metric.name, name)]
        information = _information(case, case.now_ms)
        seen = statistic(metric, effect)
        new = Look(
            *(head.id, head.version, metric.name, name, case.now_ms, information, seen),
            difference=effect.difference,
            error=sqrt(effect.variance),
        )
        if information >= NEWS:
            look, is_new = next_look(before, new, case.alpha)
    guards = []
    for guard in specification.guardrails:
        found = measure(guard, closed, number, analysis.winsor_quantile)
        around = sequence(found, n, specification.guard_alpha, analysis.planned_n)
        guards.append(Guard(guard, found, around))
    evidence = Evidence(specification, case.health, case.elapsed_days, n, effect, look, tuple(guards))
    return decide(evidence), look, is_new


def headline_of(case: Case, verdicts: dict[str, Verdict]) -> tuple[str, Verdict]:
    """The decision on the experiment: to ship the best arm that may be, else the first of the rules' order.

    An arm is rolled back by itself: the others go on.
    """
    closed = case.table.closed(case.now_ms)
    metric, specification = case.specification.primary, case.specification
    best = -inf
    winner = ""
    for number, arm in enumerate(specification.arms):
        if number and verdicts[arm.name].word is Word.SHIP:
            effect = measure(metric, closed, number, specification.analysis.winsor_quantile)
            gain = sign(metric) * effect.difference if effect is not None else -inf
            if gain > best:
                best, winner = gain, arm.name
    if winner:
        return winner, verdicts[winner]
    order = (Word.INVALID, Word.ROLLBACK, Word.CONTINUE, Word.INCONCLUSIVE, Word.NO_MATERIAL_DIFFERENCE)
    name = min(verdicts, key=lambda name: order.index(verdicts[name].word))
    is_of_one = len(verdicts) == 1 or verdicts[name].word is Word.ROLLBACK
    return (name if is_of_one else ""), verdicts[name]


def days_of(case: Case) -> tuple[Day, ...]:
    """The primary metric at the end of each day and now, with its sequence: looking back spends nothing."""
    specification, analysis = case.specification, case.specification.analysis
    metric, start = specification.primary, case.start_ms
    ends = [start + day * DAY_MS for day in range(1, case.elapsed_days + 1)]
    found = []
    for at_ms in ends:
        closed = case.table.closed(at_ms)
        for number, arm in enumerate(specification.arms[1:], start=1):
            effect = measure(metric, closed, number, analysis.winsor_quantile)
            if effect is None:
                continue
            around = sequence(effect, len(closed.arm), case.alpha, analysis.planned_n)
            found.append(
                Day(
                    (at_ms - start) // DAY_MS,
                    arm.name,
                    _information(case, at_ms),
                    effect.difference,
                    around.low,
                    around.high,
                    statistic(metric, effect),
                )
            )
    return tuple(found)


def _information(case: Case, at_ms: int) -> float:
    """Never of customers whose window is still open."""
    return rounded(case.table.closed_n(at_ms) / case.specification.analysis.planned_n)


def _next(case: Case, looks: Sequence[Look]) -> tuple[float | None, float | None]:
    """The bound of a look a day later, if as many windows end as on the last day."""
    at = _information(case, case.now_ms)
    more = at - _information(case, case.now_ms - DAY_MS)
    first = next((look.arm for look in looks), None)
    path = sorted(look.information for look in looks if look.arm == first)
    is_over = at >= 1 or bool(path and path[-1] >= 1)  # who sees a second variant after the last look leaves
    if is_over or more < NEWS or (path and at + more < path[-1] + NEWS):
        return None, None
    ahead = rounded(at + more)
    limit = bounds((*path, ahead), case.alpha)[-1]
    return limit, ahead


def _arms(case: Case, verdicts: dict[str, Verdict]) -> tuple[ArmState, ...]:
    window = case.specification.analysis.attribution_days * DAY_MS
    sizes = [int((case.table.arm == number).sum()) for number in range(len(case.specification.arms))]
    first = (
        case.figures.customers.group_by("arm", maintain_order=True)
        .head(min(sizes))
        .select("customer_id", "first_ms")
    )
    shown = shown_products(case.cohort.exposures.join(first, on="customer_id"), window)
    found = []
    for number, arm in enumerate(case.specification.arms):
        answers = case.cohort.exposures.filter(pl.col("arm") == number)
        times = answers["latency_ms"].drop_nulls()
        quantiles = [times.quantile(q, "linear") for q in (0.5, 0.9, 0.99)]
        p50, p90, p99 = (None if q is None else float(q) for q in quantiles)
        found.append(
            ArmState(
                arm.name,
                arm.model,
                arm.weight,
                sizes[number],
                int((case.table.closed(case.now_ms).arm == number).sum()),
                answers.height,
                shown.filter(pl.col("arm") == number)["product"].n_unique(),
                None if p50 is None or p90 is None or p99 is None else (p50, p90, p99),
                verdicts.get(arm.name),
            )
        )
    return tuple(found)


def _exposures_by_day(case: Case) -> dict[str, tuple[int, ...]]:
    day = (pl.col("at_ms") - case.start_ms) // DAY_MS
    counts = case.cohort.exposures.group_by("arm", day=day.clip(0)).len()
    n_days = max(1, case.elapsed_days + 1)
    found = {}
    for number, arm in enumerate(case.specification.arms):
        by_day = dict(counts.filter(pl.col("arm") == number).select("day", "len").iter_rows())
        total, path = 0, []
        for at in range(n_days):
            total += by_day.get(at, 0)
            path.append(total)
        found[arm.name] = tuple(path)
    return found


def _notes(case: Case, decided: dict[str, tuple[Verdict, Look | None, bool]]) -> tuple[str, ...]:
    found = []
    if any(look is not None and not is_new for _, look, is_new in decided.values()):
        found.append("Nothing was spent on this report: it has no more to see than the look that stands.")
    if not case.cohort.customers.height:
        found.append("No exposure of this version is known.")
    if vain := vain_cuped(case.specification):
        found.append(f"Measured by the window alone: {vain}.")
    planned_days = case.specification.experiment.planned_days
    if case.elapsed_days > planned_days and _information(case, case.now_ms) < 1:
        found.append(
            f"The {planned_days} planned days are over and the planned size isn't reached: it goes on until "
            "it is stopped."
        )
    found += [
        f"Arm {arm.name} is to fill a place by lot, and no answer that is a day old has one."
        for arm in case.specification.arms
        if arm.explore and arm.name not in case.choices
    ]
    if case.cohort.counts["more than a day late"] or case.figures.counts["more than a day late"]:
        found.append("Some lines came more than a day after later ones; they count by their own time.")
    return tuple(found)
