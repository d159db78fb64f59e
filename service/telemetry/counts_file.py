"""A process's counts in a file whose room on the disk is taken beforehand.

prometheus_client maps a file with a hole: on a disk that is full, whoever counts into it next is ended by
SIGBUS, and all workers were.
"""

import mmap
import os
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

FIRST_BYTES = 1 << 18
ENTRY_BYTES = 40  # beside its name, at most


class CountsFile(MmapedDict):
    """The library's file of counts. What finds no room is counted in memory: nobody else sees it."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            filename = _with_room(filename)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        if self._used + len(key.encode()) + ENTRY_BYTES > self._capacity:
            self._grow()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> None:
        larger = 2 * self._capacity
        try:
            os.posix_fallocate(self._f.fileno(), 0, larger)
        except OSError:
            self._f.close()
            self._f = os.fdopen(os.memfd_create("counts"), "r+b", buffering=0)
            self._f.write(self._m[:])
            self._f.truncate(larger)
        self._capacity = larger
        self._m = mmap.mmap(self._f.fileno(), larger)


def _with_room(filename: str) -> str:
    """The name of a file that has room; of one in memory where the disk has none."""
    try:
        with Path(filename).open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, FIRST_BYTES)
    except OSError:
        return f"/proc/self/fd/{os.memfd_create('counts')}"
    return filename
