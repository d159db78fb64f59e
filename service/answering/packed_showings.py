"""What a customer was shown, as 64-bit words.

A showing is a 0, a word with the shop's day (days since 1970-01-01) and where it was, and the hashes by which
every version finds the ids. One of 10^19 ids has a hash of 0.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

import numpy as np

from storage.versions.strings import HashArray

WHERE = 0xFFFF_FFFF
BEGIN = bytes(8)
DAY = 32  # bits that a day stands above


@lru_cache(1024)
def where_of(what: str, placement: str | None) -> int:
    """Where something of a kind was shown, as a number."""
    return crc32(f"{what}\n{placement or ''}".encode())


def packed_showing(day: int, where: int, hashes: Sequence[int]) -> bytes:
    return array("Q", [0, day << DAY | where, *hashes]).tobytes()


def at_most_showings(value: bytes) -> int:
    """No fewer than there are, and soon found."""
    return value.count(BEGIN)


def times_shown(value: bytes, where: int, since: int) -> Counter[int]:
    """How often each hash was shown there from a day on; none where the value can't be read."""
    words = _words(value)
    if words is None:
        return Counter()
    found: list[int] = []
    begins, plain = np.flatnonzero(words == 0).tolist(), words.tolist()
    for begin, end in pairwise([*begins, len(plain)]):
        head = plain[begin + 1]
        if not head:
            return Counter()
        if head & WHERE == where and head >> DAY >= since:
            found += plain[begin + 2 : end]
    return Counter(found)


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
