"""Windows of whole days where times are dates, also in the weeks in which clocks change."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from models.arrays import DAY_S
from models.history.interactions import Interactions
from models.ranking.windows import window_starts
from models.validation.folds import FoldOptions, inner_folds
from storage.history.history import History
from storage.history.options import HistoryOptions
from storage.history.read import read_history
from storage.local_days import local_day, midnight_s, opening_day, placed
from training.evaluation.folds import last_folds

BERLIN = ZoneInfo("Europe/Berlin")
CHANGES = [("Europe/Berlin", date(2024, 2, 20)), ("Europe/Berlin", date(2024, 9, 20))]
CHANGES += [("Africa/Cairo", date(2024, 4, 1)), ("Australia/Lord_Howe", date(2024, 9, 1))]


def daily(folder: Path, zone: str, first: date, as_of: datetime | None = None) -> History:
    """25 customers buy on each of 60 days."""
    days = [first + timedelta(days=number) for number in range(60)]
    lines = [f"c{customer},p,{day}" for day in days for customer in range(25)]
    (folder / "purchases.csv").write_text("\n".join(["customer_id,product_id,purchased_at", *lines]))
    options, now = HistoryOptions(timezone=zone), datetime(2026, 1, 1, tzinfo=UTC)
    return read_history(str(folder), options, as_of=as_of, rejects=folder / "rejects.csv", now=now)


def days_in(history: Interactions, start_s: int, zone: str) -> list[date]:
    at_s = history.between(start_s, start_s + 7 * DAY_S).at_s
    return sorted({local_day(int(moment), zone) for moment in np.unique(at_s)})


@pytest.mark.parametrize(("zone", "first"), CHANGES)
@pytest.mark.parametrize("is_asked_for", [False, True])
def test_every_window_of_dates_holds_seven_days_side_by_side(
    tmp_path: Path, zone: str, first: date, is_asked_for: bool
) -> None:
    """Subtracting 24 hours from midnights gave 8 days after a spring change and 6 after an autumn one."""
    last = first + timedelta(days=59)
    as_of = datetime(last.year, last.month, last.day, tzinfo=ZoneInfo(zone)) + timedelta(days=1)
    history = daily(tmp_path, zone, first, as_of if is_asked_for else None).interactions()
    folds = list(inner_folds(history, FoldOptions(enough_customers=10_000)))
    starts = [fold.history.as_of_s for fold in folds]
    assert starts == window_starts(history, 7, 12)
    assert len(starts) == 7
    found = [days_in(history, start_s, zone) for start_s in reversed(starts)]
    assert [day for days in found for day in days] == [
        last - timedelta(days=back) for back in reversed(range(49))
    ]
    assert {len(days) for days in found} == {7}
    assert [opening_day(start_s, zone) for start_s in reversed(starts)] == [days[0] for days in found]
    for fold in last_folds(history.as_of_s, 7, zone, count=7):
        assert len(days_in(history, fold.as_of_s, zone)) == 7


def test_a_night_just_after_the_last_date_learns_what_one_at_the_end_of_its_day_does(tmp_path: Path) -> None:
    """The history's own moment stays; ages count from the end of the day."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, as_of = date(2024, 2, 20), datetime(2024, 4, 20, tzinfo=BERLIN)
    one, two = (
        daily(tmp_path / name, "Europe/Berlin", first, at) for name, at in (("one", None), ("two", as_of))
    )
    assert one.as_of == datetime(2024, 4, 19, 0, 0, 1, tzinfo=BERLIN)
    assert one.interactions().as_of_s == two.interactions().as_of_s == int(as_of.timestamp())
    np.testing.assert_array_equal(one.interactions().age_days, two.interactions().age_days)
    assert float(one.interactions().age_days.min()) == 0.5
    assert one.known_since_s.tolist() == [midnight_s(first, "Europe/Berlin") + DAY_S // 2] * 25


def test_a_midnight_among_times_is_a_time_and_nothing_moves() -> None:
    at_s = pl.Series([0, DAY_S + 5, 2 * DAY_S + 7])
    assert placed(at_s, 2 * DAY_S + 8, "UTC")[0].to_list() == at_s.to_list()
    assert placed(at_s, 2 * DAY_S + 8, "UTC")[1] == 2 * DAY_S + 8


def test_dates_beside_a_few_times_count_as_noon_and_stay_before_the_end() -> None:
    """Recorded purchases join a history of dates: what is known ends with the last of them."""
    at_s = pl.Series([0, DAY_S, 2 * DAY_S, 2 * DAY_S + 100])
    moved, end_s = placed(at_s, 2 * DAY_S + 101, "UTC")
    assert moved.to_list() == [DAY_S // 2, DAY_S * 3 // 2, 2 * DAY_S + 100, 2 * DAY_S + 100]
    assert end_s == 2 * DAY_S + 101
