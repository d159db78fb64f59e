"""A file of counts has its room beforehand, and a full disk costs counts, not the process."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from service.telemetry.counts_file import FIRST_BYTES, CountsFile


def fill(counts: CountsFile, n: int) -> None:
    for number in range(n):
        counts.write_value(f"{number:0200}", number, 0.0)  # type: ignore[no-untyped-call]


def kept(counts: CountsFile) -> list[float]:
    return [value for _, value, _ in counts.read_all_values()]  # type: ignore[no-untyped-call]


def no_room(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_its_room_is_on_the_disk_from_the_first_and_after_it_grew(tmp_path: Path) -> None:
    file = tmp_path / "counter_1.db"
    counts = CountsFile(str(file))
    assert file.stat().st_blocks * 512 >= FIRST_BYTES
    fill(counts, 2000)
    assert file.stat().st_size > FIRST_BYTES
    assert file.stat().st_blocks * 512 >= file.stat().st_size
    assert kept(counts) == list(range(2000))
    counts.close()  # type: ignore[no-untyped-call]
    again = CountsFile.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    assert [value for _, value, *_ in again] == list(range(2000))


def test_a_disk_without_room_is_counted_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = CountsFile(str(tmp_path / "counter_1.db"))
    fill(grown, 10)
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    begun = CountsFile(str(tmp_path / "counter_2.db"))
    for counts in (grown, begun):
        fill(counts, 2000)
        assert kept(counts) == list(range(2000))
        counts.close()  # type: ignore[no-untyped-call]
