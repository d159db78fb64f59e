"""Whether a file was replaced or changed since the last look."""

from pathlib import Path

type Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp:
    """What changes with the file.

    Raises:
        OSError: it isn't there, or is out of reach.
    """
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
