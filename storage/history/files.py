"""Which files hold a table, and their content in batches."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from models.errors import BadHistoryError
from storage.history.clean import LINE
from storage.history.contract import Table
from storage.history.csv_files import BATCH_LINES

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET_ENDINGS = (".parquet", ".pq")


def find_files(data: Path, table: Table, path: str | None) -> list[Path]:
    """The files of a table, sorted; none for an optional table that isn't there.

    Args:
        data: the shop's folder.
        path: a file, folder or glob below it; None: the usual names.
    Raises:
        BadHistoryError: a required or configured table isn't there, or it's there twice.
    """
    if not data.is_dir():
        what = (
            "is a file: give its folder and set path in [history.purchases]"
            if data.is_file()
            else "no such folder"
        )
        raise BadHistoryError(str(data), what)
    if path is not None:
        there = data / path
        files = _files_below(there) if there.is_dir() else sorted(f for f in data.glob(path) if f.is_file())
        if not files:
            raise BadHistoryError(str(data), f"no file {path}, as [history.{table.name}] says")
        for file in files:
            if not _is_readable(file):
                raise BadHistoryError(
                    file.name, "is neither CSV, CSV.gz nor Parquet by its ending: export it as one"
                )
        return files
    single = [
        f
        for f in sorted(data.glob(f"{table.name}.*"))
        if _is_readable(f) and f.stem.split(".")[0] == table.name
    ]
    many = [f for f in sorted(data.glob(f"{table.name}-*")) if _is_readable(f)]
    ways = [way for way in (*([f] for f in single), _files_below(data / table.name), many) if way]
    if len(ways) > 1:
        names = " and ".join(way[0].relative_to(data).as_posix() for way in ways)
        raise BadHistoryError(
            str(data), f"{table.name} is there twice, {names}: set path in [history.{table.name}]"
        )
    if not ways and table.is_required:
        others = ", ".join(sorted(f.name for f in data.glob(f"{table.name}.*")))
        seen = f" ({others} is neither)" if others else ""
        raise BadHistoryError(
            str(data), f"no {table.name}.csv, .csv.gz or .parquet{seen}: set path in [history.{table.name}]"
        )
    return ways[0] if ways else []


def is_parquet(file: Path) -> bool:
    return file.name.lower().endswith(PARQUET_ENDINGS)


def parquet_batches(path: Path, file: str) -> Iterator[pl.DataFrame]:
    """Batches of a Parquet file with all its columns, and LINE, the number of the row from 1.

    Raises:
        BadHistoryError: it can't be read.
    """
    if not path.stat().st_size:
        raise BadHistoryError(file, "the file is empty")
    try:
        frame = pl.scan_parquet(path, row_index_name=LINE, row_index_offset=1, glob=False)
        empty = pl.DataFrame(schema=frame.collect_schema())
        batches = frame.collect_batches(chunk_size=BATCH_LINES, maintain_order=True, engine="streaming")
        yield empty
        yield from batches
    except pl.exceptions.DuplicateError as err:
        raise BadHistoryError(file, f"{err}: a name must be that of one column") from err
    except pl.exceptions.PolarsError as err:
        raise BadHistoryError(
            file, "not a readable Parquet file, cut off or damaged: export it again"
        ) from err


def _files_below(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if _is_readable(f)) if folder.is_dir() else []


def _is_readable(file: Path) -> bool:
    """By its name a data file; hidden files and marks such as _SUCCESS are none."""
    name = file.name.lower()
    return file.is_file() and name[0] not in "._" and name.endswith((*TEXT_ENDINGS, *PARQUET_ENDINGS))
