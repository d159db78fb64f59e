"""What is written for the shop is there as a whole, and nothing of it lies aside once its command ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.files.written_aside import LOCK, written_aside

BEGIN = """
import sys, time
from pathlib import Path
from storage.files.written_aside import written_aside
with written_aside(Path(sys.argv[1])) as part:
    part.write_text("7")
    print("begun", flush=True)
    while True:
        time.sleep(0.01)  # a signal that comes just before a sleep is heard after it
"""


def begun(out: Path) -> subprocess.Popen[bytes]:
    """A command that has begun to write."""
    process = subprocess.Popen([sys.executable, "-c", BEGIN, out], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def test_a_file_is_there_when_all_is_written_and_before_that_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("old")
    with written_aside(out) as part:
        part.write_text("new")
        part.with_suffix(".more").write_text("x")
        assert out.read_text() == "old"
        assert part.parent.stat().st_mode & 0o777 == 0o700
    assert out.read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


def test_a_failure_leaves_the_old_file_and_nothing_aside(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("old")
    with pytest.raises(ValueError, match="on the way"), written_aside(out) as part:
        part.write_text("new")
        raise ValueError("on the way")
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_told_to_stop_leaves_nothing_aside(tmp_path: Path, told: signal.Signals) -> None:
    with begun(tmp_path / "a.csv") as process:
        process.send_signal(told)
        assert process.wait(30) != 0
    assert list(tmp_path.iterdir()) == []


def test_two_commands_for_one_file_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    with written_aside(out) as first:
        first.write_text("first")
        with written_aside(out) as second:  # whose process number it has is nobody's business
            second.write_text("second")
        assert out.read_text() == "second"
    assert out.read_text() == "first"
    assert list(tmp_path.iterdir()) == [out]


def test_what_a_killed_command_left_is_deleted_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    with begun(tmp_path / "a.csv") as killed, begun(tmp_path / "b.csv") as other:
        killed.kill()
        killed.wait()
        (of_other,) = tmp_path.glob(".b.csv.*")
        mine = tmp_path / ".a.csv.mine.part"  # no lock in it: the shop's own
        mine.mkdir()
        (tmp_path / ".a.csv.7.part").write_text("a file")
        with written_aside(tmp_path / "a.csv") as part:
            part.write_text("whole")
        names = {"a.csv", of_other.name, mine.name, ".a.csv.7.part"}
        assert {file.name for file in tmp_path.iterdir()} == names
        assert {file.name for file in of_other.iterdir()} == {"b.csv", LOCK}
        other.kill()
