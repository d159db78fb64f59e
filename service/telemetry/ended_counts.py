"""The counts of processes that ended: one file for counters and one for histograms, not two for each.

Workers may be replaced every day for years while their parent lives, and each leaves its files.
"""

import fcntl
import json
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from prometheus_client.mmap_dict import MmapedDict

from service.processes.private_folder import make_private

ENDED = "ended"  # stands where the others have their process number
SUMMED = ("counter", "histogram")
LEAST_BYTES = 1 << 20  # as the library makes such files


def make_folder(folder: Path) -> None:
    """Make the folder of the counts, and the private one it is in, where somebody cleared them away.

    Raises:
        NextbestError: somebody else made the private one meanwhile.
    """
    make_private(folder.parent)
    folder.mkdir(exist_ok=True)


@contextmanager
def alone_with(folder: Path) -> Iterator[None]:
    """Nobody else reads or merges the counts meanwhile."""
    make_folder(folder)
    with (folder / "reading.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def merge_ended(folder: Path) -> None:
    """Add up what processes counted that have ended, and drop their gauges; to be called `alone_with` it.

    Where there is no room for that, their files stay until the next time. A process that is killed on the way
    leaves a note of which files are in the sum, so that the next one counts none of them twice.
    """
    for kind in SUMMED:
        _go_on(_Paths.of(folder, kind))
    ended = [file for file in folder.glob("*_*.db") if _has_ended(file)]
    for kind in SUMMED:
        files = [file for file in ended if file.name.startswith(f"{kind}_")]
        with suppress(OSError):
            if files:
                _merge(_Paths.of(folder, kind), files)
    _delete([file for file in ended if not file.name.startswith(SUMMED)])


class _Paths(NamedTuple):
    """Where the sum of a kind is, the one that will take its place, and which files are in that."""

    sum: Path
    part: Path
    note: Path

    @classmethod
    def of(cls, folder: Path, kind: str) -> "_Paths":
        return cls(*(folder / f"{kind}_{ENDED}.{suffix}" for suffix in ("db", "part", "merged")))


def _go_on(paths: _Paths) -> None:
    """Finish what a process that was killed had begun: once the new sum is in its place, its files go."""
    if not paths.note.exists():
        return
    if not paths.part.exists():
        with suppress(ValueError):  # a power cut may leave an empty one
            files = [paths.note.parent / name for name in json.loads(paths.note.read_text())]
            _delete([file for file in files if _has_ended(file)])
    paths.note.unlink()


def _delete(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _has_ended(file: Path) -> bool:
    pid = file.stem.rpartition("_")[2]
    return pid.isdigit() and not Path(f"/proc/{pid}").exists()


def _merge(paths: _Paths, files: list[Path]) -> None:
    into, part, note = paths
    total: dict[str, float] = defaultdict(float)
    before = [into] if into.exists() else []
    for file in [*before, *files]:
        with suppress(ValueError, RuntimeError, struct.error):  # its process was killed while it made it
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]
                total[key] += value
    with part.open("wb") as room:  # a disk that is full while it is mapped would end this process
        os.posix_fallocate(room.fileno(), 0, max(LEAST_BYTES, sum(len(key.encode()) + 40 for key in total)))
    written = MmapedDict(str(part))  # type: ignore[no-untyped-call]
    for key, value in total.items():
        written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    written.close()  # type: ignore[no-untyped-call]
    note.write_text(json.dumps([file.name for file in files]))
    part.replace(into)  # by this alone the note holds
    _go_on(paths)
