"""Which date_format times that couldn't be read may have: that by which most of them are of likely years."""

import json
from itertools import product

import polars as pl

from models.arrays import DAY_S
from storage.history.times import NO_TIME, from_text

SOME = 200  # cells that are tried, of each file or batch
MOST = 0.9  # of them, as some may be words
SINCE_S = 631_152_000  # 1990: what a number of days, or of a day, is as seconds since 1970 lies before
DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")
DAYS_OF_SHORT_YEARS = ("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y")
DAYS_BY_NAME = ("%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d-%b-%y")
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z", ", %H:%M")
FORMATS = ("%s", *("".join(both) for both in product(DAYS + DAYS_OF_SHORT_YEARS + DAYS_BY_NAME, TIMES)))


def some_without_time(rejected: pl.DataFrame) -> pl.DataFrame:
    """Some of the rejected lines whose time wasn't read, from all over: the first may be of one month."""
    lines = rejected.filter(pl.col("reason").str.ends_with(NO_TIME))
    return lines.gather_every(max(1, lines.height // SOME)).head(SOME)


def told_formats(lines: pl.DataFrame, reason: str, columns: dict[str, str], now_s: int) -> str:
    """A sentence, after a blank, on lines rejected for this reason; empty where no format is likely.

    Args:
        lines: columns reason and row, the raw cells as JSON.
        columns: of the shop, by ours.
        now_s: Unix seconds, at which the history ends.
    """
    ours = reason.removesuffix(NO_TIME)
    rows = (json.loads(row) for row in lines.filter(pl.col("reason") == reason)["row"])
    cells = [row.get(columns.get(ours, ours)) for row in rows]
    likely = likely_formats(pl.Series(cells, dtype=pl.String).str.strip_chars().drop_nulls(), now_s)
    return f" They are read by {' as well as by '.join(f'"{form}"' for form in likely)}" if likely else ""


def likely_formats(texts: pl.Series, now_s: int) -> list[str]:
    """The formats that read most of these texts; several where they read as many, such as %d/%m and %m/%d."""
    read = {form: _number_read(texts, form, now_s) for form in FORMATS}
    most = max(read.values())
    return [form for form, n in read.items() if n == most] if most and most >= MOST * texts.len() else []


def _number_read(texts: pl.Series, form: str, now_s: int) -> int:
    seconds = from_text(texts, form, "UTC")[0].dt.epoch("s")
    return int(seconds.is_between(SINCE_S, now_s + DAY_S).sum())
