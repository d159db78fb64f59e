"""One split as a picture: the main column of every row with its interval, byte by byte from the figures."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 720, 250, 60, 20, 34
OURS, OTHERS = "#3b7fc4", "#d9822b"
INK = "#7d8590"  # readable on white and on near-black: the page may be either


def plot(split: Mapping[str, Any]) -> str:
    """An SVG file: circles are ours, squares are not, hollow ones were published."""
    rows = _rows(split)
    title = next(column["title"] for column in split["columns"] if column["key"] == split["main"])
    top = max((row["high"] for row in rows), default=1.0) or 1.0
    height = TOP + ROW * len(rows) + 10

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / top

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<text x="{LEFT}" y="16">{escape(title)}, 95 % interval; blue: nextbest</text>',
        f'<path d="M{LEFT} {TOP - 8}V{height - 8}" stroke="{INK}" stroke-width="0.5"/>',
    ]
    for place, row in enumerate(rows):
        lines += _row(row, TOP + ROW * place + 6, across)
    return "\n".join([*lines, "</svg>", ""])


def _row(row: Mapping[str, Any], y: int, across: Any) -> list[str]:
    colour = OURS if row["ours"] else OTHERS
    x = across(row["mean"])
    fill = "none" if row["published"] else colour
    mark = (
        f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{fill}" stroke="{colour}"/>'
        if row["ours"]
        else f'<rect x="{x - 3.5:.1f}" y="{y - 3.5}" width="7" height="7" fill="{fill}" stroke="{colour}"/>'
    )
    return [
        f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(row["title"])}</text>',
        f'<path d="M{across(row["low"]):.1f} {y}H{across(row["high"]):.1f}" stroke="{colour}"/>',
        mark,
        f'<text x="{across(row["high"]) + 8:.1f}" y="{y + 4}">{row["mean"]:.3f}</text>',
    ]


def _rows(split: Mapping[str, Any]) -> list[dict[str, Any]]:
    key = split["main"]
    found = [
        {
            "title": row["title"].strip("`"),
            "ours": row["ours"],
            "published": False,
            **{name: row["figures"][key][name] for name in ("mean", "low", "high")},
        }
        for row in split["rows"].values()
    ]
    if split["published"]:
        place = [column["key"] for column in split["columns"]].index(key)
        for name, figures in split["published"]["rows"].items():
            value = figures[place]
            of = {"title": f"published: {name}", "ours": False, "published": True}
            found.append({**of, "mean": value, "low": value, "high": value})
    return sorted(found, key=lambda row: -row["mean"])
