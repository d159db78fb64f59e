"""The report's pictures: SVG to stand inside a page, in the page's own colours, light or dark."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from training.bootstrap import Interval
from training.comparison import Evaluation
from training.folds import Target
from training.metrics import KS, MetricArray

# Told apart by marker and place too, not by colour alone; each is readable on white and on near-black.
COLOURS = ("#3b7fc4", "#d9822b", "#2c9c69", "#a566c9", "#cf4a5c", "#8a8a2f", "#5b8f9c", "#9a6b4f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_INK, _LINE = "#010203", "#040506"  # stand-ins, replaced by the page's own colours


def curves(evaluation: Evaluation, metric: str, target: Target) -> str:
    """A metric by length of the list, one line per variant, with intervals."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(KS), dtype=np.float64)
        for number, result in enumerate(evaluation.variants.values()):
            found = [result.metrics[target][f"{metric}@{k}"] for k in KS if result.metrics[target]]
            _line(axes, places, found, number, len(evaluation.variants))
        axes.set_xticks(places, [str(k) for k in KS])
        axes.set_xlabel("products shown")

    return _svg(draw, f"{metric}-{target}")


def by_activity(evaluation: Evaluation, metric: str, target: Target) -> str:
    """A metric by number of orders before the fold, one bar per variant, with intervals."""

    def draw(axes: Axes) -> None:
        width = 0.8 / max(1, len(evaluation.variants))
        for number, result in enumerate(evaluation.variants.values()):
            for place, figures in enumerate(result.by_activity[target]):
                if metric in figures:
                    found = figures[metric]
                    at = place + (number + 0.5) * width - 0.4
                    axes.bar(at, found.mean, width * 0.9, color=COLOURS[number % len(COLOURS)])
                    axes.vlines(at, found.low, found.high, color=_INK, linewidth=0.8)
        axes.set_xticks(range(len(evaluation.activity)), [bucket.label for bucket in evaluation.activity])
        axes.set_xlabel("orders before the fold")

    return _svg(draw, f"activity-{metric}-{target}")


def by_fold(evaluation: Evaluation, metric: str, target: Target, days: Sequence[str]) -> str:
    """A metric on each fold, one line per variant, with intervals. `days` names the folds."""

    def draw(axes: Axes) -> None:
        for number, result in enumerate(evaluation.variants.values()):
            measured = [place for place, fold in enumerate(result.by_fold[target]) if fold]
            found = [result.by_fold[target][place][metric] for place in measured]
            _line(axes, np.array(measured, float), found, number, len(evaluation.variants))
        axes.set_xticks(range(len(days)), list(days))
        axes.set_xlabel(f"{evaluation.folds[0].horizon_days} days from")

    return _svg(draw, f"folds-{metric}-{target}")


def _line(axes: Axes, places: MetricArray, found: Sequence[Interval], number: int, n_lines: int) -> None:
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


def _svg(draw: Callable[[Axes], None], salt: str) -> str:
    """What `draw` draws, as an `<svg>` element: the same bytes for the same figures."""
    style: dict[RcKeyType, Any] = {
        "svg.hashsalt": salt,
        "svg.fonttype": "none",
        "font.size": 10.0,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.edgecolor": _LINE,
        "grid.color": _LINE,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(axis="y", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        draw(axes)
        axes.set_ylim(bottom=0)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_a_page(written.getvalue())


def _for_a_page(svg: str) -> str:
    """Without the file's head, its own fonts and names that several pictures of one page would share."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]*;", "", svg)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    names = {name for pair in used for name in pair}
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in names else "", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg)
    return svg.replace(_INK, "currentColor").replace(_LINE, "var(--line)")
