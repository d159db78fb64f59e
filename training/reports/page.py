"""What people read after an evaluation or a night: a page that fetches nothing, and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from storage.local_days import opening_day
from storage.page import page, without_nan
from storage.svg import COLOURS
from training.evaluation.comparison import Evaluation
from training.evaluation.folds import TARGETS, Target
from training.evaluation.inside import Inside
from training.evaluation.metrics import KS, METRICS
from training.evaluation.one_fold import Seconds
from training.history.facts import Lost
from training.reports import plots
from training.reports.sections import Picture, candidates_parts, probabilities_parts

TARGET_TITLES: dict[Target, str] = {
    "all": "Everything bought in the window",
    "new": "Products that are new to the customer",
    "next_order": "The next order",
}
NOTHING_INSIDE = Inside()
HEADLINE = {
    "ndcg@10": "NDCG@10",
    "recall@10": "Recall@10",
    "hit@10": "Hit@10",
    "precision@10": "Precision@10",
    "map@10": "MAP@10",
}

GATE_FIGURES = {
    "customers_judged": "Customers judged",
    "customers": "Customers in the history",
    "products": "Products in the history",
    "purchases": "Purchases in the history",
    "described": "Products with a title, category or brand",
    "coverage": "Coverage of the new lists",
    "challenger_ndcg": "NDCG@10 of the new recipe",
    "champion_ndcg": "NDCG@10 of the champion's recipe",
    "popular_ndcg": "NDCG@10 of popular",
    "difference": "Difference of NDCG@10",
    "difference_low": "Difference, lower bound",
    "difference_high": "Difference, upper bound",
    "allowed": "Allowed lower bound",
    "held_products": "Products held: mostly new customers bought them",
}


@dataclass(frozen=True)
class PastVersion:
    """One line of the table of earlier versions. `ndcg` is the figure that its gate recorded."""

    version_id: str
    as_of: datetime
    variant: str
    ndcg: float | None
    decision: str


@dataclass(frozen=True)
class NightFacts:
    """What the page of a night says beside the evaluation.

    Attributes:
        run_id: folder of the night under `runs/`.
        as_of: the moment as of which the models were trained, aware.
        timezone: the shop's, in which dates are written.
        decision: the gate's, or `stopped` if the night never came to the gate.
        why: one sentence.
        version_id: what was written, None if nothing was.
        gate_figures: figures of the decision.
        counts: what the history holds, title to number, in the order of the page.
        read_lines: lines that were read.
        lost: lines that were rejected or left out, by reason.
        steps_s: step of the night to its wall time, in order.
        past: earlier versions, newest first.
    """

    run_id: str
    as_of: datetime
    timezone: str
    decision: Literal["published", "refused", "forced", "stopped"]
    why: str
    version_id: str | None = None
    gate_figures: Mapping[str, float | int | None] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    read_lines: int = 0
    lost: Sequence[Lost] = ()
    steps_s: Mapping[str, float] = field(default_factory=dict)
    past: Sequence[PastVersion] = ()


def to_json(
    evaluation: Evaluation | None,
    seconds: Mapping[str, Seconds],
    *,
    inside: Inside = NOTHING_INSIDE,
    **more: object,
) -> str:
    """The evaluation as JSON, null where nobody could be judged; NaN becomes null too.

    What can't be reproduced stands under `seconds` alone.

    What was found inside of rankers stands under the names that it has there; what is empty is left out.
    """
    content = {
        "evaluation": asdict(evaluation) if evaluation else None,
        **{key: part for key, part in asdict(inside).items() if part},
        **more,
        "seconds": {k: asdict(v) for k, v in seconds.items()},
    }
    return json.dumps(without_nan(content), indent=1) + "\n"


def render_evaluation(
    evaluation: Evaluation, seconds: Mapping[str, Seconds], *, timezone: str, inside: Inside = NOTHING_INSIDE
) -> str:
    """The page of `nbo-train evaluate`; candidates and probabilities by variant, where they were measured."""
    return _render("Comparison of variants", None, evaluation, seconds, timezone, inside)


def render_night(
    night: NightFacts,
    evaluation: Evaluation | None,
    seconds: Mapping[str, Seconds],
    *,
    inside: Inside = NOTHING_INSIDE,
) -> str:
    """The page of a night; without an evaluation if the night stopped before it."""
    title = f"Night {night.run_id}"
    return _render(title, night, evaluation, seconds, night.timezone, inside)


def _render(
    title: str,
    night: NightFacts | None,
    evaluation: Evaluation | None,
    seconds: Mapping[str, Seconds],
    timezone: str,
    inside: Inside,
) -> str:
    return page(
        "training.reports/report.html.j2",
        timezone,
        title=title,
        night=night,
        evaluation=evaluation,
        seconds=seconds,
        days=[] if evaluation is None else [opening_day(f.as_of_s, timezone) for f in evaluation.folds],
        pictures=[] if evaluation is None else _pictures(evaluation, timezone),
        candidates=candidates_parts(inside.contribution),
        probabilities=probabilities_parts(inside.calibration, timezone),
        gains=inside.gains,
        notes=inside.notes,
        colours=COLOURS,
        headline=HEADLINE,
        metrics=METRICS,
        ks=KS,
        targets=TARGETS,
        titles=TARGET_TITLES,
        gate_figures=GATE_FIGURES,
        best={} if evaluation is None else _best(evaluation),
        compared=[] if evaluation is None else _compared(evaluation),
    )


def _best(evaluation: Evaluation) -> dict[Target, dict[str, str | None]]:
    """The variant with the highest mean for each target and headline metric; None without a contest."""
    found: dict[Target, dict[str, str | None]] = {target: dict.fromkeys(HEADLINE) for target in TARGETS}
    for target in TARGETS:
        for metric in HEADLINE:
            means = {
                name: result.metrics[target][metric].mean
                for name, result in evaluation.variants.items()
                if metric in result.metrics[target]
            }
            best = [name for name, mean in means.items() if mean == max(means.values())]
            if len(best) == 1 < len(means):
                found[target][metric] = best[0]
    return found


def _compared(evaluation: Evaluation) -> list[str]:
    """The variants that others are compared with, as columns."""
    return [
        name
        for name in dict.fromkeys((evaluation.baseline, evaluation.reference))
        if any(name in result.differences for result in evaluation.variants.values())
    ]


def _pictures(evaluation: Evaluation, timezone: str) -> list[Picture]:
    """Caption and SVG of every picture; the SVG is our own, so it is not escaped."""
    days = [f"{opening_day(fold.as_of_s, timezone):%d %b}" for fold in evaluation.folds]
    drawn = [
        ("NDCG by products shown", plots.curves(evaluation, "ndcg", "all")),
        ("Recall by products shown", plots.curves(evaluation, "recall", "all")),
        ("NDCG by products shown, new products only", plots.curves(evaluation, "ndcg", "new")),
        ("NDCG@10 by number of orders before", plots.by_activity(evaluation)),
    ]
    if len(days) > 1:
        drawn += [
            ("NDCG@10 on each fold", plots.by_fold(evaluation, "all", days)),
            ("NDCG@10 on each fold, new products only", plots.by_fold(evaluation, "new", days)),
        ]
    return [(caption, Markup(svg)) for caption, svg in drawn]  # noqa: S704  # drawn from numbers here  # nosec B704
