"""How figures of a judgement are written, the same on its page and in Markdown."""

from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a second to load, and what lists experiments needs dates only
    from experiments.judgement import Comparison
    from experiments.statistics.off_policy import Value

LARGE, SMALL = 999.5, 1e-4  # beyond these Python writes three digits as 1e+03 and 1e-05


def number(value: float) -> str:
    value = round(value, 9) + 0.0  # what is left is rounding; and 0 has no sign
    if abs(value) >= LARGE:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= SMALL else f"{Decimal(f'{value:.3g}'):f}"


def signed(value: float) -> str:
    if not isfinite(value):
        return "unbounded"
    text = number(value)
    return text if text.startswith("-") else f"+{text}"


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
