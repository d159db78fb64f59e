"""Windows of earlier nights, found again in the reports that these left."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import DAY_S
from storage.page import without_nan
from training.evaluation.calibration import JudgedPairs, WindowFigures, judge
from training.evaluation.steadiness import MOST_WINDOWS, REPORT, earlier_windows


def pairs(day: int) -> JudgedPairs:
    """Two customers with two products each; what was bought differs by day."""
    return JudgedPairs(
        day * DAY_S,
        np.array([0.5, 0.25, 0.5, 0.25]),
        np.arange(4) == day % 4,
        np.array([0, 0, 1, 1], np.int32),
        np.array([0, 1, 0, 1]),
        np.arange(2, dtype=np.int32),
    )


def leave(
    runs: Path, night: int, day: int, *, horizon_days: int = 7, before: list[WindowFigures] | None = None
) -> None:
    """The report of a night whose window began on this day."""
    calibration = without_nan(asdict(judge([pairs(day)], before or [])))
    told: dict[str, Any] = {
        "manifest": {"horizon_days": horizon_days},
        "calibration": {"ranker": calibration},
    }
    folder = runs / f"20260101T{night:06}Z"
    folder.mkdir(parents=True)
    (folder / REPORT).write_text(json.dumps(told))


def days_of(windows: list[WindowFigures]) -> list[int]:
    return [window.as_of_s // DAY_S for window in windows]


def test_the_window_of_an_earlier_night_comes_back_as_it_was_judged(tmp_path: Path) -> None:
    leave(tmp_path, 1, 10)
    assert earlier_windows(tmp_path, "ranker", 7, 17 * DAY_S) == judge([pairs(10)]).windows


def test_windows_of_daily_nights_do_not_overlap_and_the_latest_stand_last(tmp_path: Path) -> None:
    """Tonight's window begins on day 40: the latest that is over by then began on day 33."""
    for day in range(10, 40):
        leave(tmp_path, day, day)
    assert days_of(earlier_windows(tmp_path, "ranker", 7, 40 * DAY_S)) == [12, 19, 26, 33]


def test_of_a_report_with_windows_of_nights_before_only_its_own_is_taken(tmp_path: Path) -> None:
    leave(tmp_path, 1, 20, before=judge([pairs(3)]).windows)
    assert days_of(earlier_windows(tmp_path, "ranker", 7, 40 * DAY_S)) == [20]


def test_no_more_than_the_latest_few_are_taken(tmp_path: Path) -> None:
    for week in range(12):
        leave(tmp_path, week, 7 * week)
    found = days_of(earlier_windows(tmp_path, "ranker", 7, 84 * DAY_S))
    assert found == [7 * week for week in range(12 - MOST_WINDOWS, 12)]


def test_other_horizons_other_variants_and_damaged_reports_are_passed_over(tmp_path: Path) -> None:
    leave(tmp_path, 1, 10, horizon_days=14)
    leave(tmp_path, 2, 3)
    for night, text in ((3, ""), (4, "[]"), (5, '{"manifest": {"horizon_days": 7}}'), (6, "{")):
        (tmp_path / f"20260101T{night:06}Z").mkdir()
        (tmp_path / f"20260101T{night:06}Z" / REPORT).write_text(text)
    assert days_of(earlier_windows(tmp_path, "ranker", 7, 40 * DAY_S)) == [3]
    assert earlier_windows(tmp_path, "discovery", 7, 40 * DAY_S) == []


def test_a_store_without_nights_has_none(tmp_path: Path) -> None:
    assert earlier_windows(tmp_path / "runs", "ranker", 7, 0) == []
