"""Turns lines of JSON into a Parquet file, a part at a time, so that memory doesn't grow with the file."""

from pathlib import Path

import polars as pl

KINDS: dict[str, type[pl.DataType]] = {"text": pl.String, "whole": pl.Int32, "number": pl.Float64}


def write_parquet(lines: Path, out: Path, columns: dict[str, str]) -> None:
    """Write what a file of JSON lines holds.

    Args:
        columns: of each the kind: text, whole or number.
    Raises:
        OSError: it can't be written.
    """
    schema = {name: KINDS[kind] for name, kind in columns.items()}
    if lines.stat().st_size == 0:
        pl.DataFrame(schema=schema).write_parquet(out)
        return
    try:
        pl.scan_ndjson(lines, schema=schema).sink_parquet(out)
    except pl.exceptions.ComputeError as err:  # polars' word for a full disk, too
        raise OSError(f"{out} can't be written: {err}") from err
