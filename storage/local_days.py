"""A shop's days by its own clock: when they begin, which of its times are dates, and when those count."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

NOON_S = 43_200
CLOCKS_S = 7200  # that clocks change by at most


def midnight_s(day: date, timezone: str) -> int:
    """The moment at which `day` begins in the shop's timezone, Unix seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp())


def local_day(at_s: int, timezone: str) -> date:
    """The shop's date at a moment."""
    return datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(timezone)).date()


def ends_s(day: date, timezone: str) -> int:
    """The last second of `day`."""
    return midnight_s(day + timedelta(days=1), timezone) - 1


def are_dates(at_s: pl.Series, timezone: str) -> pl.Series:
    """Which times are the first second of a day, as dates without a time are read; also where clocks skip
    midnight."""
    return local_days(at_s, timezone) != local_days(at_s - 1, timezone)


def local_days(at_s: pl.Series, timezone: str) -> pl.Series:
    """The shop's date at each moment, in Unix seconds."""
    return pl.from_epoch(at_s, "s").dt.replace_time_zone("UTC").dt.convert_time_zone(timezone).dt.date()


def placed(at_s: pl.Series, end_s: int, timezone: str) -> tuple[pl.Series, int]:
    """Times, and the end of what is known, as windows of whole days take them where times are dates.

    A window is so many times 24 hours, and days are an hour shorter or longer where clocks change: a date at
    its midnight would fall on either side of a border. So it counts as noon, and where all are dates, what is
    known ends when a day does. With dates among half of the times or fewer a midnight is a time.

    Args:
        at_s: Unix seconds, all before `end_s`; so are those that are returned.
    """
    dates = are_dates(at_s, timezone)
    if 2 * dates.sum() <= at_s.len():
        return at_s, end_s
    if dates.all():
        end_s = ends_s(local_day(end_s - 1, timezone), timezone) + 1
    return at_s.zip_with(~dates, (at_s + NOON_S).clip(upper_bound=end_s - 1)), end_s


def opening_day(at_s: int, timezone: str) -> date:
    """The first day of a window that begins then: a midnight may be missed by what clocks changed since."""
    return local_day(at_s + CLOCKS_S, timezone)
