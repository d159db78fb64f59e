"""A folder of one store and user among everybody's temporary files, which nobody else may touch."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

from models.errors import NextbestError


def private_folder(store: Path) -> Path:
    """A folder of this store and user, the same at each start; short: a socket's path has at most 107 bytes.

    Raises:
        NextbestError: somebody else made it.
    """
    name = hashlib.sha256(os.fsencode(store.resolve())).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"nextbest-{os.getuid()}-{name}"
    make_private(folder)
    return folder


def make_private(folder: Path) -> None:
    """Make it, if it isn't there.

    Raises:
        NextbestError: it is there, and others may enter it, or it is somebody else's, or no folder itself.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    facts = folder.lstat()
    if facts.st_uid != os.getuid() or not S_ISDIR(facts.st_mode) or facts.st_mode & 0o077:
        raise NextbestError(f"{folder} is not a private folder of this user: remove it and start again")


def keep_young(folder: Path) -> None:
    """Touch its files: systems clear away temporary ones that nobody read or wrote for days.

    Not sockets: Redis' keeper tells its own from another's by the times.
    """
    with suppress(FileNotFoundError):  # of a process that just ended; the rest is touched the next time
        for path in (folder, *folder.rglob("*")):
            if not path.is_socket():
                os.utime(path)
