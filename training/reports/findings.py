"""What the figures on lists, candidates and probabilities say, in plain words made from the figures."""

from collections.abc import Sequence

from models.registry import VARIANTS
from training.evaluation.calibration import MAX_ECE, STEADY, Calibration, Kept, WindowFigures
from training.evaluation.comparison import Evaluation
from training.evaluation.contribution import Contribution, Kind, KindFigures
from training.evaluation.reliability import Ratio, Reliability

PROMISED = 0.7  # of LEVELS the one that is told in words
BY_CHANCE = ", but on so few customers this may be chance: judge by more windows."
_BOUGHT: dict[Kind, str] = {
    "all": "products that customers bought",
    "repeats": "products that customers bought again",
    "new": "new products that customers bought",
}


def about_better(found: Evaluation, min_customers: int) -> str | None:
    """Which variant is surely better than the default one, on everything bought; None if none is known to be.

    Args:
        found: the comparison.
        min_customers: with fewer who were judged, all folds together, nothing is said.
    """
    default = found.default
    if default not in found.variants or sum(fold.customers for fold in found.folds) < min_customers:
        return None
    ahead = {
        name: result.differences[default]["all"]["ndcg@10"].interval
        for name, result in found.variants.items()
        if name in VARIANTS and default in result.differences and result.metrics["all"]
    }
    best = max(ahead, key=lambda name: ahead[name].low, default=None)
    if best is None or ahead[best].low <= 0:
        return None
    ahead_by = ahead[best]
    its, other = (found.variants[name].metrics["all"]["ndcg@10"].mean for name in (best, default))
    return (
        f"{best} was surely better than {default}, the default: NDCG@10 {its:.4f} against {other:.4f}, "
        f"difference {ahead_by.mean:+.4f} (95 % interval {ahead_by.low:+.4f} to {ahead_by.high:+.4f}). "
        "If other weeks say the same, make it the default_variant."
    )


def about_candidates(found: KindFigures, kind: Kind) -> str:
    """How much of what was bought was among the candidates, and which sources that is owed to."""
    what = _BOUGHT[kind]
    if not found.found:
        return f"None of the {found.bought:,} {what} was among the candidates."
    part, of = _out_of(found.found)
    said = f"Of {of} {what}, {part} {'was' if part == '1' else 'were'} among the candidates."
    if len(found.sources) == 1:
        return said
    most = found.steps[0].source
    missed = max(found.sources, key=lambda name: found.sources[name].on_top)
    loss = found.sources[missed].on_top / found.found
    said += f" By itself, {most} finds most."
    if loss:
        said += f" Leaving out {missed} would lose most: {_percent(loss)} of what is found."
    idle = [name for name, figures in found.sources.items() if not figures.on_top]
    if idle:
        said += f" What {_listed(idle, 'or')} finds, others find too."
    return said


def about_all_candidates(found: Contribution) -> str:
    """All kinds in one line."""
    parts = [
        f"{_percent(found.kinds[kind].found)} of {name}"
        for kind, name in (
            ("all", "all that was bought"),
            ("repeats", "the repeats"),
            ("new", "the new products"),
        )
        if kind in found.kinds
    ]
    if not parts:
        return "Nothing was bought in the windows, so nothing could be found."
    return f"Candidates hold {_listed(parts)}."


def about_pairs(found: Reliability | None) -> str:
    """Whether probabilities are right on the whole."""
    if found is None:
        return "No probability was judged."
    if not found.expected:
        return f"Every probability was 0, and {found.observed:,} purchases happened."
    happened = _per_100(found.observed / found.expected)
    return (
        f"Where 100 purchases were expected, {happened} happened. "
        f"In groups of similar probability, promise and outcome lie {_points(found.ece)} apart "
        f"(ECE; perfect probabilities would show about {_points(found.ece_by_chance)})."
    )


def about_kept(found: Calibration) -> str:
    """For how many customers a purchase can be promised."""
    kept = next((kept for kept in found.kept if kept.level == PROMISED), None)
    if kept is None:
        return "No customer was active, so nothing can be promised."
    if kept.trusted_observed is None:
        return f"No active customer's first product has a probability of {PROMISED} or more."
    return (
        f"For {_percent(kept.trusted_share)} of the active customers, the first product has a probability of "
        f"{PROMISED} or more: {_per_100(kept.trusted_observed)} of 100 such products were "
        f"bought{_doubt(kept)}."
    )


def about_windows(windows: Sequence[WindowFigures]) -> str:
    """How steady observed over expected was."""
    ratios = [window.ratio.mean for window in windows if window.ratio]
    if len(ratios) < 2:
        return (
            "Fewer than two windows were judged: how steady the probabilities are is not known yet. Nights "
            "to come, or nbo-train evaluate, judge more."
        )
    low, high = _per_100(min(ratios)), _per_100(max(ratios))
    happened = f"{low}" if low == high else f"{low} to {high}"
    return f"Over {len(ratios)} windows, {happened} purchases happened where 100 were expected."


def warnings(found: Calibration, days: Sequence[str]) -> list[str]:
    """What should keep a reader from trusting the probabilities; empty if nothing does.

    Args:
        found: of one variant.
        days: names of `found.windows`.
    """
    said = [
        _too_far(reliability, what)
        for reliability, what in ((found.pairs, "all pairs"), (found.first, "first products"))
        if reliability and reliability.ece > MAX_ECE
    ]
    for what, ratios in (
        ("all pairs", [window.ratio for window in found.windows]),
        ("first products", [window.first_ratio for window in found.windows]),
    ):
        said += [
            _unsteady(ratio, what, day)
            for day, ratio in zip(days, ratios, strict=True)
            if ratio and not STEADY[0] <= ratio.mean <= STEADY[1]
        ]
    return said


def _too_far(found: Reliability, what: str) -> str:
    said = f"Probabilities of {what} are {_points(found.ece)} off (ECE above {MAX_ECE})"
    if found.ece <= found.ece_chance_limit:
        return f"{said}{BY_CHANCE}"
    return f"{said}: promise nothing by them before it is known why."


def _unsteady(ratio: Ratio, what: str, day: str) -> str:
    ran = "low" if ratio.mean > 1 else "high"
    said = (
        f"Probabilities of {what} ran {ran} in the window from {day}: "
        f"{_per_100(ratio.mean)} purchases where 100 were expected"
    )
    return f"{said}{BY_CHANCE if ratio.low <= 1 <= ratio.high else '.'}"


def _doubt(kept: Kept) -> str:
    """Where the share may lie, in words; nothing if the promise was clearly kept."""
    if kept.trusted_low is None or kept.trusted_high is None or kept.trusted_low >= kept.level:
        return ""
    if kept.trusted_high < kept.level:
        return ", fewer than promised"
    return f" ({_per_100(kept.trusted_low)} to {_per_100(kept.trusted_high)} by the interval)"


def _out_of(share: float) -> tuple[str, str]:
    """A share above 0 as two whole numbers, the second 100 or as much more as is needed."""
    of = next((of for of in (100, 1_000, 10_000, 100_000) if share * of >= 9.5), 1_000_000)
    return f"{max(1, round(share * of)):,}", f"{of:,}"


def _percent(share: float) -> str:
    return (
        f"{share:.0%}" if share >= 0.095 or not share else f"{share:.1%}" if share >= 0.0005 else "under 0.1%"
    )


def _points(error: float) -> str:
    return f"{100 * error:.{1 if error >= 0.01 else 2}f} points"


def _per_100(share: float) -> str:
    return f"{100 * share:,.0f}"


def _listed(names: Sequence[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
