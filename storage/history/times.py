"""Times as a shop writes them, read as moments: formats, offsets, hours that clocks skip or show twice."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

ISO_LOCAL = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
ISO_OFFSET = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
)
TIME_OF_DAY = ("%H", "%I", "%k", "%l", "%T", "%R", "%r", "%X", "%c", "%s", "%+")
PADDING = re.compile("%[-_0]")  # as in "%-H"
DIRECTIVE = re.compile("%[-_0.:#]*[0-9]*[A-Za-z+%]")
SAYS_UTC = re.compile(r"(?<![a-z])(?:z|utc|gmt)\W*$", re.IGNORECASE)  # of what a format says literally
SAYS_OFFSET = re.compile(r"[+-][0-9]{2}:?[0-9]{2}\W*$")
NO_TIME = ": not a time"  # how a reason ends, after the name of the column
FINER = r"^([0-9]{10}|[0-9]{12})(?:[0-9]{3}|[0-9]{6})$"  # milli- or microseconds of 2001 to 2286, or of 9999
LAST_DAY = datetime(9999, 12, 31)


@dataclass(frozen=True)
class Clock:
    """What a time is read against.

    Attributes:
        timezone: IANA name; times without an offset are local there.
        now_s: Unix seconds; what must be past may not be later.
    """

    timezone: str
    now_s: int


def from_typed(times: pl.Series, zone: str, *, is_end: bool = False) -> pl.Series:
    """Moments (Datetime us, UTC) from a Date or Datetime column; null where the local time is skipped.

    Args:
        is_end: a date alone is the moment after that day.
    """
    if times.dtype == pl.Date:
        days = times.cast(pl.Datetime("us"))
        return _to_utc(_next_day(days) if is_end else days, zone)
    return _to_utc(times.dt.cast_time_unit("us"), zone)


def from_text(
    text: pl.Series, date_format: str | None, zone: str, *, is_end: bool = False
) -> tuple[pl.Series, pl.Series]:
    """Moments (Datetime us, UTC), and a mask of what could be read. Formats are tried on what is left.

    Args:
        is_end: as of `from_typed`.
    """
    utc = pl.Series([None], dtype=pl.Datetime("us", "UTC")).new_from_index(0, text.len())
    readable = text.is_null() & text.is_not_null()
    for form in (date_format,) if date_format else (*ISO_LOCAL, *ISO_OFFSET):
        left = text if not readable.any() else text.set(readable, None)
        if left.null_count() == left.len():
            break
        read = _by_format(left, form)
        found = read.is_not_null()
        if found.any():
            readable |= found
            plain = PADDING.sub("%", form)
            if is_end and not any(sign in plain for sign in TIME_OF_DAY):
                read = _next_day(read)
            utc = _to_utc(read, zone).zip_with(found, utc)
    return utc, readable


def _next_day(days: pl.Series) -> pl.Series:
    """The last day that a calendar of ours has stays: it stands for no end."""
    return days.dt.offset_by("1d").zip_with(days < LAST_DAY, days)


def _by_format(text: pl.Series, form: str) -> pl.Series:
    """Local times, or UTC times where the format has an offset, says UTC itself, or counts seconds."""
    has_offset = any(sign in form for sign in ("%z", "%:z", "%#z", "%s", "%+")) or _says_utc(form)
    if form == "%s":
        text = text.str.replace(FINER, "${1}")
    return text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC" if has_offset else None)


def _says_utc(form: str) -> bool:
    return SAYS_UTC.search(DIRECTIVE.sub("\0", form)) is not None


def passes_over_zone(form: str) -> bool:
    """Whether times by this format tell an offset or a zone, which would be taken for mere letters."""
    literal = DIRECTIVE.sub("\0", form)
    return "%Z" in form.replace("%%", "") or SAYS_OFFSET.search(literal) is not None


def _to_utc(times: pl.Series, zone: str) -> pl.Series:
    """Null where the clocks skip the local time; but a skipped midnight is the day's first instant."""
    if isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone:
        return times.dt.convert_time_zone("UTC")
    utc = _localised(times, zone)
    if utc.null_count() > times.null_count():
        is_midnight = times.dt.truncate("1d") == times
        later = _localised(times.dt.offset_by("1h").set(~is_midnight, None), zone)
        utc = utc.zip_with(utc.is_not_null(), later)
    return utc


def _localised(times: pl.Series, zone: str) -> pl.Series:
    local = times.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def is_date_format(form: str) -> bool:
    """Whether times can be written by this format and read again to the same day."""
    moment = pl.Series([datetime(2017, 12, 31, 22, 30, tzinfo=UTC)])
    try:
        read = _by_format(moment.dt.to_string(form), form)
    except pl.exceptions.PolarsError:
        return False
    return bool((read.dt.date() == moment.dt.date()).all() and read.null_count() == 0)
