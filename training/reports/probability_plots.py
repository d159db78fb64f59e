"""The report's pictures of candidates and probabilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from storage.svg import COLOURS, HEIGHT, INK, LINE, MARKERS, picture
from training.evaluation.calibration import STEADY, WindowFigures
from training.evaluation.contribution import KindFigures
from training.evaluation.reliability import N_BARS, Ratio, Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_DAYS = 6  # written below a picture; more would touch


def reliability_diagram(found: Reliability, salt: str) -> str:
    """Observed share by probability, with Wilson intervals; below it how often each probability is given."""
    end = min(1.0, 1.05 * max(0.02, *(max(part.high, part.observed_high) for part in found.bins)))

    def fill(figure: "Figure") -> None:
        from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415

        above, below = figure.subplots(2, sharex=True, height_ratios=[3.2, 1])
        above.grid()
        above.plot([0, end], [0, end], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        at = np.array([part.mean_p for part in found.bins])
        share = np.array([part.observed for part in found.bins])
        low = share - [part.observed_low for part in found.bins]
        high = np.array([part.observed_high for part in found.bins]) - share
        above.errorbar(
            at,
            share,
            np.maximum([low, high], 0),
            color=COLOURS[0],
            marker=MARKERS[0],
            markersize=4,
            linewidth=1.2,
            elinewidth=0.9,
        )
        above.set_xlim(0, end)
        above.set_ylim(0, end)
        above.set_ylabel("share bought")
        left = np.arange(N_BARS) / N_BARS
        below.bar(left, found.bars, 0.9 / N_BARS, align="edge", color=COLOURS[0])
        below.set_yscale("log")
        below.set_ylim(0.5, 3 * max(found.bars))
        below.yaxis.set_major_locator(LogLocator(numticks=3))
        below.yaxis.set_major_formatter("{x:,.0f}")
        below.yaxis.set_minor_locator(NullLocator())
        below.set_ylabel("how many")
        below.set_xlabel("probability given")

    return picture(fill, f"reliability-{salt}", height=1.35 * HEIGHT)


def by_window(windows: Sequence[WindowFigures], days: Sequence[str], salt: str) -> str:
    """Purchases observed over expected in each window, with intervals; the band is what counts as steady."""
    series: list[tuple[str, list[Ratio | None]]] = [
        ("all pairs", [window.ratio for window in windows]),
        ("first products", [window.first_ratio for window in windows]),
    ]

    def fill(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.axhspan(*STEADY, color=LINE, alpha=0.5, linewidth=0)
        axes.axhline(1, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        top = STEADY[1]
        for number, (label, ratios) in enumerate(series):
            known = [(place, ratio) for place, ratio in enumerate(ratios) if ratio]
            if not known:
                continue
            means = np.array([ratio.mean for _, ratio in known])
            reach = [[r.mean - r.low for _, r in known], [r.high - r.mean for _, r in known]]
            axes.errorbar(
                np.array([place for place, _ in known]) + (number - 0.5) * 0.08,
                means,
                reach,
                color=COLOURS[number],
                marker=MARKERS[number],
                markersize=5,
                linewidth=1.6,
                elinewidth=0.9,
                label=label,
            )
            top = max(top, *(ratio.high for _, ratio in known))
        axes.set_ylim(0, 1.12 * top)
        shown = slice(None, None, 1 + (len(days) - 1) // MAX_DAYS)
        axes.set_xticks(range(len(days))[shown], list(days[shown]))
        axes.set_xlim(-0.4, len(days) - 0.6)
        axes.set_xlabel("window from")
        axes.set_ylabel("observed / expected")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, loc="lower left", ncols=2)

    return picture(fill, f"windows-{salt}")


def source_bars(found: KindFigures, salt: str) -> str:
    """What each source finds: pale what it finds at all, full what no other finds; in order of gain."""
    names = [step.source for step in found.steps]

    def fill(figure: "Figure") -> None:
        from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

        axes = figure.add_subplot()
        axes.grid(axis="x")
        places = np.arange(len(names))
        alone = [found.sources[name].alone for name in names]
        axes.barh(places, alone, 0.62, color=COLOURS[0], alpha=0.4, linewidth=0)
        axes.barh(places, [found.sources[name].on_top for name in names], 0.62, color=COLOURS[0])
        axes.plot(
            np.repeat([step.found for step in found.steps], 2),
            np.ravel([[place - 0.5, place + 0.5] for place in places]),
            color=INK,
            linewidth=1,
        )
        axes.set_yticks(places, names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 1.05 * max(found.found, 0.001))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        axes.set_xlabel("share of what was bought")

    return picture(fill, f"sources-{salt}", height=0.9 + 0.27 * max(3, len(names)))
