"""A process's counts in a file whose room on the disk is taken beforehand.

prometheus_client maps a file with a hole: on a disk that is full, whoever counts into it next is ended by
SIGBUS, and all workers were.
"""

import mmap
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import ClassVar
from weakref import WeakSet

from prometheus_client.mmap_dict import MmapedDict

from service.telemetry.ended_counts import make_folder

FIRST_BYTES = 1 << 18
ENTRY_BYTES = 40  # beside its name, at most


class CountsFile(MmapedDict):
    """The library's file of counts. What finds no room is counted in memory: nobody else sees it."""

    _written: ClassVar["WeakSet[CountsFile]"] = WeakSet()

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._turn = Lock()  # the library's own isn't held by who writes a file anew
        if not read_mode:
            filename = _with_room(filename)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        if not read_mode:
            self._written.add(self)

    @classmethod
    def all_stay(cls) -> None:
        """Begin new files with what was counted where somebody cleared this process's away."""
        for counts in list(cls._written):
            with suppress(OSError):
                counts._stay()

    def read_value(self, key: str) -> tuple[float, float]:
        """A count and its time, 0 for a new one, which gets its place in the file."""
        with self._turn:
            found: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call]
            return found

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set a count and its time."""
        with self._turn:
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _stay(self) -> None:
        path = Path(self._fname)
        with self._turn:
            if self._f is None or path.exists():
                return
            make_folder(path.parent)
            part = path.with_suffix(".part")
            part.write_bytes(self._m[:])
            file = part.open("r+b")
            anew = mmap.mmap(file.fileno(), len(self._m))
            part.replace(path)  # last of what may fail: what is there isn't looked at again
            self._f.close()
            self._f, self._m = file, anew

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
