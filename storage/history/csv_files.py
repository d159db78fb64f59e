"""CSV files in batches of text columns: quickly where a file is sound, line by line where it is not."""

import codecs
import csv
import gzip
import json
import shutil
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from models.errors import BadHistoryError
from storage.history.clean import LINE, PROBLEM, RAW

BATCH_LINES = 250_000
MAX_LINES_OF_A_FIELD = 50
CHUNK_BYTES = 1 << 22
LIKELY_ENCODING = '"cp1252", or "cp1250" from Poland to Romania'
NO_CSV = {  # what a file begins with, and what it is then, whatever its name says
    b"PK\x03\x04": "this is a spreadsheet or a zip archive, not CSV: save it as CSV",
    b"\xd0\xcf\x11\xe0": "this is a spreadsheet, not CSV: save it as CSV",
    b"\x1f\x8b": "this is packed by gzip: call it .csv.gz",
    b"PAR1": "this is Parquet: call it .parquet",
}


class DamagedCsvError(Exception):
    """The quick reader can't tell all lines of this file apart; never leaves the storage room."""


def encoding_of(path: Path, said: str) -> str:
    """UTF-8 where the file begins with its byte order mark, else what the shop said.

    A folder may hold exports of two systems; the mark is surer than a word that is said of both.
    """
    try:
        with gzip.open(path) if _is_packed(path) else path.open("rb") as source:
            return "utf-8" if source.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else said
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return said  # whoever reads it on says what is wrong with it


@contextmanager
def plain_utf8(path: Path, file: str, encoding: str) -> Iterator[Path]:
    """The file itself where it is plain UTF-8, else a temporary copy that is, gone afterwards.

    Args:
        file: the path's name for messages.

    Bytes that aren't of the encoding stay as they are, which isn't UTF-8 either: their lines are rejected.

    Raises:
        BadHistoryError: the file is empty or no CSV, its compression or encoding breaks off, or its lines
            don't end.
    """
    if not path.stat().st_size:
        raise BadHistoryError(file, "the file is empty, without even a header line")
    is_packed = _is_packed(path)
    if not is_packed:
        _check_kind(path, file)
    if not is_packed and encoding == "utf-8":
        _check_line_ends(path, file)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
        copy = Path(folder) / "plain.csv"
        try:
            with gzip.open(path) if is_packed else path.open("rb") as source, copy.open("wb") as target:
                _copy(source, target, encoding)  # type: ignore[arg-type]  # GzipFile is not an IO by name
        except (EOFError, gzip.BadGzipFile, zlib.error) as err:
            raise BadHistoryError(file, f"damaged gzip file ({err}): export or copy it again") from err
        except UnicodeError as err:
            raise BadHistoryError(file, f"not {encoding} ({err}): set encoding in [history]") from err
        if not copy.stat().st_size:
            raise BadHistoryError(file, "the file is empty, without even a header line")
        _check_line_ends(copy, file)
        yield copy


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _check_kind(path: Path, file: str) -> None:
    with path.open("rb") as source:
        begin = source.read(max(map(len, NO_CSV)))
    for mark, what in NO_CSV.items():
        if begin.startswith(mark):
            raise BadHistoryError(file, what)


def _check_line_ends(path: Path, file: str) -> None:
    """Refuse a file whose lines end in CR alone: it would be one header line and nothing else."""
    with path.open("rb") as source:
        header = source.readline(CHUNK_BYTES)
    if b"\0" not in header and _has_bare_cr(header):  # with NUL it is UTF-16
        raise BadHistoryError(file, "its lines end in CR alone: export it again with LF or CRLF as line end")


def _has_bare_cr(line: bytes) -> bool:
    return any(b"\r" in part for part in line.rstrip(b"\r\n").split(b'"')[::2])  # outside of quotes


def _copy(source: IO[bytes], target: IO[bytes], encoding: str) -> None:
    if encoding == "utf-8":
        shutil.copyfileobj(source, target, CHUNK_BYTES)
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
    while chunk := source.read(CHUNK_BYTES):
        target.write(decoder.decode(chunk).encode("utf-8", "surrogateescape"))
    target.write(decoder.decode(b"", final=True).encode("utf-8", "surrogateescape"))


def names_of(path: Path, separator: str) -> list[str]:
    """The names of the columns as they stand in the first line that isn't blank; none if it can't be read."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return next((names for names in csv.reader(file, delimiter=separator) if any(names)), [])
        except csv.Error:
            return []


def quick_batches(path: Path, separator: str) -> Iterator[pl.DataFrame]:
    """Batches of a sound file: all columns String, and LINE, the number of the record with the header as 1.

    Raises:
        DamagedCsvError: at the latest after the last batch; forget all batches and read the file carefully.
    """
    frame = pl.scan_csv(
        path,
        separator=separator,
        infer_schema=False,
        empty_string_is_null=False,
        row_index_name=LINE,
        row_index_offset=2,
        glob=False,
    )
    try:
        names = [name for name in frame.collect_schema().names() if name != LINE]
        if any("\ufffd" in name for name in names):  # what polars makes of bytes that aren't UTF-8
            raise DamagedCsvError
        yield pl.DataFrame(schema=frame.collect_schema())  # so that the columns of an empty file are checked
        ends_empty = False
        for batch in frame.collect_batches(chunk_size=BATCH_LINES, maintain_order=True, engine="streaming"):
            ends_empty |= bool((batch[names[-1]] == "").any())
            is_blank = pl.all_horizontal(pl.col(name) == "" for name in names)
            yield batch.filter(~is_blank)
    except (pl.exceptions.ComputeError, pl.exceptions.NoDataError) as err:
        raise DamagedCsvError from err
    if (ends_empty or _has_quotes(path)) and not _is_sound(path, separator, len(names)):
        raise DamagedCsvError


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in chunk for chunk in _chunks(file))


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Read and not mapped: a mapped file that is cut off meanwhile kills the process."""
    return iter(lambda: file.read(CHUNK_BYTES), b"")


def _is_sound(path: Path, separator: str, width: int) -> bool:
    """Whether no line is short and no quote out of place: the two faults that polars passes over.

    It fills a short line up with empty cells, and a stray quote may join two lines.
    """
    may_open, may_close = np.zeros((2, 256), np.bool_)  # by the byte before a quote, and by the one after
    may_open[list(f'"\n{separator}'.encode())] = True
    may_close[list(f'"\r\n{separator}'.encode())] = True
    in_quotes, carried = False, np.zeros(2, np.int64)  # separators and characters of the record so far
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        before = b"\n"
        for chunk, after in pairwise(chain(_chunks(file), [b"\n"])):
            window = np.frombuffer(before + chunk + after[:1], np.uint8)
            before = chunk[-1:]
            data = window[1:-1]
            is_quote = data == ord('"')
            quoted = np.bitwise_xor.accumulate(is_quote) ^ in_quotes
            in_quotes = bool(quoted[-1])
            follows, goes_on = may_open[window[:-2]], may_close[window[2:]]
            if (is_quote & ~np.where(quoted, follows, goes_on)).any():
                return False
            is_end = (data == ord("\n")) & ~quoted
            is_separator = (data == ord(separator)) & ~quoted
            is_text = (data != ord("\n")) & (data != ord("\r"))
            seen = np.cumsum([is_separator, is_text], axis=1) + carried[:, None]
            at_ends = seen[:, is_end]
            separators, characters = np.diff(at_ends, axis=1, prepend=0)
            if ((separators + 1 < width) & (characters > 0)).any():
                return False
            carried = seen[:, -1] - (at_ends[:, -1] if at_ends.size else 0)
    return not in_quotes and not (carried[1] > 0 and carried[0] + 1 < width)


def careful_batches(path: Path, file: str, encoding: str, separator: str) -> Iterator[pl.DataFrame]:
    """Batches as `quick_batches` gives them, with PROBLEM and RAW for the lines that can't be told apart.

    Args:
        file, encoding: the shop's own, for messages; `path` is UTF-8 wherever the encoding was right.
    Raises:
        BadHistoryError: the header can't be read.
    """
    with path.open("rb") as source:
        lines = _Lines(source)
        header = _header(lines, file, encoding, separator)
        rows: list[list[str | None]] = []
        for number, (fields, problem, raw) in enumerate(_records(lines, separator, len(header), encoding), 2):
            if fields is not None and not any(fields):
                continue
            padded = fields if fields is not None else [None] * len(header)
            rows.append([str(number), problem, raw, *padded])
            if len(rows) == BATCH_LINES // 5:
                yield _batch(rows, header)
                rows = []
        yield _batch(rows, header)


def _header(lines: "_Lines", file: str, encoding: str, separator: str) -> list[str]:
    raw = next((line for line in lines if line.strip()), b"").removeprefix(codecs.BOM_UTF8)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadHistoryError(file, 'this is UTF-16: set encoding = "utf-16" in [history]')
    try:
        names = _fields(raw.decode(), separator)
    except UnicodeDecodeError as err:
        hint = f"the header is not {encoding}: set encoding in [history], such as {LIKELY_ENCODING}"
        raise BadHistoryError(file, hint) from err
    if not names:
        raise BadHistoryError(file, "no header line that can be read: is it a CSV file?")
    unique: list[str] = []
    for name in names:
        unique.append(name if name not in unique else f"{name} ({len(unique) + 1})")
    return unique


def _records(
    lines: "_Lines", separator: str, width: int, encoding: str
) -> Iterator[tuple[list[str] | None, str | None, str | None]]:
    """Fields of each record, none or all empty if it is blank; or None, the reason, its text as JSON."""
    for raw in lines:
        try:
            text = raw.decode()
            fields = _fields(text, separator)
            if fields is None:
                fields = _joined(lines, text, separator, width)
            problem = _damage(raw, text)
        except UnicodeDecodeError:
            fields, problem = None, f"line: bytes that are not {encoding}"
            text = raw.decode(errors="backslashreplace")
        if fields is not None and len(fields) != width and any(fields):
            problem = f"line: {'fewer' if len(fields) < width else 'more'} fields than the header"
            fields = None
        if fields is None:
            yield None, problem, json.dumps(text.rstrip("\r\n"), ensure_ascii=False)
        else:
            yield fields, None, None


def _damage(raw: bytes, text: str) -> str:
    """Why no fields were found in a line, if none were."""
    if _has_bare_cr(raw):
        return "line: a line end of CR alone"
    if len(text) > csv.field_size_limit():
        return f"line: a cell over {csv.field_size_limit():,} characters"
    return "line: a quote is not closed"


def _joined(lines: "_Lines", text: str, separator: str, width: int) -> list[str] | None:
    """The record that begins in this line and ends in a later one; None (and they stay) if there is none."""
    taken: list[bytes] = []
    try:
        for raw in lines:
            taken.append(raw)
            text += raw.decode()
            fields = _fields(text, separator)
            if fields is not None and len(fields) == width:
                return fields
            if fields is not None or len(taken) == MAX_LINES_OF_A_FIELD:
                break
    except UnicodeDecodeError:
        pass
    lines.give_back(taken)
    return None


def _fields(text: str, separator: str) -> list[str] | None:
    """The fields of exactly one record; None if it isn't one, such as with an open quote."""
    try:
        return next(csv.reader([text.rstrip("\r\n")], delimiter=separator, strict=True), [])
    except csv.Error:
        return None


def _batch(rows: list[list[str | None]], header: list[str]) -> pl.DataFrame:
    schema = dict.fromkeys((LINE, PROBLEM, RAW, *header), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col(LINE).cast(pl.Int64))


class _Lines:
    """Lines of a file, some of which may be given back."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._waiting: deque[bytes] = deque()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> bytes:
        return self._waiting.popleft() if self._waiting else next(self._file)

    def give_back(self, lines: list[bytes]) -> None:
        self._waiting.extendleft(reversed(lines))
