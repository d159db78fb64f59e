"""When an offer or a promotion ends that a shop wrote as a date, as a time, or without an end."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from storage.history.options import PromotionsOptions
from storage.history.times import from_text
from tests.data.exports import HEADER, read, write


@pytest.mark.parametrize(
    ("written", "ends"),
    [
        ("2026-12-24", "2026-12-24T23:00Z"),  # in Berlin the day ends then
        ("2026-12-24 00:00", "2026-12-23T23:00Z"),  # a time is a time
        ("2026-12-24T18:30:00Z", "2026-12-24T18:30Z"),
        ("2027-03-28", "2027-03-28T22:00Z"),  # a day of 23 hours
        ("9999-12-31", "9999-12-30T23:00Z"),  # there is no day after it
        ("9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59Z"),  # nor a moment
    ],
)
def test_a_date_alone_ends_an_offer_after_that_day_of_the_shops(
    tmp_path: Path, written: str, ends: str
) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    write(tmp_path, f"offer_id,product_ids,starts_at,ends_at\no,p,2026-12-01,{written}\n", "offers.csv")
    offers = read(tmp_path, timezone="Europe/Berlin").offers
    assert offers is not None
    assert offers["starts_at"].to_list() == [datetime(2026, 11, 30, 23, tzinfo=UTC)]
    assert offers["ends_at"].to_list() == [datetime.fromisoformat(ends)]


def test_dates_of_a_date_column_and_of_a_format_without_a_time_are_days_too(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    table = {"offer_id": ["o"], "product_ids": ["p"], "ends_at": [date(2026, 12, 24)]}
    pl.DataFrame(table).write_parquet(tmp_path / "offers.parquet")
    write(tmp_path, "product_id,starts_at,ends_at\np,01.01.2020,24.12.2026\n", "promotions.csv")
    options = PromotionsOptions(date_format="%d.%m.%Y")
    history = read(tmp_path, promotions=options)
    after = datetime(2026, 12, 25, tzinfo=UTC)
    assert history.offers is not None and history.promotions is not None
    assert history.offers["ends_at"].to_list() == history.promotions["ends_at"].to_list() == [after]


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "%d.%m.%Y %-H:%M", "%d.%m.%Y %_H:%M"])
def test_an_end_with_a_time_of_day_is_that_moment(form: str) -> None:
    utc, _ = from_text(pl.Series(["31.12.2025 18:00"]), form, "UTC", is_end=True)
    assert utc.to_list() == [datetime(2025, 12, 31, 18, tzinfo=UTC)]
