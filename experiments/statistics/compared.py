"""Every metric of every arm, in its role: what decides, what guards, what is only reported."""

from dataclasses import replace
from typing import get_args

from experiments.judgement import Comparison, Segment
from experiments.specification import Metric, Specification
from experiments.statistics.effects import holm
from experiments.statistics.measures import Table, guard_state, measure, others, sequence


def compare(specification: Specification, closed: Table) -> tuple[Comparison, ...]:
    """All comparisons: the specification's own, what is known beside, and the primary for new and returning.

    Args:
        closed: customers whose window is over.
    """
    own = [
        _comparison(specification, metric, metric.role, closed, number, "all")
        for metric in specification.metrics
        for number in range(1, len(specification.arms))
    ]
    beside = [
        _comparison(specification, metric, "exploratory", closed, number, "all")
        for metric in others(specification)
        for number in range(1, len(specification.arms))
    ]
    apart = [
        _comparison(
            specification,
            specification.primary,
            "exploratory",
            closed.where(closed.is_new == (segment == "new")),
            number,
            segment,
        )
        for segment in get_args(Segment.__value__)
        if segment != "all"
        for number in range(1, len(specification.arms))
    ]
    return (*_corrected(own), *beside, *apart)


def _comparison(
    specification: Specification, metric: Metric, role: str, table: Table, number: int, segment: Segment
) -> Comparison:
    analysis = specification.analysis
    effect = measure(metric, table, number, analysis.winsor_quantile)
    alpha = specification.guard_alpha if role == "guardrail" else specification.arm_alpha
    around = sequence(effect, len(table.arm), alpha, analysis.planned_n)
    state = guard_state(metric, effect, around) if role == "guardrail" else ""
    name = specification.arms[number].name
    return Comparison(
        metric.name, metric.kind, role, metric.direction, name, segment, effect, around, None, state
    )


def _corrected(found: list[Comparison]) -> list[Comparison]:
    """The secondary metrics of all arms are one family."""
    ps = {
        i: one.effect.p for i, one in enumerate(found) if one.role == "secondary" and one.effect is not None
    }
    corrected = dict(zip(ps, holm(list(ps.values())), strict=True))
    return [replace(one, p_corrected=corrected.get(i)) for i, one in enumerate(found)]
