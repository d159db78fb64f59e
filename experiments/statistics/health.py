"""Whether the logs can be trusted: what can go wrong with an experiment, each with its name and limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import polars as pl

from experiments.logs.cohort import Cohort
from experiments.logs.daily import Figures
from experiments.reports import words
from experiments.specification import Specification
from experiments.statistics.effects import of_means
from experiments.statistics.measures import MOST_LEAN, Table, bounded, by_chance, lean_of, sequence
from experiments.statistics.sequences import ratio_evidence, ratio_p

SAMPLE_RATIO = 0.01  # of a p-value that holds at every look: so many fair experiments are lost by chance
PRE_PERIOD = 0.01
CROSSOVERS, LOSS, EDITED = 0.001, 0.005, 0.001
DUPLICATES, SKEW, FALLBACKS = 0.01, 0.01, 0.01

type Level = Literal["fine", "warning", "invalid"]


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        level: `invalid` ends the experiment without a verdict, a `warning` is for people.
        value, limit: of a p-value at least the limit is wanted, of a share at most.
    """

    name: str
    level: Level
    value: float
    limit: float
    text: str


def findings(
    specification: Specification, cohort: Cohort, figures: Figures, table: Table, now_ms: int, *, dropped: int
) -> tuple[Finding, ...]:
    """All checks, whatever they find, in a fixed order.

    Args:
        table: all customers, their windows over or not.
        dropped: exposures that the service counted and couldn't write.
    """
    seen, done = cohort.counts, figures.counts
    lines = seen["exposures"] + done["outcomes"]
    once = seen["exposures"] - seen["later than now"] - seen["duplicates"]
    people = seen["customers"] + seen["crossovers"]
    skewed = done["clicks before their answer"] + seen["before the start"]
    return (
        _sample_ratio(specification, table),
        _share("crossovers", seen["crossovers"], people, CROSSOVERS, "invalid", "customers saw two variants"),
        _share(
            "missing logs", dropped, dropped + once, LOSS, "invalid", "exposures were dropped, not logged"
        ),
        _share(
            "specification edited",
            seen["of another specification"] + seen["of no variant"],
            once,
            EDITED,
            "invalid",
            "exposures are of a specification that isn't this one",
        ),
        _pre_period(specification, table),
        _share(
            "duplicated logs",
            seen["duplicates"] + done["duplicates"],
            lines,
            DUPLICATES,
            "warning",
            "lines came again and counted once",
        ),
        _share(
            "clock skew",
            skewed,
            done["clicks"] + (seen["exposures"] if seen["before the start"] else 0),
            SKEW,
            "warning",
            "lines are of a time before what they follow",
        ),
        _fallbacks(specification, cohort),
        _skewness(specification, table.closed(now_ms)),
    )


def _sample_ratio(specification: Specification, table: Table) -> Finding:
    arms = specification.arms
    weights = [arm.weight for arm in arms]
    counts = np.bincount(table.arm, minlength=len(arms)).tolist()
    p = ratio_evidence(table.arm, weights)
    told = ", ".join(f"{arm.name} {count:,}" for arm, count in zip(arms, counts, strict=True))
    expected = " : ".join(f"{weight:g}" for weight in weights)
    today = words.probability(ratio_p(counts, weights))
    text = f"{told}; expected {expected} (chi-square of today, p: {today})"
    return Finding("sample ratio", "invalid" if p < SAMPLE_RATIO else "fine", p, SAMPLE_RATIO, text)


def _pre_period(specification: Specification, table: Table) -> Finding:
    """Whether the arms differed before anybody saw a variant, by a sequence since it is looked at daily."""
    spent = bounded(table, "before_revenue", specification.analysis.winsor_quantile)
    arms = specification.arms[1:]
    worst, told = 0.0, "nobody bought before"
    for number, arm in enumerate(arms, start=1):
        effect = of_means(spent[table.arm == 0], spent[table.arm == number])
        if effect is None:
            continue
        around = sequence(effect, len(table.arm), PRE_PERIOD / len(arms), specification.analysis.planned_n)
        reach = abs(effect.difference) / (around.high - effect.difference)
        if reach >= worst:
            worst = reach
            sides = words.number(effect.control), words.number(effect.treatment)
            told = f"revenue before: {sides[0]} in control, {sides[1]} in {arm.name}"
    return Finding("pre-period difference", "invalid" if worst > 1 else "fine", worst, 1.0, told)


def _skewness(specification: Specification, table: Table) -> Finding:
    """Whether the figures that decide are too skewed for so few customers, in arms that differ in size."""
    analysis, worst, told = specification.analysis, 0.0, "nothing is known yet"
    grows = sqrt(len(table.arm) / max(len(table.arm), analysis.planned_n))
    for metric in (specification.primary, *specification.guardrails):
        for number, arm in enumerate(specification.arms[1:], start=1):
            leans = grows * lean_of(metric, table, number, analysis.winsor_quantile)
            if abs(leans) >= abs(worst):
                worst = leans
                told = f"{metric.name} of {arm.name} {by_chance(leans)}"
    return Finding("skewness", "warning" if abs(worst) > MOST_LEAN else "fine", abs(worst), MOST_LEAN, told)


def _fallbacks(specification: Specification, cohort: Cohort) -> Finding:
    arms = specification.arms
    shares = cohort.exposures.group_by("arm").agg(pl.col("is_fallback").mean())
    found = dict(zip(shares["arm"].to_list(), shares["is_fallback"].to_list(), strict=True))
    worst = max(range(len(arms)), key=lambda number: found.get(number) or 0.0)
    value = float(found.get(worst) or 0.0)
    return Finding(
        "fallback share",
        "warning" if value > FALLBACKS else "fine",
        value,
        FALLBACKS,
        f"{value:.2%} of the answers of {arms[worst].name} were the champion's: the variant couldn't answer",
    )


def _share(name: str, part: int, whole: int, limit: float, level: Level, text: str) -> Finding:
    value = part / max(1, whole)
    return Finding(name, level if value > limit else "fine", value, limit, f"{part:,} of {whole:,}: {text}")


def failures(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """What makes an experiment invalid."""
    return tuple(finding for finding in found if finding.level == "invalid")
