"""From a cell as a shop exported it to a value of ours, or to the reason why there is none."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from storage.history.contract import MAX_ID_BYTES, MAX_TEXT_BYTES, Column, Kind, Least
from storage.history.options import TableOptions
from storage.history.times import NO_TIME, Clock, from_text, from_typed

CONTROL = r"[\x00-\x1f\x7f]"
# How spreadsheets and columns of floats write a number of many digits, of which they kept the first few.
LOST_DIGITS = r"^-?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+$|^-?[0-9]\.[0-9]+[eE][0-9]+$|^-?[0-9]{17,}\.0+$"
GROUPED = r"^[-+]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]*)?$"  # points beside a decimal comma
# Commas before a decimal point; blanks and apostrophes anywhere. 1,299 alone may be 1.299 as well.
BY_COMMAS = r"^[-+]?[1-9][0-9]{0,2}(?:,[0-9]{3})+\.[0-9]*$"
GAPS = " \u00a0\u2009\u202f'\u2019"
BY_GAPS = rf"^[-+]?[1-9][0-9]{{0,2}}(?:[{GAPS}][0-9]{{3}})+(?:[.,][0-9]*)?$"
MAX_INT32 = 2**31 - 1
LAST_S = 253_402_300_799  # of 9999-12-31, in UTC: later moments are none that Python has


@dataclass(frozen=True)
class Cells:
    """A column of values, null where there is none.

    Attributes:
        problems: mask (Boolean, as long as the values) and reason, in the order in which they count.
    """

    values: pl.Series
    problems: list[tuple[pl.Series, str]]


def read_cells(column: Column, raw: pl.Series, options: TableOptions, clock: Clock) -> Cells:
    """The values of one column.

    Args:
        column: what should be there.
        raw: what is there; String from CSV, any type from Parquet and SQL.
    """
    readers: dict[Kind, Callable[[], Cells]] = {
        Kind.ID: lambda: _ids(column, raw, options),
        Kind.TEXT: lambda: _texts(column, raw),
        Kind.NUMBER: lambda: _numbers(column, raw, options),
        Kind.COUNT: lambda: _counts(column, raw, options),
        Kind.TIME: lambda: _times(column, raw, options, clock),
        Kind.ID_LIST: lambda: _id_lists(column, raw, options),
    }
    cells = readers[column.kind]()
    if column.is_required:
        empty = trimmed_text(raw).is_null() if column.kind is not Kind.ID_LIST else cells.values.is_null()
        cells.problems.insert(0, (empty, f"{column.name}: empty"))
    return cells


def plain_text(raw: pl.Series) -> pl.Series:
    """Any column as text; a whole number that came as a float has no '.0'."""
    kind = raw.dtype
    if kind.is_float():
        whole = pl.col("x").is_finite() & (pl.col("x") == pl.col("x").floor()) & (pl.col("x").abs() < 2**53)
        text = pl.when(whole).then(pl.col("x").cast(pl.Int64, strict=False).cast(pl.String))
        return (
            raw.alias("x").to_frame().select(text.otherwise(pl.col("x").fill_nan(None).cast(pl.String)))["x"]
        )
    if kind.is_decimal():
        return raw.cast(pl.String).str.replace(r"\.0+$", "")
    if kind.is_nested():
        return raw.alias("x").to_frame().select(pl.struct("x").struct.json_encode())["x"]
    if kind == pl.Binary:
        texts = [None if value is None else value.decode(errors="backslashreplace") for value in raw]
        return pl.Series(raw.name, texts, dtype=pl.String)
    return raw.cast(pl.String, strict=False)


def trimmed_text(raw: pl.Series) -> pl.Series:
    """Text without the blanks around it, those that no line breaks at too; null where nothing is left."""
    text = plain_text(raw).str.strip_chars()
    return text.set(text == "", None) if text.len() else text


def _texts(column: Column, raw: pl.Series) -> Cells:
    """Text for people: control characters become spaces."""
    text = trimmed_text(raw)
    too_long = text.str.len_bytes() > MAX_TEXT_BYTES
    text = text.str.replace_all(CONTROL, " ") if text.str.contains(CONTROL).any() else text
    return Cells(text, [(too_long, f"{column.name}: over {MAX_TEXT_BYTES:,} bytes")])


def _ids(column: Column, raw: pl.Series, options: TableOptions) -> Cells:
    text = trimmed_text(raw)
    lost = _has_lost_digits(raw, text)
    if options.id_cleanup:
        text = text.str.replace(r"^(-?[0-9]+)\.0+$", "${1}")
    return Cells(
        text,
        [
            (lost, f"{column.name}: a number that lost digits"),
            (text.str.len_bytes() > MAX_ID_BYTES, f"{column.name}: over {MAX_ID_BYTES} bytes"),
            (text.str.contains(CONTROL), f"{column.name}: control characters"),
        ],
    )


def _has_lost_digits(raw: pl.Series, text: pl.Series) -> pl.Series:
    """Whether what was another id once may have become this one: no two such ids can be told apart."""
    if raw.dtype.is_float():
        return raw.abs() >= (2**24 if raw.dtype == pl.Float32 else 2**53)
    return text.str.contains(LOST_DIGITS)


def _numbers(column: Column, raw: pl.Series, options: TableOptions) -> Cells:
    """Float32; NaN and infinity are no numbers here."""
    text = trimmed_text(raw)
    if raw.dtype.is_numeric():
        values, filled = raw.cast(pl.Float32, strict=False), raw.is_not_null()
    else:
        filled = text.is_not_null()
        text = _without(f"[{GAPS}]", BY_GAPS, text)
        if options.decimal_comma:
            misread = text.str.contains(".", literal=True) & ~text.str.contains(GROUPED)  # 12.50 is not 1250
            text = text.set(misread.fill_null(False), None)
            text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        else:
            text = _without(",", BY_COMMAS, text)
        values = text.cast(pl.Float64, strict=False).cast(pl.Float32)
    wrong = filled & (values.is_null() | ~values.is_finite().fill_null(False))
    problems = [(wrong, f"{column.name}: not a number")]
    if column.least is Least.ABOVE_ZERO:
        problems.append((values <= 0, f"{column.name}: zero or negative"))
    if column.least is Least.ZERO:
        problems.append((values < 0, f"{column.name}: negative"))
    return Cells(values, problems)


def _without(sign: str, form: str, text: pl.Series) -> pl.Series:
    """Without the signs that part thousands, where text has that form."""
    is_parted = text.str.contains(form).fill_null(False)
    return text.zip_with(~is_parted, text.str.replace_all(sign, "")) if is_parted.any() else text


def _counts(column: Column, raw: pl.Series, options: TableOptions) -> Cells:
    """Int32; what is below zero, such as an oversold stock, is 0."""
    numbers = _numbers(column, raw, options)
    broken = numbers.values != numbers.values.floor()
    clipped = numbers.values.cast(pl.Float64).clip(0, MAX_INT32).cast(pl.Int32, strict=False)
    return Cells(clipped, [*numbers.problems, (broken, f"{column.name}: not a whole number")])


def _id_lists(column: Column, raw: pl.Series, options: TableOptions) -> Cells:
    """List(String) of ids; from text, they are joined by semicolons."""
    lists = raw if isinstance(raw.dtype, pl.List) else plain_text(raw).str.split(";")
    flat = pl.DataFrame({"row": pl.int_range(lists.len(), eager=True), "id": lists.rename("id")}).explode(
        "id"
    )
    cells = _ids(column, flat["id"], options)
    bad = [(pl.Series(flat["row"].filter(mask)), reason) for mask, reason in cells.problems]
    kept = flat.with_columns(id=cells.values).drop_nulls("id").group_by("row", maintain_order=True).agg("id")
    rows = pl.DataFrame({"row": pl.int_range(lists.len(), eager=True)})
    values = rows.join(kept, on="row", how="left", maintain_order="left")["id"].cast(pl.List(pl.String))
    return Cells(values, [(rows["row"].is_in(wrong.implode()), reason) for wrong, reason in bad])


def _times(column: Column, raw: pl.Series, options: TableOptions, clock: Clock) -> Cells:
    """Int64, Unix seconds, cut off to whole ones. Of an hour that the clocks show twice, the first."""
    if raw.dtype == pl.Date or isinstance(raw.dtype, pl.Datetime):
        given = readable = raw.is_not_null()
        utc = from_typed(raw, clock.timezone, is_end=column.is_end)
    else:
        text = trimmed_text(raw)
        given = text.is_not_null()
        utc, readable = from_text(text, options.date_format, clock.timezone, is_end=column.is_end)
    values = (utc.dt.epoch("us") // 1_000_000).clip(upper_bound=LAST_S)
    problems = [
        (given & ~readable, f"{column.name}{NO_TIME}"),
        (given & readable & utc.is_null(), f"{column.name}: no such local time in {clock.timezone}"),
        (values < 0, f"{column.name}: before 1970"),
    ]
    if column.is_past:
        problems.append((values > clock.now_s, f"{column.name}: time in the future"))
    return Cells(values, problems)
