"""The decision, by rules in one order; the first that fires decides."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, isfinite

from experiments.reports.words import number, signed
from experiments.specification import Metric, Specification
from experiments.statistics.effects import Effect
from experiments.statistics.health import Finding, failures
from experiments.statistics.looks import NEWS, Look
from experiments.statistics.measures import GuardState, Sequence, guard_state, harmless
from experiments.statistics.power import ALWAYS, drift_of

WEEK_DAYS = 7


class Word(StrEnum):
    """What to do."""

    INVALID = "INVALID"
    ROLLBACK = "ROLLBACK"
    SHIP = "SHIP"
    NO_MATERIAL_DIFFERENCE = "NO MATERIAL DIFFERENCE"
    INCONCLUSIVE = "INCONCLUSIVE"
    CONTINUE = "CONTINUE"


@dataclass(frozen=True)
class Verdict:
    """The decision on one arm.

    Attributes:
        rule: the name of the rule that fired.
        text: why, in one sentence.
        needed_n: customers of all arms for whom a new version should be planned, so that it shows what this
            one didn't; None where the question doesn't arise, or no number does.
    """

    word: Word
    rule: str
    text: str
    needed_n: int | None = None


@dataclass(frozen=True)
class Guard:
    """A guardrail as it stands: its effect and the sequence around it."""

    metric: Metric
    effect: Effect | None
    around: Sequence

    @property
    def state(self) -> GuardState:
        return guard_state(self.metric, self.effect, self.around)


@dataclass(frozen=True)
class Evidence:
    """All that a decision on one arm rests on.

    Attributes:
        elapsed_days: whole days since the start.
        look: at the primary metric; None where there is nothing to look at yet.
        n: customers of all arms whose window is over.
    """

    specification: Specification
    health: tuple[Finding, ...]
    elapsed_days: int
    n: int
    primary: Effect | None
    look: Look | None
    guards: tuple[Guard, ...]


def decide(evidence: Evidence) -> Verdict:
    """INVALID, ROLLBACK, SHIP, at the planned size NO MATERIAL DIFFERENCE or INCONCLUSIVE, else CONTINUE.

    A primary metric that crosses its lower bound is harm as sure as a gain would be: it isn't waited for.
    """
    for rule in (_invalid, _guardrail, _harm, _gain, _too_small, _open):
        verdict = rule(evidence)
        if verdict is not None:
            return verdict
    return _going_on(evidence)


def _invalid(evidence: Evidence) -> Verdict | None:
    found = failures(evidence.health)
    if not found:
        return None
    names = ", ".join(finding.name for finding in found)
    return Verdict(Word.INVALID, f"health: {names}", f"{found[0].name}: {found[0].text}")


def _guardrail(evidence: Evidence) -> Verdict | None:
    for guard in evidence.guards:
        if guard.effect is not None and guard.state == "harmful":
            text = f"{guard.metric.name} is worse, surely: {signed(guard.effect.difference)}"
            return Verdict(Word.ROLLBACK, f"guardrail {guard.metric.name}", text)
    return None


def _harm(evidence: Evidence) -> Verdict | None:
    look = evidence.look
    if look is None or look.statistic > -look.bound:
        return None
    name = evidence.specification.primary.name
    text = f"{name} is worse: its statistic {look.statistic:.2f} is beyond the lower bound {-look.bound:.2f}"
    return Verdict(Word.ROLLBACK, "primary below its lower bound", text)


def _gain(evidence: Evidence) -> Verdict | None:
    look = evidence.look
    if look is None or look.statistic < look.bound or waits_for(evidence) or unproven(evidence):
        return None
    name = evidence.specification.primary.name
    text = (
        f"{name} is better: its statistic {look.statistic:.2f} is beyond the bound {look.bound:.2f}, "
        f"and no guardrail is worse than its margin"
    )
    return Verdict(Word.SHIP, "primary above its upper bound", text)


def waits_for(evidence: Evidence) -> str:
    """Why nothing may be shipped today, whatever was found; "" if it may."""
    head, analysis = evidence.specification.experiment, evidence.specification.analysis
    if evidence.elapsed_days < head.min_days:
        return f"day {evidence.elapsed_days} of at least {head.min_days}"
    # Weekdays differ: those who are judged must have entered over whole weeks.
    entered = evidence.elapsed_days - analysis.attribution_days
    if (entered <= 0 or entered % WEEK_DAYS) and not _at_planned_size(evidence):
        return f"those who are judged entered over {max(0, entered)} days, not whole weeks"
    return ""


def unproven(evidence: Evidence) -> tuple[str, ...]:
    """Guardrails that aren't shown to be harmless."""
    return tuple(guard.metric.name for guard in evidence.guards if guard.state != "harmless")


def _too_small(evidence: Evidence) -> Verdict | None:
    """By what was seen when the planned size was looked at: whoever looks later has paid nothing for it."""
    effect, look = evidence.primary, evidence.look
    if effect is None or look is None or not _at_planned_size(evidence) or not isfinite(look.bound):
        return None
    half = look.bound * look.error
    matters = (evidence.specification.primary.mde or 0.0) * abs(effect.control)
    low, high = look.difference - half, look.difference + half
    if low <= -matters or high >= matters:
        return None
    between = f"the difference lies between {signed(low)} and {signed(high)}"
    text = f"{between}, within ±{number(matters)} that would matter"
    return Verdict(Word.NO_MATERIAL_DIFFERENCE, "interval inside the smallest effect that matters", text)


def _open(evidence: Evidence) -> Verdict | None:
    if not _at_planned_size(evidence):
        return None
    look = evidence.look
    if look is not None and look.statistic >= look.bound and unproven(evidence):
        needed = needed_of_guards(evidence)
        more = "" if needed is None else f"; if it is, {_planned_for(needed)} would show that"
        text = f"the primary is better, but {_unshown(evidence)} isn't shown to be harmless{more}"
        return Verdict(Word.INCONCLUSIVE, "guardrail not shown harmless", text, needed)
    if look is not None and look.statistic >= look.bound:
        return Verdict(Word.CONTINUE, "primary above its upper bound", f"but {waits_for(evidence)}")
    needed = needed_n(evidence)
    more = "" if needed is None else f"; {_planned_for(needed)} would show the smallest effect that matters"
    return Verdict(Word.INCONCLUSIVE, "planned size reached", f"neither bound was crossed{more}", needed)


def _going_on(evidence: Evidence) -> Verdict:
    look = evidence.look
    planned = evidence.specification.analysis.planned_n
    if look is None:
        return _unseen(evidence)
    if look.statistic >= look.bound:
        why = waits_for(evidence) or f"{_unshown(evidence)} isn't shown to be harmless yet"
        return Verdict(Word.CONTINUE, "primary above its upper bound", f"but {why}")
    text = f"{evidence.n:,} of {planned:,} customers; neither bound is crossed"
    return Verdict(Word.CONTINUE, "planned size not reached", text)


def _unseen(evidence: Evidence) -> Verdict:
    """Why there is no look."""
    specification = evidence.specification
    if evidence.n / specification.analysis.planned_n < NEWS:
        return Verdict(Word.CONTINUE, "nothing to look at yet", "too few attribution windows are over")
    if evidence.primary is not None:
        return Verdict(Word.CONTINUE, "no look was taken by then", "all looks that were taken came later")
    why = f"{specification.primary.name} is the same for all, or an arm has fewer than two"
    text = f"{evidence.n:,} customers are judged, and {why}"
    return Verdict(Word.CONTINUE, "nothing to look at yet", text)


def needed_n(evidence: Evidence) -> int | None:
    """The planned size at which the smallest effect that matters is seen, by today's variance, with as many
    looks as are planned; None where that many were judged and it wasn't."""
    effect, specification = evidence.primary, evidence.specification
    looks = specification.experiment.planned_days
    drift = drift_of(specification.arm_alpha, specification.analysis.power, looks)
    matters = 0.0 if effect is None else (specification.primary.mde or 0.0) * abs(effect.control)
    return _size(evidence, effect, matters, drift)


def needed_of_guards(evidence: Evidence) -> int | None:
    """The planned size at which guardrails are shown harmless that aren't yet, if they are as good as in the
    control; None where no size does that, or one that does was judged: something is likely worse."""
    specification = evidence.specification
    drift = drift_of(specification.guard_alpha, specification.analysis.power, ALWAYS)
    sizes = [
        _size(evidence, guard.effect, harmless(guard.metric, guard.effect) if guard.effect else 0.0, drift)
        for guard in evidence.guards
        if guard.state != "harmless"
    ]
    known = [size for size in sizes if size is not None]
    return max(known) if known and len(known) == len(sizes) else None


def _size(evidence: Evidence, effect: Effect | None, difference: float, drift: float) -> int | None:
    if effect is None or not difference:
        return None
    found = ceil(evidence.n * effect.variance * (drift / difference) ** 2)
    return found if found > evidence.n else None


def _planned_for(n: int) -> str:
    return f"a new version planned for {n:,} customers"


def _unshown(evidence: Evidence) -> str:
    """Guardrails that aren't shown to be harmless, with why no number of customers would do."""

    def unshown(guard: Guard) -> str:
        is_relative = guard.metric.kind not in ("nps", "ces")
        if is_relative and (guard.effect is None or not guard.effect.control):
            return f"{guard.metric.name} (0 in the control, or the same for everybody: no margin can show it)"
        return guard.metric.name

    return ", ".join(unshown(guard) for guard in evidence.guards if guard.state != "harmless")


def _at_planned_size(evidence: Evidence) -> bool:
    return evidence.look is not None and evidence.look.information >= 1
