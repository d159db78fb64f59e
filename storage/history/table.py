"""One table of the history: from its files or its query to clean lines, with every other line counted."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from models.errors import BadHistoryError
from storage.history.clean import DUPLICATE, ELSEWHERE, REPEATED, Cleaned, Cleaner
from storage.history.contract import Table
from storage.history.csv_files import (
    LIKELY_ENCODING,
    DamagedCsvError,
    careful_batches,
    encoding_of,
    names_of,
    plain_utf8,
    quick_batches,
)
from storage.history.files import find_files, is_parquet, parquet_batches
from storage.history.likely_formats import some_without_time, told_formats
from storage.history.options import HistoryOptions
from storage.history.rejects import RejectFile
from storage.history.sql import Database
from storage.history.times import NO_TIME


@dataclass(frozen=True)
class Counts:
    """What became of a table's lines: `read` = `kept` + all of `rejected` + all of `left_out`.

    Attributes:
        rejected, left_out: lines by reason, most first.
        unread: names of columns that nobody asked for, in the order in which they came.
        nearly_ours: such a name, and that of ours which is missing and differs in capitals, blanks and the
            like alone.
    """

    read: int
    kept: int
    rejected: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    nearly_ours: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ReadTable:
    """A table's clean lines in the order of its files, with the columns that are there."""

    lines: pl.DataFrame
    counts: Counts


def read_table(
    data: Path | Database, cleaner: Cleaner, options: HistoryOptions, rejects: RejectFile
) -> ReadTable | None:
    """All lines of a table; None if it is optional and not there.

    Raises:
        BadHistoryError: it can't be read, lacks a column, or has too many bad lines.
    """
    table = cleaner.table
    parts = (
        _database_parts(data, cleaner) if isinstance(data, Database) else _file_parts(data, cleaner, options)
    )
    kept: list[pl.DataFrame] = []
    rejected: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    unread: dict[str, None] = {}
    nearly_ours: dict[tuple[str, str], None] = {}
    no_times: list[pl.DataFrame] = []
    for file, part in parts:
        kept.append(part.kept)
        no_times.append(some_without_time(part.rejected))
        rejects.add(table.name, file, part.rejected)
        rejected.update(part.rejected["reason"].to_list())
        left_out.update(part.left_out.to_list())
        unread |= dict.fromkeys(part.unread)
        nearly_ours |= dict.fromkeys(_nearly_ours(table, [*part.kept.columns, *part.unread]))
    if not kept:
        return None
    lines = pl.concat(kept, how="diagonal")
    read = lines.height + rejected.total() + left_out.total()
    if table.key is not None:
        once = lines.unique(table.key, keep="last", maintain_order=True)
        elsewhere = _elsewhere(lines, once) if table.name == "products" else 0
        left_out[ELSEWHERE] += elsewhere
        left_out[REPEATED] += lines.height - once.height - elsewhere
        lines = once
    if table.name == "purchases" and options.drop_duplicates:
        once = lines.unique(keep="first", maintain_order=True)
        left_out[DUPLICATE] += lines.height - once.height
        lines = once
    counts = Counts(
        read,
        lines.height,
        dict(rejected.most_common()),
        dict((+left_out).most_common()),
        tuple(unread),
        tuple(nearly_ours),
    )
    _check_share(cleaner, counts, options, rejects.path, no_times)
    return ReadTable(lines, counts)


def _elsewhere(lines: pl.DataFrame, once: pl.DataFrame) -> int:
    """How many lines have a category, and the one that counts of their product another or none."""
    if "category" not in lines.columns or once.height == lines.height:
        return 0
    both = lines.join(once, on="product_id", suffix="_kept")
    is_other = pl.col("category").is_not_null() & pl.col("category").ne_missing(pl.col("category_kept"))
    return both.filter(is_other).height


def _file_parts(data: Path, cleaner: Cleaner, options: HistoryOptions) -> Iterator[tuple[str, Cleaned]]:
    for path in find_files(data, cleaner.table, cleaner.options.path):
        file = path.relative_to(data).as_posix()
        try:
            before = path.stat()
            if is_parquet(path):
                parts = [cleaner.clean(batch, file) for batch in parquet_batches(path, file)]
            else:
                said = cleaner.options.encoding or options.encoding
                parts = _csv_parts(path, file, cleaner, encoding_of(path, said))
            _check_rest(path, file, before)
        except OSError as err:
            raise BadHistoryError(file, f"can't be read: {err.strerror or err}") from err
        for part in parts:
            yield file, part


def _check_rest(path: Path, file: str, before: os.stat_result) -> None:
    """Refuse a file that grew or shrank meanwhile; one that replaced it has another number."""
    now = path.stat()
    if now.st_ino != before.st_ino or now.st_dev != before.st_dev:
        return
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        why = "it was written to while it was read: export to another name, and rename it when it is whole"
        raise BadHistoryError(file, why)


def _csv_parts(path: Path, file: str, cleaner: Cleaner, encoding: str) -> list[Cleaned]:
    separator = cleaner.options.separator
    with plain_utf8(path, file, encoding) as plain:
        cleaner.check_names(names_of(plain, separator), file)  # the readers rename what is there twice
        try:
            return [cleaner.clean(batch, file) for batch in quick_batches(plain, separator)]
        except DamagedCsvError:
            batches = careful_batches(plain, file, encoding, separator)
            return [cleaner.clean(batch, file) for batch in batches]


def _database_parts(data: Database, cleaner: Cleaner) -> Iterator[tuple[str, Cleaned]]:
    table, query = cleaner.table, cleaner.options.query
    if query is None and not data.has(table):
        if table.is_required:
            raise BadHistoryError(data.name, f"no table {table.name}: set query in [history.{table.name}]")
        return
    for batch in data.batches(table, query):
        yield table.name, cleaner.clean(batch, f"{data.name}, {table.name}")


def _nearly_ours(table: Table, there: list[str]) -> tuple[tuple[str, str], ...]:
    missing = {_plain(column.name): column.name for column in table.columns if column.name not in there}
    return tuple((name, missing[_plain(name)]) for name in there if _plain(name) in missing)


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _check_share(
    cleaner: Cleaner,
    counts: Counts,
    options: HistoryOptions,
    rejects: Path | None,
    no_times: list[pl.DataFrame],
) -> None:
    """Lines that were left out are no fault: the share is of all others."""
    table = cleaner.table
    bad = sum(counts.rejected.values())
    seen = counts.read - sum(counts.left_out.values())
    if bad <= options.max_reject_share * seen:
        return
    reasons = ", ".join(f"{reason}: {n:,}" for reason, n in counts.rejected.items())
    where = "" if rejects is None else f". Each stands in {rejects}"
    hint = _hint(table, counts, options)
    reason = next(iter(counts.rejected))
    if reason.endswith(NO_TIME):
        told = told_formats(pl.concat(no_times), reason, cleaner.options.columns, cleaner.clock.now_s)
        hint += told if hint.endswith("?") or not told else f".{told}"
    raise BadHistoryError(
        table.name,
        f"{bad:,} of {seen:,} lines rejected ({reasons}), more than"
        f" max_reject_share = {options.max_reject_share:g} in [history]{where}{hint}",
    )


def _hint(table: Table, counts: Counts, options: HistoryOptions) -> str:
    """What to change, by the most frequent reason."""
    reason = next(iter(counts.rejected))
    hints = {
        NO_TIME: f"; set date_format in [history.{table.name}]"
        if options.table(table.name).date_format is None
        else f"; is date_format in [history.{table.name}] right, day and month too?",
        ": time in the future": "; are timezone in [history] and this machine's clock right?",
        ": before 1970": f"; is date_format in [history.{table.name}] right? %y is a year of two digits",
        "line: a quote is not closed": "; quotes within a cell are doubled, not marked by a backslash",
        "quantity: zero or negative": "; of a shop whose returns are such lines, allow more, or let query or"
        " cancellation leave them out",
        "customer_id: empty": "; skip_anonymous in [history.purchases] leaves such lines out",
        "line: bytes that are not": f"; set encoding in [history] or [history.{table.name}], such as"
        f" {LIKELY_ENCODING}",
        ": not a number": "; numbers are written as 1234.50, without words and signs of a currency, or"
        f" as 1.234,50 with decimal_comma in [history.{table.name}]",
        "line: more fields": "; a cell with a separator is quoted, and where lines end in one, so does the"
        " header",
        ": a number that lost digits": "; export ids as text, not as numbers",
    }
    return next((hint for part, hint in hints.items() if part in reason), "")
