"""The evaluation as a table on a terminal: the figures that decide, each with its interval below."""

from collections.abc import Mapping

from rich import box
from rich.table import Table

from storage.local_days import opening_day
from training.evaluation.bootstrap import Interval
from training.evaluation.calibration import Calibration
from training.evaluation.comparison import Difference, Evaluation
from training.evaluation.contribution import Contribution
from training.evaluation.folds import Target
from training.reports import findings

_COLUMNS: tuple[tuple[str, Target, str], ...] = (
    ("NDCG@10", "all", "ndcg@10"),
    ("Hit@10", "all", "hit@10"),
    ("NDCG@10\nnew only", "new", "ndcg@10"),
    ("NDCG@10\nnext order", "next_order", "ndcg@10"),
)


def table(evaluation: Evaluation) -> Table:
    """One line for each variant; means over the folds."""
    customers = sum(fold.customers for fold in evaluation.folds)
    days = evaluation.folds[0].horizon_days
    folds = "1 fold" if len(evaluation.folds) == 1 else f"{len(evaluation.folds)} folds"
    known = sum(fold.known_customers for fold in evaluation.folds)
    judged = f"{customers:,}" if customers == known else f"{customers:,} of {known:,}"
    counted = ", counted in each fold" if len(evaluation.folds) > 1 else ""
    caption = f"{folds} of {days} days, {judged} customers to judge by{counted}; small: 95 % intervals"
    drawn = Table(box=box.SIMPLE, padding=(0, 1), caption=caption)
    drawn.add_column("Variant", no_wrap=True)
    for title, _, _ in _COLUMNS:
        drawn.add_column(title, justify="right", no_wrap=True)
    drawn.add_column(f"against\n{evaluation.reference}", justify="right", no_wrap=True)
    for name, result in evaluation.variants.items():
        cells = [_figure(result.metrics[target].get(metric)) for _, target, metric in _COLUMNS]
        against = result.differences.get(evaluation.reference, {}).get("all", {}).get("ndcg@10")
        drawn.add_row(name, *cells, _change(against))
    return drawn


def summary_lines(
    contribution: Mapping[str, Contribution], calibration: Mapping[str, Calibration], timezone: str
) -> list[str]:
    """What the report says of candidates and probabilities, a few lines for each variant, warnings last."""
    lines = [f"{name}: {findings.about_all_candidates(found)}" for name, found in contribution.items()]
    for name, found in calibration.items():
        days = [opening_day(window.as_of_s, timezone).isoformat() for window in found.windows]
        said = [findings.about_pairs(found.pairs), findings.about_kept(found)]
        lines += [f"{name}: {line}" for line in said + findings.warnings(found, days)]
    return lines


def _figure(found: Interval | None) -> str:
    if found is None:
        return "-"
    return f"{_short(found.mean)}\n[dim]{_short(found.low)}-{_short(found.high)}[/dim]"


def _change(found: Difference | None) -> str:
    if found is None:
        return "-"
    change = f"{found.interval.mean:+.3f}" if found.relative is None else f"{found.relative:+.1%}"
    return f"{change}\n[dim]{_signed(found.interval.low)} to {_signed(found.interval.high)}[/dim]"


def _short(value: float) -> str:
    """Four characters, without the 0 before the point, so that the table fits 80 columns."""
    return f"{value:.3f}".removeprefix("0")[:4]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)
