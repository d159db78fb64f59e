"""The report's pictures: bounds, effect, forest, exposures, latency, novelty."""

from itertools import pairwise
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.judgement import Comparison, Judgement
from storage.svg import COLOURS, HEIGHT, INK, LINE, MARKERS, chart, picture

WIDE = 6.0  # of a bound: beyond it the picture says nothing more


def pictures(found: Judgement) -> list[tuple[str, str]]:
    """Caption and SVG of each picture that there is something to draw in."""
    drawn = []
    if found.days or found.looks:
        drawn.append(("Statistic of the primary metric and its bounds", bounds(found)))
    if found.days:
        drawn.append(("Effect on the primary metric, with its sequence", effect(found)))
    if any(one.effect is not None and one.effect.relative is not None for one in found.comparisons):
        drawn.append(("Relative effects, 95 % intervals", forest(found)))
    if found.customers:
        drawn.append(("Exposures, cumulative", exposures(found)))
    if any(arm.latency_ms for arm in found.arms):
        drawn.append(("Latency of answers: median, 90 %, 99 %", latency(found)))
    if found.novelty:
        drawn.append(("Effect by days since the first exposure", novelty(found)))
    return drawn


def bounds(found: Judgement) -> str:
    """The statistic of each arm by information, the looks that were taken and the bounds that held then."""

    def fill(figure: Figure) -> None:
        axes = _axes(figure, "share of the planned customers", "statistic")
        for number, name in _treatments(found):
            path = [day for day in found.days if day.arm == name]
            axes.plot(
                [day.information for day in path],
                [day.statistic for day in path],
                color=COLOURS[number],
                linewidth=1.6,
            )
            looks = [look for look in found.looks if look.arm == name]
            axes.plot(
                [look.information for look in looks],
                [look.statistic for look in looks],
                color=COLOURS[number],
                marker=MARKERS[number],
                linestyle="",
            )
            limits = [(look.information, look.bound) for look in looks if look.bound < WIDE]
            if number == 1 and found.next_bound is not None and found.next_information is not None:
                limits.append((found.next_information, min(found.next_bound, WIDE)))
            for side in (1, -1):
                axes.plot(
                    [at for at, _ in limits],
                    [side * limit for _, limit in limits],
                    color=INK,
                    marker="_",
                    markersize=12,
                    linewidth=0.8,
                )
        axes.set_xlim(0, 1.05 * max(1.0, found.information))

    return picture(fill, "bounds")


def effect(found: Judgement) -> str:
    """The difference as it stood each day, within the sequence that holds on all of them."""

    def fill(figure: Figure) -> None:
        axes = _axes(figure, "day", "difference")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        last = [day for day in found.days if isfinite(day.low)]
        for number, name in _treatments(found):
            path = [day for day in last if day.arm == name]
            at = [day.day for day in path]
            axes.plot(at, [day.difference for day in path], color=COLOURS[number], linewidth=1.6)
            low, high = [day.low for day in path], [day.high for day in path]
            axes.fill_between(at, low, high, color=COLOURS[number], alpha=0.18, linewidth=0)
        if last:
            half = 4 * max(abs(bound) for day in last[-len(found.arms) :] for bound in (day.low, day.high))
            axes.set_ylim(-half, half)  # the first days' sequences are wide

    return picture(fill, "effect")


def forest(found: Judgement) -> str:
    """Relative effects of all metrics that have one, one line each."""
    lines = [one for one in found.comparisons if one.effect is not None and one.effect.relative is not None]

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.grid(axis="x")
        axes.axvline(0, color=INK, linewidth=0.8)
        names = [name for _, name in _treatments(found)]
        for place, one in enumerate(reversed(lines)):
            number = names.index(one.arm) + 1
            _whisker(axes, one, place, number)
        told = ["", *(_name(one) for one in lines)]
        labels = [name if name != before else "" for before, name in pairwise(told)]
        axes.set_yticks(range(len(lines)), labels[::-1])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0%}")

    return picture(fill, "forest", height=max(HEIGHT, 0.26 * len(lines) + 0.6))


def exposures(found: Judgement) -> str:
    """Answers of each arm, summed up by day."""

    def draw(axes: Axes) -> None:
        for number, (name, path) in enumerate(found.exposures_by_day.items()):
            axes.plot(range(1, len(path) + 1), path, color=COLOURS[number], linewidth=1.6, label=name)
        axes.set_xlabel("day")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return chart(draw, "exposures")


def latency(found: Judgement) -> str:
    """Three percentiles of each arm, in milliseconds."""

    def draw(axes: Axes) -> None:
        arms = [arm for arm in found.arms if arm.latency_ms is not None]
        width = 0.8 / max(1, len(arms))
        for place, arm in enumerate(arms):
            number = [one.name for one in found.arms].index(arm.name)
            at = [percentile + (place + 0.5) * width - 0.4 for percentile in range(3)]
            axes.bar(at, list(arm.latency_ms or ()), width * 0.9, color=COLOURS[number])
        axes.set_xticks(range(3), ["median", "90 %", "99 %"])
        axes.set_ylabel("ms")

    return chart(draw, "latency")


def novelty(found: Judgement) -> str:
    """The difference on each day since the first exposure: one that wears off falls."""

    def fill(figure: Figure) -> None:
        axes = _axes(figure, "days since the first exposure", "difference")
        for number, name in _treatments(found):
            days = [one for one in found.novelty if one.arm == name]
            axes.errorbar(
                [one.day + 0.05 * number for one in days],
                [one.difference for one in days],
                yerr=[
                    [one.difference - one.low for one in days],
                    [one.high - one.difference for one in days],
                ],
                color=COLOURS[number],
                marker=MARKERS[number],
                markersize=5,
                linewidth=1.2,
            )

    return picture(fill, "novelty")


def _axes(figure: Figure, across: str, up: str) -> Axes:
    axes = figure.add_subplot()
    axes.grid(axis="y")
    axes.axhline(0, color=LINE, linewidth=1)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return axes


def _whisker(axes: Axes, one: Comparison, place: int, number: int) -> None:
    effect = one.effect
    if effect is None or effect.relative is None:
        return
    axes.hlines(
        place, effect.relative_low or 0.0, effect.relative_high or 0.0, color=COLOURS[number], linewidth=1.4
    )
    axes.plot(effect.relative, place, color=COLOURS[number], marker=MARKERS[number], markersize=5)


def _treatments(found: Judgement) -> list[tuple[int, str]]:
    """Number and name of each arm but the control; the number chooses colour and mark."""
    return [(number, arm.name) for number, arm in enumerate(found.arms) if number]


def _name(one: Comparison) -> str:
    """Of several arms the first has it: colours and marks tell arms, and long names leave no picture."""
    return one.metric if one.segment == "all" else f"{one.metric}, {one.segment}"
