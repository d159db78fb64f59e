"""How probabilities did on the windows of earlier nights, from the reports that these left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.arrays import DAY_S
from storage.local_days import CLOCKS_S
from training.evaluation.calibration import WindowFigures
from training.evaluation.reliability import Ratio

REPORT = "report.json"
MOST_WINDOWS = 8


def earlier_windows(runs: Path, variant: str, horizon_days: int, before_s: int) -> list[WindowFigures]:
    """The latest windows that nights judged one variant by, side by side or further apart; oldest first.

    Args:
        runs: the folder of the nights' folders, whose names sort by time.
        variant: whose probabilities.
        horizon_days: of the windows; nights with another one are passed over.
        before_s: Unix seconds; all windows are over by then, but for what clocks changed.
    """
    found: list[WindowFigures] = []
    for window in _judged(runs, variant, horizon_days):
        if window.as_of_s + horizon_days * DAY_S <= before_s + CLOCKS_S:
            found.append(window)
            before_s = window.as_of_s
        if len(found) == MOST_WINDOWS:
            break
    return found[::-1]


def _judged(runs: Path, variant: str, horizon_days: int) -> Iterator[WindowFigures]:
    """The window of each night that left a report which can be read, latest night first."""
    for path in sorted(runs.glob(f"*/{REPORT}"), reverse=True):
        try:
            told = json.loads(path.read_text())
            if told["manifest"]["horizon_days"] == horizon_days and variant in told["calibration"]:
                yield _window(told["calibration"][variant]["windows"][-1])
        except (OSError, ValueError, LookupError, TypeError):
            continue  # of another nextbest, or damaged: what it had to say is no more than a comparison


def _window(told: dict[str, Any]) -> WindowFigures:
    ratios = {
        name: Ratio(**told[name]) if told[name] is not None else None for name in ("ratio", "first_ratio")
    }
    return WindowFigures(**{**told, **ratios})
