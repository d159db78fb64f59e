"""How long callers wait by how many come, as a picture, byte by byte from the figures."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 60, 30, 40, 44
LINES = {
    "bare": ("bare Flask route", "#d9822b"),
    "zipf": ("customers by Zipf", "#3b7fc4"),
    "once": ("every customer once", "#5aa469"),
}
SHARES = {"p50_ms": "4 4", "p99_ms": ""}  # dashed and whole
LOWEST_MS, HIGHEST_MS = 0.1, 1000.0
TITLE = "ms until the answer, by questions per second; whole: 99th percentile, dashed: median"
INK = "#7d8590"  # readable on white and on near-black: the page may be either


def plot(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """An SVG file."""
    top_per_s = max(step["rate_per_s"] for steps in curves.values() for step in steps)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<text x="{LEFT}" y="16">{TITLE}</text>',
        *_axes(top_per_s),
    ]
    for place, (key, steps) in enumerate(curves.items()):
        name, colour = LINES[key]
        x = LEFT + 10 + 190 * place
        lines.append(f'<text x="{x}" y="{TOP - 6}" fill="{colour}">{name}</text>')
        for share, dashes in SHARES.items():
            points = " ".join(
                f"{_across(step['rate_per_s'], top_per_s):.1f},{_up(step[share]):.1f}" for step in steps
            )
            lines.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-dasharray="{dashes}"/>'
            )
    return "\n".join([*lines, "</svg>", ""])


def _axes(top_per_s: float) -> list[str]:
    lines = []
    for power in range(-1, 4):
        y = _up(10.0**power)
        lines += [
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{INK}" stroke-width="0.3"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>',
        ]
    step = 1000 if top_per_s <= 6000 else 2000
    for rate in range(0, int(top_per_s) + 1, step):
        x = _across(rate, top_per_s)
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{rate:,}</text>')
    return lines


def _across(per_s: float, top_per_s: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * per_s / top_per_s


def _up(ms: float) -> float:
    share = log10(min(max(ms, LOWEST_MS), HIGHEST_MS) / LOWEST_MS) / log10(HIGHEST_MS / LOWEST_MS)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
