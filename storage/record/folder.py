"""The record's own folder and files: for their owner alone, who is the owner of what they are in."""

import os
from contextlib import suppress
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Make a folder, if it isn't there; not the one around it, which may be misspelt."""
    if not folder.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        _give(folder)


def private_file(file: Path) -> None:
    """Make an empty file and its folder, if they aren't there."""
    with suppress(FileExistsError):
        new_private_file(file)


def new_private_file(file: Path) -> None:
    """Make an empty file, and its folder if that isn't there.

    Raises:
        FileExistsError: it is there, or somebody else makes it now.
    """
    private_folder(file.parent)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    _give(file)


def _give(path: Path) -> None:
    """What root makes belongs to whom the folder around it belongs to, so that the service can use it."""
    if os.geteuid() == 0:
        facts = path.parent.stat()
        os.chown(path, facts.st_uid, facts.st_gid)
