"""Pictures as SVG to stand inside a page, in the page's own colours, light or dark."""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # half a second to load, for those only who draw
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

# Told apart by marker and place too, not by colour alone; each is readable on white and on near-black.
COLOURS = ("#3b7fc4", "#d9822b", "#2c9c69", "#a566c9", "#cf4a5c", "#8a8a2f", "#5b8f9c", "#9a6b4f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK, LINE = "#010203", "#040506"  # stand-ins, replaced by the page's own colours
WIDTH, HEIGHT = 4.6, 2.9  # inches; the page stretches a picture to its column
_STYLE: "dict[RcKeyType, Any]" = {
    "svg.fonttype": "none",
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": LINE,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


def chart(draw: "Callable[[Axes], None]", salt: str) -> str:
    """What `draw` draws on one pair of axes that begins at 0, as an `<svg>` element."""

    def fill(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.grid(axis="y")
        draw(axes)
        axes.set_ylim(bottom=0)

    return picture(fill, salt)


def picture(fill: "Callable[[Figure], None]", salt: str, *, height: float = HEIGHT) -> str:
    """What `fill` puts on an empty figure, as an `<svg>` element: the same bytes for the same figures.

    Args:
        fill: adds axes and draws on them, in COLOURS, INK and LINE.
        salt: differs between the pictures of one page, so that their names do.
        height: inches, where WIDTH is the width.
    """
    import matplotlib  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": salt}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        fill(figure)
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
    return svg.replace(INK, "currentColor").replace(LINE, "var(--line)")
