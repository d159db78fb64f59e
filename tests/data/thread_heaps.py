"""Heaps that glibc made for threads of a process, counted in the map of its memory."""

from itertools import pairwise
from pathlib import Path

RESERVED = 2**26  # bytes of each, at a multiple of as many; only the beginning can be written


def thread_heaps(pid: int | str = "self") -> int:
    rows = [line.split()[:2] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    areas = [([int(end, 16) for end in area.split("-")], rights) for area, rights in rows]
    return sum(
        start % RESERVED == 0 and rights[0] == "r" and reserved[0] == "-" and end - start == RESERVED
        for ((start, _), rights), ((_, end), reserved) in pairwise(areas)
    )
