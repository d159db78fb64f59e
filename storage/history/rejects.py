"""The reject file: every line that was refused, with its reason, so that nothing vanishes."""

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from storage.files.safe_cell import safe_cell

HEADER = ("table", "file", "line", "reason", "row")


class RejectFile:
    """A CSV with HEADER, written as the history is read. `row` is the line's raw values as JSON.

    Args:
        path: None: it is kept nowhere.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = (path or Path(os.devnull)).open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(HEADER)

    def add(self, table: str, file: str, rejected: pl.DataFrame) -> None:
        """Write lines.

        Args:
            rejected: columns line, reason, row.
        """
        for line, reason, row in rejected.iter_rows():
            self._writer.writerow([safe_cell(str(cell)) for cell in (table, file, line, reason, row)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
