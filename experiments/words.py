"""How figures of a judgement are written, the same on its page and in Markdown."""

from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a second to load, and what lists experiments needs dates only
    from experiments.judgement import Comparison
    from experiments.off_policy import Value

LARGE = 999.5  # from here on three digits are too few, and would be written as 1e+03


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.3g}"


def signed(value: float) -> str:
    if not isfinite(value):
        return "unbounded"
    return f"{value:+,.0f}" if abs(value) >= LARGE else f"{value:+.3g}"


def probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def spread(value: "Value | None", *, is_gain: bool = False) -> str:
    """A value and its 95 % interval."""
    if value is None:
        return "-"
    form = signed if is_gain else number
    return f"{form(value.value)} ({form(value.low)} to {form(value.high)})"


def bound(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else "none yet"


def moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%Y-%m-%d %H:%M}"


def side(one: "Comparison") -> str:
    """`good` or `bad` where the 95 % interval is on one side of 0."""
    if one.effect is None or one.effect.low <= 0 <= one.effect.high:
        return ""
    return "good" if (one.effect.low > 0) == (one.direction == "up") else "bad"
