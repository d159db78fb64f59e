"""Counts exposures where the count outlives the worker: in a small file that is mapped into memory.

Taken less settled is what waits in memory, which is gone with a worker that is killed: the next one says so.
"""

import mmap
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from storage.record.folder import private_file

log = structlog.get_logger()

SLOT = struct.Struct("=72sQQ")  # experiment and version, taken, settled
COUNT = struct.Struct("=Q")
SLOTS, NAME_BYTES = 32, 72

type Key = tuple[str, int]
"""An experiment and its version."""


class Tally:
    """One worker's count. Beyond 32 versions of experiments in one life of a worker nothing is counted.

    Args:
        file: beside the worker's spool.
    Raises:
        OSError: it can't be made.
    """

    def __init__(self, file: Path) -> None:
        private_file(file)
        with file.open("r+b") as opened:
            opened.write(bytes(SLOT.size * SLOTS))  # no hole: a store to one kills us where the disk is full
            opened.flush()
            self._map = mmap.mmap(opened.fileno(), SLOT.size * SLOTS)
        self._places: dict[Key, int] = {}
        self._taken: dict[Key, int] = {}  # by the thread of requests alone
        self._settled: Counter[Key] = Counter()  # by the thread that writes alone

    def take(self, key: Key) -> None:
        """One more waits in memory."""
        taken = self._taken.get(key)
        if taken is None:
            if not self._has_place(key):
                return
            taken = 0
        self._taken[key] = taken = taken + 1
        COUNT.pack_into(self._map, self._places[key] + NAME_BYTES, taken)

    def settle(self, keys: Iterable[Key]) -> None:
        """These are in the record, in the spool, or known to be lost."""
        for key in keys:
            if key in self._places:
                self._settled[key] += 1
                place = self._places[key] + NAME_BYTES + COUNT.size
                COUNT.pack_into(self._map, place, self._settled[key])

    def _has_place(self, key: Key) -> bool:
        if len(self._places) == SLOTS:
            return False
        place = len(self._places) * SLOT.size
        SLOT.pack_into(self._map, place, f"{key[0]} {key[1]}".encode()[:NAME_BYTES], 0, 0)
        self._places[key] = place
        return True


def tally_at(file: Path) -> Tally | None:
    """A count, or none where nothing can be written."""
    try:
        return Tally(file)
    except OSError as err:
        log.info("exposures of a worker that is killed won't be counted", why=str(err))
        return None


def killed(files: Iterable[Path]) -> Iterator[tuple[Key, int]]:
    """What was gone with workers that ended, by their files, which are deleted: each is told once."""
    for file in files:
        mine = file.with_suffix(".told")
        try:
            file.rename(mine)  # of several workers that start one gets it
            content = mine.read_bytes()
            mine.unlink()
        except OSError:
            continue
        for name, taken, settled in SLOT.iter_unpack(content[: SLOT.size * SLOTS]):
            experiment_id, _, version = name.rstrip(b"\0").decode("utf-8", "replace").rpartition(" ")
            if taken > settled and version.isdigit():
                yield (experiment_id, int(version)), taken - settled
