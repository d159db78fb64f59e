"""The report's pictures of how good the lists are: one line or bar per variant, with intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import DoubleArray
from storage.svg import COLOURS, INK, MARKERS, chart
from training.evaluation.bootstrap import Interval
from training.evaluation.comparison import Evaluation
from training.evaluation.folds import Target
from training.evaluation.metrics import KS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(evaluation: Evaluation, metric: str, target: Target) -> str:
    """A metric by length of the list, one line per variant, with intervals."""

    def draw(axes: "Axes") -> None:
        places = np.arange(len(KS), dtype=np.float64)
        for number, result in enumerate(evaluation.variants.values()):
            found = [result.metrics[target][f"{metric}@{k}"] for k in KS if result.metrics[target]]
            _line(axes, places, found, number, len(evaluation.variants))
        axes.set_xticks(places, [str(k) for k in KS])
        axes.set_xlabel("products shown")

    return chart(draw, f"{metric}-{target}")


def by_activity(evaluation: Evaluation) -> str:
    """NDCG@10 by number of orders before the fold, one bar per variant, with intervals."""

    def draw(axes: "Axes") -> None:
        width = 0.8 / max(1, len(evaluation.variants))
        for number, result in enumerate(evaluation.variants.values()):
            for place, figures in enumerate(result.by_activity["all"]):
                if found := figures.get("ndcg@10"):
                    at = place + (number + 0.5) * width - 0.4
                    axes.bar(at, found.mean, width * 0.9, color=COLOURS[number % len(COLOURS)])
                    axes.vlines(at, found.low, found.high, color=INK, linewidth=0.8)
        axes.set_xticks(range(len(evaluation.activity)), [bucket.label for bucket in evaluation.activity])
        axes.set_xlabel("orders before the fold")

    return chart(draw, "activity-ndcg@10-all")


def by_fold(evaluation: Evaluation, target: Target, days: Sequence[str]) -> str:
    """NDCG@10 on each fold, one line per variant, with intervals. `days` names the folds."""

    def draw(axes: "Axes") -> None:
        for number, result in enumerate(evaluation.variants.values()):
            measured = [place for place, fold in enumerate(result.by_fold[target]) if fold]
            found = [result.by_fold[target][place]["ndcg@10"] for place in measured]
            _line(axes, np.array(measured, float), found, number, len(evaluation.variants))
        axes.set_xticks(range(len(days)), list(days))
        axes.set_xlabel(f"{evaluation.folds[0].horizon_days} days from")

    return chart(draw, f"folds-ndcg@10-{target}")


def _line(axes: "Axes", places: DoubleArray, found: Sequence[Interval], number: int, n_lines: int) -> None:
    """One variant's line; its marks stand a little aside, so that intervals don't hide each other."""
    if not found:
        return
    at = places + (number - (n_lines - 1) / 2) * 0.05
    means = np.array([interval.mean for interval in found])
    reach = np.array([[i.mean - i.low for i in found], [i.high - i.mean for i in found]])
    axes.errorbar(
        at,
        means,
        np.maximum(reach, 0),
        color=COLOURS[number % len(COLOURS)],
        marker=MARKERS[number % len(MARKERS)],
        markersize=5,
        linewidth=1.6,
        elinewidth=0.9,
    )
