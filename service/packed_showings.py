"""What a customer was shown, as 64-bit words.

A showing is a 0, a word with the shop's day (days since 1970-01-01) and where it was, and the hashes by which
every version finds the ids. One of 10^19 ids has a hash of 0.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from storage.strings import HashArray

WHERE = np.uint64(0xFFFF_FFFF)
BEGIN = bytes(8)
DAY = np.uint64(32)
NOTHING = np.empty(0, np.uint64), np.empty(0, np.int64)


@lru_cache(1024)
def where_of(what: str, placement: str | None) -> int:
    """Where something of a kind was shown, as a number."""
    return crc32(f"{what}\n{placement or ''}".encode())


def packed_showing(day: int, where: int, hashes: Sequence[int]) -> bytes:
    return array("Q", [0, day << 32 | where, *hashes]).tobytes()


def at_most_showings(value: bytes) -> int:
    """No fewer than there are, and soon found."""
    return value.count(BEGIN)


def times_shown(value: bytes, where: int, since: int) -> tuple[HashArray, NDArray[np.int64]]:
    """Each hash that was shown there from a day on, and how often; none where the value can't be read."""
    words = _words(value)
    if words is None:
        return NOTHING
    begins = words == 0
    heads = words[1:][begins[:-1]]
    if not heads.all():
        return NOTHING
    is_meant = ((heads & WHERE) == where) & (heads >> DAY >= since)
    is_hash = is_meant[begins.cumsum() - 1]
    is_hash[begins] = False
    is_hash[1:][begins[:-1]] = False
    return np.unique(words[is_hash], return_counts=True)


def newer_part(value: bytes, most_bytes: int, after: int) -> bytes:
    """The newest showings of later days, as many as fit; a value that can be read."""
    words = _words(value)
    if words is None:
        return b""
    begins = np.flatnonzero(words == 0)
    heads = words[begins + 1]
    is_kept = heads.all() & (heads >> DAY > after) & (8 * (len(words) - begins) <= most_bytes)
    return words[begins[is_kept][0] :].tobytes() if is_kept.any() else b""


def _words(value: bytes) -> HashArray | None:
    """None for what no showings are."""
    if not value or len(value) % 8:
        return None
    words = np.frombuffer(value, np.uint64)
    return words if words[0] == 0 and words[-1] else None
