"""Cells that can be read, and would be wrong: ids that became one, prices tenfold, times off by the zone."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from storage.history.options import HistoryOptions
from tests.data.exports import HEADER, NOW, read, refusal, write

LOST = "product_id: a number that lost digits"
PRICED = "customer_id;product_id;purchased_at;unit_price\n"


@pytest.mark.parametrize("text", ["4.00638E+12", "4,00638E+12", "4E+12", "1.2345678901234568e+18"])
@pytest.mark.parametrize("id_cleanup", [True, False])
def test_an_id_that_a_spreadsheet_shortened_is_rejected_since_others_became_the_same(
    tmp_path: Path, text: str, id_cleanup: bool
) -> None:
    write(tmp_path, f'{HEADER}a,p,2020-01-01\na,"{text}",2020-01-01\n')
    history = read(tmp_path, purchases={"id_cleanup": id_cleanup})
    assert history.counts["purchases"].rejected == {LOST: 1}


def test_a_float_too_long_for_its_digits_is_rejected_with_and_without_its_cleanup(tmp_path: Path) -> None:
    write(tmp_path, f"{HEADER}a,12345678901234568.0,2020-01-01\na,1234567890123.0,2020-01-01\n")
    history = read(tmp_path, purchases={"id_cleanup": True})
    assert history.counts["purchases"].rejected == {LOST: 1}
    assert history.products["product_id"].to_list() == ["1234567890123"]


@pytest.mark.parametrize("text", ["12E10", "1E5", "E+12", "4.0E", "1.5-E+12", "12345678901234567"])
def test_a_code_that_only_looks_a_little_like_such_a_number_is_an_id(tmp_path: Path, text: str) -> None:
    write(tmp_path, f"{HEADER}a,{text},2020-01-01\n")
    assert read(tmp_path).products["product_id"].to_list() == [text]


@pytest.mark.parametrize(("kind", "last"), [(pl.Float64, 2**53), (pl.Float32, 2**24)])
def test_ids_of_a_column_of_floats_are_rejected_where_floats_have_no_single_numbers(
    tmp_path: Path, kind: type[pl.DataType], last: int
) -> None:
    ids = pl.Series("product_id", [last - 1, last, last * 100, -last, 0.5], dtype=pl.Float64).cast(kind)
    frame = pl.DataFrame([ids]).with_columns(customer_id=pl.lit("a"), purchased_at=pl.date(2020, 1, 1))
    frame.write_parquet(tmp_path / "purchases.parquet")
    history = read(tmp_path)
    assert history.counts["purchases"].rejected == {LOST: 3}
    assert set(history.products["product_id"]) == {str(last - 1), "0.5"}


def test_too_many_ids_without_their_digits_say_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, f"{HEADER}a,4.00638E+12,2020-01-01\n")
    assert refusal(tmp_path, max_reject_share=0.1).endswith("; export ids as text, not as numbers")


def test_times_that_a_format_does_not_read_say_which_option_is_to_be_looked_at(tmp_path: Path) -> None:
    write(tmp_path, f"{HEADER}a,p,12/31/2019\n")
    assert refusal(tmp_path, max_reject_share=0.1).endswith(
        '; set date_format in [history.purchases]. They are read by "%m/%d/%Y"'
    )
    turned = refusal(tmp_path, max_reject_share=0.1, purchases={"date_format": "%d/%m/%Y"})
    write(tmp_path, f"{HEADER}a,p,12/31/19\n")
    early = refusal(tmp_path, max_reject_share=0.1, purchases={"date_format": "%m/%d/%Y"})
    assert early.endswith("; is date_format in [history.purchases] right? %y is a year of two digits")
    assert turned.endswith(
        '; is date_format in [history.purchases] right, day and month too? They are read by "%m/%d/%Y"'
    )


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("12,50", 12.5),
        ("1.234,50", 1234.5),
        ("1.234.567", 1234567),
        ("12", 12),
        ("12.50", None),
        ("0.500", None),
        ("1.23,50", None),
        ("1234.567,5", None),
        ("1,234.50", None),
        ("1 234,50", 1234.5),
        ("12 34,50", None),
    ],
)
def test_with_a_decimal_comma_a_point_stands_before_three_digits_or_it_is_no_number(
    tmp_path: Path, text: str, price: float | None
) -> None:
    write(tmp_path, f"{PRICED}a;p;2020-01-01;{text}\nb;q;2020-01-01;\n")
    history = read(tmp_path, purchases={"separator": ";", "decimal_comma": True})
    prices = history.purchases["unit_price"].drop_nulls().to_list()
    assert prices == ([] if price is None else [price])
    assert history.counts["purchases"].rejected == ({"unit_price: not a number": 1} if price is None else {})


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("1,234.50", 1234.5),
        ("1,234,567.", 1234567),
        ("1 234.5", 1234.5),
        ("1\u202f234\u00a0567", 1234567),
        ("1'234.50", 1234.5),
        ("1,234", None),
        ("12,34.50", None),
        ("0,234.50", None),
        ("1,234 567.5", None),
        ("1 2345", None),
        ("12,50", None),
    ],
)
def test_what_can_only_part_thousands_does(tmp_path: Path, text: str, price: float | None) -> None:
    write(tmp_path, f"{PRICED}a;p;2020-01-01;{text}\nb;q;2020-01-01;\n")
    prices = read(tmp_path, purchases={"separator": ";"}).purchases["unit_price"].drop_nulls().to_list()
    assert prices == ([] if price is None else [price])


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u3000", " \u00a0"])
def test_blanks_around_an_id_are_cut_off_of_whatever_kind(tmp_path: Path, blank: str) -> None:
    write(tmp_path, f"{HEADER}a{blank},{blank}p,2020-01-01{blank}\na,p,2020-01-02\n")
    history = read(tmp_path)
    assert (history.customer_ids, history.products["product_id"].to_list()) == (["a"], ["p"])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "2020-07-01T10:00:00Z"),
        ("%Y-%m-%d %H:%M:%S UTC", "2020-07-01 10:00:00 UTC"),
        ("%d/%m/%Y %H:%M (GMT)", "01/07/2020 10:00 (GMT)"),
        ("%d/%m/%Y %H:%M %z", "01/07/2020 12:00 +0200"),
    ],
)
def test_a_format_that_says_utc_in_so_many_words_is_utc(tmp_path: Path, form: str, text: str) -> None:
    write(tmp_path, f"{HEADER}a,p,{text}\n")
    history = read(tmp_path, timezone="Europe/Berlin", purchases={"date_format": form})
    assert history.named_purchases()["purchased_at"].to_list() == [datetime(2020, 7, 1, 10, tzinfo=UTC)]
    assert history.as_of < NOW


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M %Z", "%Y-%m-%dT%H:%M:%S+01:00", "%Y-%m-%d %H:%M -0500"])
def test_a_format_that_would_pass_over_the_zone_is_refused(form: str) -> None:
    with pytest.raises(ValidationError, match="passes over the zone of a time: write %z for an offset"):
        HistoryOptions.model_validate({"purchases": {"date_format": form}})


@pytest.mark.parametrize("text", ["1577880061", "1577880061999", "1577880061999999"])
def test_seconds_milliseconds_and_microseconds_since_1970_are_told_apart_by_their_digits(
    tmp_path: Path, text: str
) -> None:
    write(tmp_path, f"{HEADER}a,p,{text}\n")
    history = read(tmp_path, timezone="Europe/Berlin", purchases={"date_format": "%s"})
    assert history.purchases["at_s"].to_list() == [1577880061]


@pytest.mark.parametrize("text", ["253402300799", "253402300799000", "253402300799999999"])
def test_an_end_in_9999_is_the_same_whether_told_in_seconds_or_finer(tmp_path: Path, text: str) -> None:
    write(tmp_path, f"{HEADER}a,p,2020-01-01\n")
    write(tmp_path, f"product_id,starts_at,ends_at\np,1577880061,{text}\n", "promotions.csv")
    history = read(tmp_path, promotions={"date_format": "%s"})
    assert history.promotions is not None
    assert history.promotions["ends_at"].dt.epoch("s").to_list() == [253402300799]
