"""Exposures go to the record in batches, wait on disk while it is away, and are counted where lost."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from experiments.assignment import Arm, Entry
from service.answering.own_list import Rung
from service.trials import exposures as module
from service.trials import spool as spool_module
from service.trials.exposures import BATCH, ExposureLog, Shown, rows_of
from service.trials.spool import Spool, hold, left_over
from service.trials.tally import SLOTS, Tally, killed, tally_at
from storage.record.erasure import erase
from storage.record.exposure_log import read_exposures, read_lost
from storage.record.exposures import Exposure
from storage.record.record import Record
from tests.data.records import NOON_MS, Door, empty_record, sqlite_url

IN_A = ((Entry("a", 1, "hash", "recommend", 0, 1, (Arm("control", 1.0),)), Arm("control", 1.0)),)
SERVED: Any = SimpleNamespace(version_id="v1", variant="blend", products=["milk", "bread"])


def shown(number: int, customer_id: str = "anna") -> Shown:
    picks = [(0, Rung.OWN, 0, 0.5), (1, Rung.POPULAR, -1, -1.0)]
    return Shown(
        f"r{number}", NOON_MS / 1000, customer_id, IN_A, SERVED, picks, "personal", "", False, 1.0, True
    )


class Counted:
    def __init__(self) -> None:
        self.by: Counter[str] = Counter()
        self.told: list[tuple[str, int]] = []

    def exposures(self, outcome: str, n: int) -> None:
        self.by[outcome] += n
        self.told.append((outcome, n))


class Bench:
    """A log over a record, and what came of it."""

    def __init__(self, record: Record, folder: Path, most_bytes: int = 10_000) -> None:
        self.record, self.door, self.counted = record, Door(record), Counted()
        self.spool = Spool(folder, "here-1", most_bytes=most_bytes)
        self.log = ExposureLog(
            self.door, self.spool, self.counted, default=True, clock=lambda: NOON_MS / 1000
        )

    def take(self, *numbers: int, customer_id: str = "anna") -> None:
        for number in numbers:
            self.log.take(shown(number, customer_id))

    def written(self) -> list[str]:
        return read_exposures(self.record, "a", 1)["request_id"].to_list()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "spool").mkdir()
    with empty_record(sqlite_url(tmp_path)) as record:
        yield Bench(record, tmp_path / "spool")


def test_they_are_written_in_the_background_and_not_before(bench: Bench) -> None:
    bench.take(1, 2)
    assert bench.written() == []
    bench.log.write()
    assert bench.written() == ["r1", "r2"]
    (first, *_) = read_exposures(bench.record, "a", 1).iter_rows(named=True)
    assert json.loads(first["items"]) == [["milk", 0.5, None, None], ["bread", None, None, None]]
    assert bench.counted.by == {"written": 2}


def test_they_wait_on_the_disk_while_the_record_is_away_and_none_counts_twice(bench: Bench) -> None:
    bench.door.is_shut = True
    bench.take(1, 2)
    bench.log.write()
    bench.take(3)
    bench.log.write()
    assert bench.written() == []
    assert bench.counted.by == {"spooled": 3}
    bench.door.is_shut = False
    bench.take(4)
    bench.log.write()
    bench.log.write()
    assert sorted(bench.written()) == ["r1", "r2", "r3", "r4"]
    assert bench.counted.by == {"spooled": 3, "written": 4}


def test_what_waited_on_the_disk_is_written_in_batches_as_small_as_any(bench: Bench, tmp_path: Path) -> None:
    bench = Bench(bench.record, tmp_path / "spool", most_bytes=1_000_000)
    bench.door.is_shut = True
    bench.take(*range(2 * BATCH + 1))
    bench.log.write()
    bench.door.is_shut = False
    bench.log.write()
    assert [n for outcome, n in bench.counted.told if outcome == "written"] == [BATCH, BATCH, 1]


def test_who_is_answered_while_the_disk_is_emptied_waits_for_one_batch_and_not_for_all(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(bench.record, tmp_path / "spool", most_bytes=1_000_000)
    bench.door.is_shut = True
    bench.take(*range(2 * BATCH))
    bench.log.write()
    bench.door.is_shut = False
    comes = iter([9_999])
    monkeypatch.setattr(module.time, "sleep", lambda _: bench.take(*islice(comes, 1)))
    bench.log.write()
    assert [n for outcome, n in bench.counted.told if outcome == "written"] == [BATCH, 1, BATCH]


def test_who_is_erased_while_they_wait_leaves_none(bench: Bench) -> None:
    bench.door.is_shut = True
    bench.take(1)
    bench.take(2, customer_id="bert")
    bench.log.write()
    erase(bench.record, "anna", now_ms=NOON_MS + 1, client="")
    bench.door.is_shut = False
    bench.log.write()
    assert bench.written() == ["r2"]


def test_what_has_no_room_is_lost_by_number_and_the_record_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    (tmp_path / "spool").mkdir()
    with empty_record(sqlite_url(tmp_path)) as record:
        bench = Bench(record, tmp_path / "spool", most_bytes=500)
        bench.take(1, 2, 3)
        bench.door.is_shut = True
        bench.log.write()
        assert bench.counted.by == {
            "lost": 2,
            "spooled": 1,
        }  # one has no room in the queue, one none on the disk
        bench.door.is_shut = False
        bench.log.write()
        assert bench.written() == ["r1"]
        assert read_lost(record, "a", 1) == 2
        bench.log.write()
        assert read_lost(record, "a", 1) == 2


def test_the_log_says_how_many_were_lost_of_all_experiments_together(bench: Bench) -> None:
    bench.log.note_killed([(("a", 1), 3), (("b", 1), 5)])
    with capture_logs() as lines:
        bench.log.write()
    (line,) = lines
    assert line["worker_killed"] == 8


def test_whatever_goes_wrong_when_they_are_written_they_wait_on_the_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(bench.door, "do", lambda _: {}["nobody thought of that"])
        bench.take(1)
        bench.log.write()
    bench.log.write()
    assert bench.written() == ["r1"]


def test_a_line_that_was_cut_off_is_passed_over_and_takes_none_along(bench: Bench, tmp_path: Path) -> None:
    bench.door.is_shut = True
    bench.take(1)
    bench.log.write()
    (file,) = (tmp_path / "spool").iterdir()
    file.write_bytes(file.read_bytes() + b'{"event_id": "half')
    bench.take(2)
    bench.log.write()
    bench.door.is_shut = False
    bench.log.write()
    assert bench.written() == ["r1", "r2"]
    assert not file.exists()


ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from service.trials.spool import hold
hold(Path(sys.argv[1]), "there-1")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_worker_that_starts_takes_over_what_dead_ones_left_on_whichever_machine(
    bench: Bench, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    bench.door.is_shut = True
    bench.take(1, 2)
    bench.log.write()
    (folder / "exposures-here-1.jsonl").rename(folder / "exposures-there-1.jsonl")
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert left_over(folder) == []  # of one that lives
        assert hold(folder, "there-1") == "there-1-2"
        holder.kill()
    left = left_over(folder)
    assert [file.name for file in left] == ["exposures-there-1.jsonl"]
    assert [file.name for file in folder.glob("*.lock")] == ["exposures-there-1-2.lock"]
    assert hold(folder, "here-1") == "here-1"
    bench.spool.take_over(left)
    assert not left[0].exists()
    bench.door.is_shut = False
    bench.log.write()
    assert bench.written() == ["r1", "r2"]


def test_a_folder_that_cannot_be_written_loses_them_by_number(bench: Bench, tmp_path: Path) -> None:
    bench.door.is_shut = True
    (tmp_path / "spool").rmdir()
    (tmp_path / "spool").write_text("a file")
    bench.take(1)
    bench.log.write()
    assert bench.counted.by["lost"] == 1


def test_what_is_kept_while_the_last_batch_is_read_stays_and_is_its_owners_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, ends = spool_module._rows, []

    def read_while_the_process_ends(*given: Any) -> Iterator[Exposure]:
        rows = list(read(*given))
        if not rows and not ends:
            ends.append(Thread(target=bench.spool.add, args=(rows_of(shown(2)),)))
            ends[0].start()
            ends[0].join(0.1)
        return iter(rows)

    monkeypatch.setattr(spool_module, "_rows", read_while_the_process_ends)
    bench.spool.add(rows_of(shown(1)))
    bench.log.write()
    ends[0].join()
    assert (tmp_path / "spool" / "exposures-here-1.jsonl").stat().st_mode & 0o077 == 0
    bench.log.write()
    assert bench.written() == ["r1", "r2"]


def test_what_waited_in_a_worker_that_was_killed_is_counted_as_lost_by_the_next_one(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "exposures-here-1.count"
    first = ExposureLog(bench.door, bench.spool, bench.counted, default=True, tally=Tally(file))
    for number in range(5):
        first.take(shown(number))
    first.write()
    for number in range(5, 8):
        first.take(shown(number))
    gone = list(killed([file, tmp_path / "absent.count"]))  # killed here: what it held in memory is gone
    assert gone == [(("a", 1), 3)]
    assert list(killed([file])) == []
    bench.log.note_killed(gone)
    bench.log.write()
    assert (len(bench.written()), read_lost(bench.record, "a", 1)) == (5, 3)


def test_where_nothing_can_be_written_a_worker_goes_on_without_a_count(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert tally_at(tmp_path / "file" / "exposures-here-1.count") is None


def test_a_count_takes_no_more_versions_than_it_has_places_for(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "exposures-here-1.count")
    for number in range(SLOTS + 5):
        tally.take((f"experiment-{number}", number))
    tally.settle([("experiment-0", 0), ("never taken", 1)])
    gone = dict(killed([tmp_path / "exposures-here-1.count"]))
    assert gone == {(f"experiment-{number}", number): 1 for number in range(1, SLOTS)}
