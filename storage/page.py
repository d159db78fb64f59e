"""How a page that fetches nothing is made from a template: of nights, evaluations, shops and experiments.

It stands here, as the pictures do, because storage is what the night and the judge share.
"""

import math
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def page(template: str, timezone: str, **content: object) -> str:
    """The template, such as training.reports/report.html.j2, filled in; times are written in this zone."""
    package, _, name = template.partition("/")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("storage")]),  # style.css is storage's
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": lambda value: f"{value:.3f}",
        "range": lambda interval: f"{interval.low:.3f} to {interval.high:.3f}",
        "share": share,
        "seconds": lambda value: f"{value:.1f}",
        "day": lambda at: day(at, timezone),
    }
    environment.filters |= {"change": _change, "count": lambda value: f"{value:,.0f}"}
    return environment.get_template(name).render(timezone=timezone, **content)


def share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.001 or not value else f"{value:.3%}"


def day(at: datetime, timezone: str) -> str:
    """To the minute; of the second after a midnight the day alone.

    A history of dates ends there, and 00:00 would say that nothing of its last day was counted.
    """
    local = at.astimezone(ZoneInfo(timezone))
    if (local.hour, local.minute, local.second) == (0, 0, 1):
        return f"{local:%Y-%m-%d}"
    return f"{local:%Y-%m-%d %H:%M}"


def without_nan(value: Any) -> Any:
    """The same for JSON, which knows no NaN: null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return value


def _change(difference: Any) -> str:
    relative = "" if difference.relative is None else f" ({difference.relative:+.1%})"
    return f"{difference.interval.mean:+.3f}{relative}"
