"""Many strings in two mapped arrays, and ids found in them without a dictionary in memory."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from models.arrays import IntArray, LongArray

type HashArray = NDArray[np.uint64]
type ByteArray = NDArray[np.uint8]


def hash_of(text: str) -> int:
    """The 64-bit number by which an id is found."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def is_rising(array: LongArray | HashArray) -> bool:
    """Whether there are values, none of them below the one before."""
    return bool(array.ndim == 1 and len(array) and (array[1:] >= array[:-1]).all())


class StringTable:
    """Strings by row number. `offsets` has shape (n + 1,), int64; `blob` is all of them as UTF-8, joined."""

    def __init__(self, offsets: LongArray, blob: ByteArray) -> None:
        self.offsets, self.blob = offsets, blob
        # One element of a memoryview costs half of what numpy takes for it: answers read many.
        self._starts, self._bytes = memoryview(offsets), memoryview(blob)

    @classmethod
    def build(cls, values: Sequence[str]) -> "StringTable":
        encoded = [value.encode() for value in values]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(value) for value in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), np.uint8))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> str:
        return str(self._bytes[self._starts[row] : self._starts[row + 1]], "utf-8")


class IdIndex:
    """Ids in the order of their hash, so that a binary search over a mapped array finds a row."""

    def __init__(self, hashes: HashArray, table: StringTable) -> None:
        self.hashes, self.table = hashes, table
        self._sorted = memoryview(hashes)

    @classmethod
    def build(cls, ids: Sequence[str]) -> "IdIndex":
        """Ids must be distinct and already in `order_of` order, since their place is their row number."""
        return cls(np.array([hash_of(i) for i in ids], np.uint64), StringTable.build(ids))

    def __len__(self) -> int:
        return len(self.hashes)

    def __getitem__(self, row: int) -> str:
        return self.table[row]

    def hashes_of(self, rows: Iterable[int]) -> list[int]:
        """By which the ids of these rows are found: the same in each version."""
        hashes = self._sorted
        return [hashes[row] for row in rows]

    def rows_of(self, hashes: HashArray) -> IntArray:
        """Rows of the ids with these hashes, -1 for one that isn't here."""
        if not len(self):
            return np.full(len(hashes), -1, np.int32)
        rows = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        return np.where(self.hashes[rows] == hashes, rows, -1).astype(np.int32)

    def find(self, text: str) -> int:
        """The row of an id, -1 if it isn't here."""
        wanted = hash_of(text)
        row = bisect_left(self._sorted, wanted)
        while row < len(self._sorted) and self._sorted[row] == wanted:
            if self.table[row] == text:
                return row
            row += 1
        return -1


def order_of(ids: Sequence[str]) -> list[str]:
    """Ids in the order that `IdIndex` wants: by hash, then by text."""
    return sorted(ids, key=lambda text: (hash_of(text), text))
