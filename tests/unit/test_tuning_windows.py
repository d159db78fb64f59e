"""Which past windows a search takes, also where a shop was closed for weeks."""

from pathlib import Path

import pytest

from models.errors import TooLittleHistoryError
from models.history.interactions import Interactions
from tests.data.coupons import START, day, history_of, table
from training.tuning.search import Windows, past_windows


def shop(folder: Path, weeks: list[int], customers: int = 3) -> Interactions:
    """On the last day of each of these weeks each customer buys the same product."""
    lines = [f"c{c},p,{day(7 * week + 6)}" for week in weeks for c in range(customers)]
    return history_of(folder, purchases=table("customer_id,product_id,purchased_at", lines)).interactions()


def weeks_of(windows: Windows) -> tuple[list[int], int]:
    """The weeks that hold what is judged."""
    search, confirm = (
        [round((fold.as_of_s - START.timestamp()) / 86400 / 7) for fold in folds]
        for folds in (windows.search, [windows.confirm])
    )
    return search, confirm[0]


def test_the_latest_but_the_last_are_taken_side_by_side(tmp_path: Path) -> None:
    """The history ends with week 10, which the gate judges."""
    found = past_windows(shop(tmp_path, list(range(11))), 7, "UTC", count=3, target="all")
    assert weeks_of(found) == ([6, 7, 8], 9)


def test_weeks_without_anybody_are_passed_over(tmp_path: Path) -> None:
    found = past_windows(shop(tmp_path, [0, 1, 2, 3, 4, 10]), 7, "UTC", count=3, target="all")
    assert weeks_of(found) == ([1, 2, 3], 4)


def test_a_history_with_fewer_gives_what_it_has(tmp_path: Path) -> None:
    found = past_windows(shop(tmp_path, [0, 1, 2, 4]), 7, "UTC", count=3, target="all")
    assert weeks_of(found) == ([1], 2)


def test_one_window_is_too_little_and_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(TooLittleHistoryError, match=r"came again \(1\): it takes two"):
        past_windows(shop(tmp_path, [0, 1, 3]), 7, "UTC", count=3, target="all")


def test_a_history_of_one_moment_has_none(tmp_path: Path) -> None:
    with pytest.raises(TooLittleHistoryError, match=r"came again \(0\)"):
        past_windows(shop(tmp_path, [0]), 7, "UTC", count=3, target="all")
