"""Counts of processes that ended stay to the last one, in two files, however many processes there were."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from models.errors import NextbestError
from service.telemetry.ended_counts import alone_with, merge_ended


def ended_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def count(folder: Path, kind: str, pid: int, name: str, value: float, **labels: str) -> None:
    """What a process would have counted, in the file that it would have left."""
    written = MmapedDict(str(folder / f"{kind}_{pid}.db"))
    written.write_value(json.dumps([name, name, labels, "help"]), value, 0.0)
    written.close()


def text(folder: Path) -> str:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return generate_latest(registry).decode()


def test_counts_of_ended_processes_are_added_up_once_in_two_files(tmp_path: Path) -> None:
    for restart in range(1, 4):
        pid = ended_pid()
        count(tmp_path, "counter", pid, "asked_total", 3, status="200")
        count(tmp_path, "counter", pid, "asked_total", restart, status=str(restart))
        count(tmp_path, "histogram", pid, "seconds", 0.5)
        count(tmp_path, "gauge_livesum", pid, "ready", 1)
        for _ in range(2):
            with alone_with(tmp_path):
                merge_ended(tmp_path)
            assert f'asked_total{{status="200"}} {3.0 * restart}' in text(tmp_path)
            assert f'asked_total{{status="{restart}"}} {float(restart)}' in text(tmp_path)
            assert f"seconds {0.5 * restart}" in text(tmp_path)
            assert "ready" not in text(tmp_path)
            assert {file.name for file in tmp_path.glob("*.db")} == {"counter_ended.db", "histogram_ended.db"}


@pytest.mark.parametrize(
    "killed_at", ["posix_fallocate", "write_text", "half of write_text", "replace", "unlink"]
)
def test_who_is_killed_on_the_way_makes_nothing_count_twice_or_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    class Killed(BaseException):
        pass

    def die(path: object, *_: object, **__: object) -> None:
        if killed_at.startswith("half"):
            Path(str(path)).write_bytes(b"[")
        raise Killed

    count(tmp_path, "counter", ended_pid(), "asked_total", 3)
    merge_ended(tmp_path)
    for _ in range(2):
        count(tmp_path, "counter", ended_pid(), "asked_total", 2)
    with monkeypatch.context() as killing:
        killing.setattr(os if killed_at == "posix_fallocate" else Path, killed_at.rsplit(maxsplit=1)[-1], die)
        with pytest.raises(Killed):
            merge_ended(tmp_path)
    for _ in range(2):
        merge_ended(tmp_path)
        assert "asked_total 7.0" in text(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["counter_ended.db"]


def test_without_room_each_keeps_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    count(tmp_path, "counter", ended_pid(), "asked_total", 3)
    count(tmp_path, "gauge_livesum", ended_pid(), "ready", 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        merge_ended(tmp_path)
        assert "asked_total 3.0" in text(tmp_path)
        assert "ready" not in text(tmp_path)
    merge_ended(tmp_path)
    assert "asked_total 3.0" in text(tmp_path)
    assert {file.name for file in tmp_path.glob("*.db")} == {"counter_ended.db"}


def test_who_still_counts_keeps_the_own_files(tmp_path: Path) -> None:
    count(tmp_path, "counter", os.getpid(), "asked_total", 2)
    count(tmp_path, "gauge_livesum", os.getpid(), "ready", 1)
    count(tmp_path, "counter", ended_pid(), "asked_total", 5)
    with alone_with(tmp_path):
        merge_ended(tmp_path)
    assert "asked_total 7.0" in text(tmp_path)
    assert "ready 1.0" in text(tmp_path)
    assert (tmp_path / f"counter_{os.getpid()}.db").exists()


def test_a_file_that_its_process_only_began_is_dropped(tmp_path: Path) -> None:
    count(tmp_path, "counter", ended_pid(), "asked_total", 3)
    for content in (b"", b"\0\0", b"\xff\xff\xff\x00 nonsense"):
        (tmp_path / f"counter_{ended_pid()}.db").write_bytes(content)
    with alone_with(tmp_path):
        merge_ended(tmp_path)
    assert "asked_total 3.0" in text(tmp_path)
    assert [file.name for file in tmp_path.glob("*.db")] == ["counter_ended.db"]


def test_what_is_merged_takes_no_more_room_each_time(tmp_path: Path) -> None:
    sizes = set()
    for _ in range(3):
        count(tmp_path, "counter", ended_pid(), "asked_total", 1)
        with alone_with(tmp_path):
            merge_ended(tmp_path)
        sizes.add((tmp_path / "counter_ended.db").stat().st_size)
    assert sizes == {1 << 20}


def test_a_folder_that_was_cleared_away_is_made_again_unless_somebody_else_did(tmp_path: Path) -> None:
    private = tmp_path / "nextbest"
    with alone_with(private / "metrics"):
        pass
    assert private.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(private)
    private.mkdir(mode=0o777)
    private.chmod(0o777)
    with pytest.raises(NextbestError, match="not a private folder of this user"), alone_with(private / "m"):
        pass
    assert list(private.iterdir()) == []
