"""Appends to a file whose last line a crash may have cut off, so that this spoils no line that follows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """A file to write whole lines to its end, which is made if it isn't there.

    Raises:
        OSError: it can't be written.
    """
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        yield file
