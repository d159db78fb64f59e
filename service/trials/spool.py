"""Exposures on the worker's own disk while the record can't be reached: lines of JSON, bounded."""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, BinaryIO

import structlog

from storage.files.whole_lines import appending
from storage.record.exposures import Exposure
from storage.record.folder import private_file

MOST_BYTES = 64 * 1024 * 1024
log = structlog.get_logger()


class Spool:
    """One worker's file. What another worker that ended has left is taken over at the start.

    Args:
        folder: that outlives the process, such as the record's.
        name: of this worker: its machine and process id.
    """

    def __init__(self, folder: Path, name: str, *, most_bytes: int = MOST_BYTES) -> None:
        self._file, self._most_bytes = folder / f"exposures-{name}.jsonl", most_bytes
        self._done_bytes = self._read_bytes = 0
        self._turn = threading.Lock()  # a process that ends adds while its background may still read

    def take_over(self, others: list[Path]) -> None:
        """Add what these files hold, and delete them."""
        for other in others:
            try:
                lines = other.read_bytes()
                with self._appending() as file:
                    file.write(lines)
                other.unlink()
            except OSError as err:
                log.error("a spool of exposures can't be taken over", file=other.name, why=str(err))

    def add(self, rows: list[Exposure]) -> int:
        """Keep rows, the first of them if there is no room for all; how many."""
        kept = 0
        try:
            with self._turn, self._appending() as file:
                room = self._most_bytes - file.tell()
                for row in rows:
                    line = json.dumps(asdict(row), separators=(",", ":")).encode() + b"\n"
                    room -= len(line)
                    if room < 0:
                        break
                    file.write(line)
                    kept += 1
        except OSError as err:  # a full disk: what isn't whole at the end of the file is passed over
            log.error("exposures can't be spooled", why=str(err))
            return 0
        return kept

    def batches(self, most: int) -> Iterator[list[Exposure]]:
        """What waits, the first first, at most this many at once. Call `done` once each is written."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._done_bytes)
            while True:
                with self._turn:
                    rows = list(_rows(file, most))
                    self._read_bytes = file.tell()
                    if not rows:
                        self._done_bytes = 0
                        self._file.unlink()
                        return
                yield rows

    def done(self) -> None:
        """The batch that was given last needn't be given again."""
        self._done_bytes = self._read_bytes

    def _appending(self) -> AbstractContextManager[IO[bytes]]:
        private_file(self._file)
        return appending(self._file)


def hold(folder: Path, name: str) -> str:
    """Lock a worker's files for as long as this process lives.

    A name and a process id don't tell who lives: a container that is made anew has another name, or the same
    one and the same ids.

    Returns:
        the name that the files have: another one where somebody who lives has this one.
    Raises:
        OSError: it can't be done; then others take the worker for one that ended.
    """
    mine, number = name, 1
    while True:
        lock = folder / f"exposures-{mine}.lock"
        private_file(lock)
        held = os.open(lock, os.O_RDWR)  # kept open: closing it would let it go
        with suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and lock.stat().st_ino == os.fstat(held).st_ino:
                return mine
        os.close(held)  # another's, or one that was deleted meanwhile, as nobody held it
        number += 1
        mine = f"{name}-{number}"


def left_over(folder: Path, kind: str = "jsonl") -> list[Path]:
    """Files of workers that ended, whichever machine they were on."""
    return [file for file in folder.glob(f"exposures-*.{kind}") if _has_ended(file.with_suffix(".lock"))]


def _has_ended(lock: Path) -> bool:
    try:
        tried = os.open(lock, os.O_RDWR)
    except OSError:
        return not lock.exists()
    try:
        fcntl.flock(tried, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(tried)
    return True


def _rows(file: BinaryIO, most: int) -> Iterator[Exposure]:
    n = 0
    for line in iter(file.readline, b""):
        try:
            yield Exposure(**json.loads(line))
        except (ValueError, TypeError):
            continue  # of a write that was cut off
        n += 1
        if n == most:
            return
