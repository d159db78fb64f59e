"""A shop's days by its own clock: when they begin, and which of its times are dates alone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl


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
