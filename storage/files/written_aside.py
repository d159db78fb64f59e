"""A file for the shop, written aside and put in its place at the end: nobody ever reads a part of it.

What lies aside holds customers' ids. It goes when the command ends, also when that is told to stop; and what
a killed one left is deleted by the next one for the same file. Whether a command still writes is told by a
lock and not by its process number, which means nothing in another container.
"""

import fcntl
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType
from typing import TextIO

from storage.versions.version import sync

LOCK = "lock"


@contextmanager
def written_aside(out: Path) -> Iterator[Path]:
    """Where to write what takes the place of `out`, durably, when the block ends well.

    It has the name of `out`, in a hidden folder beside it that only its owner may enter and that goes when
    the block ends; what else the block needs may lie there too. Only in the main thread.

    Raises:
        OSError: it can't be written. What stood there before stands there still.
    """
    with _told_to_stop(), _own_folder(out) as folder:
        part = folder / out.name
        yield part
        sync(part)
        part.replace(out)
        sync(out.parent)


@contextmanager
def _own_folder(out: Path) -> Iterator[Path]:
    _clear_away(out)
    lock = None
    while lock is None:  # another command took it for one that was left, before it was locked
        folder = Path(mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
        lock = _locked(folder, "x")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _clear_away(out: Path) -> None:
    """Folders that killed commands left: they hold ids, and nobody would look for them."""
    for folder in out.parent.glob(f".{escape(out.name)}.*.part"):
        with suppress(OSError):
            lock = _locked(folder, "r+")
            if lock is not None:
                shutil.rmtree(folder)
                lock.close()


def _locked(folder: Path, mode: str) -> TextIO | None:
    """The lock of a folder, held; None if somebody else holds it or the folder is gone."""
    try:
        lock = (folder / LOCK).open(mode)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / LOCK).stat()  # whoever had it may have deleted all
    except (BlockingIOError, FileNotFoundError):
        lock.close()
        return None
    return lock  # type: ignore[return-value]  # both modes are of text


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """SIGTERM and a closed terminal end what is begun as Ctrl-C does."""

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    heard = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for each in heard:
        signal.signal(each, leave)
    try:
        yield
    finally:
        for each in heard:
            signal.signal(each, signal.SIG_DFL)
