"""A file of counts has its room beforehand, and a full disk costs counts, not the process."""

import errno
import os
import shutil
from pathlib import Path
from threading import Thread
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


def test_counts_whose_file_was_cleared_away_are_written_anew_and_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    file = folder / "counter_1.db"
    counts = CountsFile(str(file))
    fill(counts, 10)
    shutil.rmtree(folder)
    CountsFile.all_stay()
    counts.write_value(f"{9:0200}", 90, 0.0)  # type: ignore[no-untyped-call]
    fill(counts, 2000)
    again = CountsFile.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    assert [value for _, value, *_ in again] == list(range(2000))
    assert [path.name for path in folder.iterdir()] == [file.name]
    before = file.stat()
    CountsFile.all_stay()
    assert file.stat() == before
    counts.close()  # type: ignore[no-untyped-call]
    shutil.rmtree(folder)
    CountsFile.all_stay()
    assert not folder.exists()


def test_what_another_thread_begins_to_count_meanwhile_is_in_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "counter_1.db"
    counts, replace = CountsFile(str(file)), Path.replace
    fill(counts, 10)
    file.unlink()
    other = Thread(target=fill, args=(counts, 2000))

    def meanwhile(path: Path, target: Path) -> Path:
        other.start()
        other.join(0.2)  # it waits for its turn
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", meanwhile)
    CountsFile.all_stay()
    other.join()
    again = CountsFile.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    assert [value for _, value, *_ in again] == list(range(2000))
    counts.close()  # type: ignore[no-untyped-call]
