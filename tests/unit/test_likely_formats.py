"""What is told of times that couldn't be read: by which format they could."""

from datetime import UTC, datetime

import polars as pl
import pytest

from storage.history.likely_formats import FORMATS, likely_formats

NOW_S = int(datetime(2020, 3, 1, tzinfo=UTC).timestamp())
MOMENT = datetime(2019, 12, 31, 18, 5, tzinfo=UTC)


def likely(*texts: str) -> list[str]:
    return likely_formats(pl.Series(texts, dtype=pl.String), NOW_S)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "%s"])
def test_the_format_by_which_times_were_written_is_found(form: str) -> None:
    assert form in likely(MOMENT.strftime(form))


def test_what_reads_as_many_is_told_too_and_what_reads_fewer_is_not() -> None:
    assert likely("01/02/2019", "03/04/2019") == ["%d/%m/%Y", "%m/%d/%Y"]
    assert likely("01/02/2019", "31/12/2019") == ["%d/%m/%Y"]
    assert likely("01/02/19", "12/31/19") == ["%m/%d/%y"]


def test_numbers_are_seconds_or_days_of_a_calendar() -> None:
    assert likely("1577815500", "1577815501") == ["%s"]
    assert likely("20191231") == ["%Y%m%d"]
    assert likely("43830") == []  # days since 1900, as spreadsheets count


def test_some_words_among_them_do_no_harm_and_words_alone_are_no_time() -> None:
    assert likely(*["31.12.2019"] * 9, "never") == ["%d.%m.%Y"]
    assert likely(*["31.12.2019"] * 8, "never", "never") == []
    assert likely("never") == likely() == []


def test_a_year_to_come_is_none() -> None:
    assert likely("31.12.2031") == []
