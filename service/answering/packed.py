"""A list as the bytes of its columns, and as one value: who it belongs to, the columns, a seal.

An answer needs the first few of a list. So columns are views of the bytes that the version or Redis has, and
only what is looked at becomes a number. Numbers are in the order of bytes of x86 and ARM.
"""

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

SEAL_BYTES = 8
HEAD = struct.Struct(f"<{SEAL_BYTES}sdH")  # seal, `most_from` behind the list, length of the owner
LIST_LENGTH = 50  # of a packed list, which then takes less than 750 bytes in Redis; the map has the rest
WHOLE = -1.0  # what counts most behind a list that is whole
ENTRY_BYTES = 7  # int32 row, uint8 evidence, float16 probability

type Entry = tuple[int, int, float]
"""Product row, evidence as in `storage.versions.evidence`, and probability: NaN or negative where unknown."""

type Scored = tuple[float, Entry]
"""An entry, and what it counts beside the others of its list."""


class Columns(NamedTuple):
    """Rows (int32), evidence (uint8) and probabilities (float16) of a list, best first."""

    rows: "memoryview[int]"
    evidence: "memoryview[int]"
    probability: "memoryview[float]"

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Columns":
        """A list of these entries."""
        rows, evidence, probability = list(zip(*entries, strict=True)) or [(), (), ()]
        halves: memoryview[float] = memoryview(np.array(probability, np.float16))
        return cls(memoryview(np.array(rows, np.int32)), memoryview(np.array(evidence, np.uint8)), halves)

    def entries(self) -> Iterator[Entry]:
        """The entries one by one."""
        return zip(self.rows, self.evidence, self.probability, strict=True)

    def followed_by(self, longer: "Columns") -> "Columns":
        """This list, and behind it what a longer one has from there on."""
        if len(longer.rows) <= len(self.rows):
            return self
        return Columns(
            _joined(self.rows, longer.rows),
            _joined(self.evidence, longer.evidence),
            _joined(self.probability, longer.probability),
        )

    def score_at(self, place: int) -> float:
        """The probability at a place; where none is known, what the last before it falls to as 1 / place."""
        probability = self.probability
        if (score := probability[place]) >= 0:  # NaN isn't
            return score
        for known_at in range(place - 1, -1, -1):
            if (score := probability[known_at]) >= 0:
                return score * (known_at + 1) / (place + 1)
        return 1 / (place + 1)

    def most_from(self, start: int) -> float:
        """No entry from a place on has a higher `score_at`; WHOLE where there is none."""
        if start >= len(self.rows):
            return WHOLE
        return max(self.score_at(start), float(np.fmax.reduce(np.asarray(self.probability[start:]))))

    def probability_of(self, row: int) -> float | None:
        """A product's, -1 where it isn't known; None for one that isn't in the list."""
        rows, wanted = self.rows.tobytes(), struct.pack("i", row)  # one look through bytes is soon done
        found = rows.find(wanted)
        while found % 4 and found >= 0:  # across two rows
            found = rows.find(wanted, found + 1)
        if found < 0:
            return None
        probability = self.probability[found // 4]
        return probability if probability >= 0 else -1.0  # a NaN isn't

    def beginning(self) -> "Columns":
        """What of a list is packed: the same, wherever it is read."""
        return self.first(LIST_LENGTH)

    def first(self, length: int) -> "Columns":
        return Columns(self.rows[:length], self.evidence[:length], self.probability[:length])


NO_COLUMNS = Columns.of(())


def _joined(mine: "memoryview[Any]", longer: "memoryview[Any]") -> "memoryview[Any]":
    both = mine.tobytes() + longer[len(mine) :].tobytes()
    view: memoryview[Any] = memoryview(both).cast(longer.format)  # type: ignore[call-overload]  # see below
    return view


def owner_of(version_id: str, variant: str, customer_id: str, epoch: int, mark: int = 0) -> bytes:
    """What makes a list one customer's: it stands in the value, so that nobody else's can be taken for it.

    Args:
        mark: as in `service.live.told.Told`.
    """
    return f"{version_id}\n{variant}\n{epoch}\n{mark}\n{customer_id}".encode()


def pack(owner: bytes, columns: Columns, key: bytes) -> bytes:
    """The value of the beginning of a list, and what counts most behind it; 7 bytes for each product.

    Args:
        key: without it nobody can make a value that is taken for one, such as with rows that no product
            has, or with places in the history of somebody else. At most 64 bytes.
    """
    body = owner + b"".join(column.tobytes() for column in columns.beginning())
    rest = struct.pack("<dH", columns.most_from(LIST_LENGTH), len(owner)) + body
    return _seal(rest, key) + rest


def unpack(owner: bytes, value: bytes, key: bytes) -> tuple[Columns, float] | None:
    """The beginning of this owner's list, and `most_from` behind it; None for anything else: another's,
    damaged, cut short, or made without the key."""
    if len(value) < HEAD.size:
        return None
    seal, behind, size = HEAD.unpack_from(value)
    start = HEAD.size + size
    length, rest = divmod(len(value) - start, ENTRY_BYTES)
    if length < 0 or rest or value[HEAD.size : start] != owner or _seal(value[SEAL_BYTES:], key) != seal:
        return None
    view, middle, last = memoryview(value), start + 4 * length, start + 5 * length
    probability = view[last:].cast("e")  # type: ignore[call-overload]  # its stubs know no float16
    return Columns(view[start:middle].cast("i"), view[middle:last], probability), behind


def _seal(content: bytes, key: bytes) -> bytes:
    """A message authentication code (MAC) of what stands behind it."""
    return blake2b(content, key=key, digest_size=SEAL_BYTES).digest()
