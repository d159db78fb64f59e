"""A campaign's file: JSON lines as the route answers, or a line for each product as CSV or Parquet."""

import csv
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from models.errors import NextbestError
from storage.files.safe_cell import safe_cell
from storage.files.written_aside import written_aside

COLUMNS = {
    "customer_id": "text",
    "rank": "whole",
    "product_id": "text",
    "title": "text",
    "probability": "number",
    "expected_value": "number",
    "reason_code": "text",
    "reason_text": "text",
    "due_on": "text",
    "source": "text",
    "version": "text",
    "variant": "text",
    "request_id": "text",
    "offer_id": "text",
    "discount": "number",
    "offer_ends_at": "text",
    "promised_until": "text",
}


class BadOutError(NextbestError):
    """A file can't be written as it is asked for."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"--out {path}: {why}")


def write_lists(out: Path, answers: Iterable[str], before_it_is_there: Callable[[], Collection[str]]) -> None:
    """Write answers of `/recommend` to a file by its suffix, one of WRITERS. Only its owner may read it.

    Args:
        before_it_is_there: called when all is written, before the file gets its name; it says which
            customers are to be taken out again.
    Raises:
        BadOutError: the file can't be written. What stood there before stands there still.
    """
    try:
        with written_aside(out) as part:
            _private(part).close()
            WRITERS[out.suffix](part, answers, before_it_is_there)
    except OSError as err:
        raise BadOutError(out, f"can't be written: {err.strerror or err}") from err


def _json_lines(part: Path, answers: Iterable[str], at_end: Callable[[], Collection[str]]) -> None:
    with part.open("w", encoding="utf-8") as file:
        file.writelines(f"{answer}\n" for answer in answers)
    _take_out(part, at_end())


def _csv(part: Path, answers: Iterable[str], at_end: Callable[[], Collection[str]]) -> None:
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for answer in answers:
            writer.writerows([cell_of(value) for value in row.values()] for row in rows_of(answer))
    gone = {cell_of(customer_id) for customer_id in at_end()}
    if gone:
        with _made_anew(part) as (before, file):
            csv.writer(file, lineterminator="\n").writerows(
                row for row in csv.reader(before) if row[0] not in gone
            )


def _parquet(part: Path, answers: Iterable[str], at_end: Callable[[], Collection[str]]) -> None:
    lines = part.with_suffix(".lines")
    with _private(lines) as file:
        for answer in answers:
            file.writelines(f"{json.dumps(row)}\n" for row in rows_of(answer))
    _take_out(lines, at_end())
    # By its name: the day never imports polars, and a worker never comes here.
    import_module("storage.files.parquet_rows").write_parquet(lines, part, COLUMNS)


def _take_out(lines: Path, gone: Collection[str]) -> None:
    """Take the lines of these customers out of a file of JSON lines."""
    if gone:
        with _made_anew(lines) as (before, file):
            file.writelines(line for line in before if json.loads(line)["customer_id"] not in gone)


@contextmanager
def _made_anew(part: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """A file to read, and the one that takes its place when the block ends."""
    anew = part.with_suffix(".anew")
    with part.open(encoding="utf-8", newline="") as before, _private(anew) as file:
        yield before, file
    anew.replace(part)


def _private(path: Path) -> TextIO:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    return os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8", newline="")


def cell_of(value: object) -> str:
    """A cell: no text is a formula; a number stays one, also below 0, since spreadsheets add up columns."""
    if value is None:
        return ""
    return safe_cell(value) if isinstance(value, str) else str(value)


def rows_of(answer: str) -> list[dict[str, Any]]:
    """A row for each product of an answer, with COLUMNS."""
    content = json.loads(answer)
    of_all = {name: content[name] for name in ("customer_id", "source", "version", "variant", "request_id")}
    rows = []
    for item in content["recommendations"]:
        reason = item["reason"]
        added = {"reason_code": reason["code"], "reason_text": reason["text"], "due_on": reason.get("due_on")}
        offer = item["offer"] or {}
        added |= {"offer_id": offer.get("offer_id"), "discount": offer.get("discount")}
        added |= {"offer_ends_at": offer.get("ends_at"), "promised_until": offer.get("promised_until")}
        row = of_all | item | added
        rows.append({name: row[name] for name in COLUMNS})
    return rows


type Writer = Callable[[Path, Iterable[str], Callable[[], Collection[str]]], None]

WRITERS: dict[str, Writer] = {
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}
