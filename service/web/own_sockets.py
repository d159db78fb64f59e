"""The sockets of this process, which the server opened and shows to nobody: as /proc has them (Linux)."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

INTERNET = (socket.AF_INET, socket.AF_INET6)


def own_sockets(is_wanted: Callable[[socket.socket], bool]) -> Iterator[socket.socket]:
    """Those that are wanted, each as a copy that is the caller's to close."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if not stat.S_ISSOCK(os.fstat(int(link.name)).st_mode):
                continue
            found = socket.socket(fileno=os.dup(int(link.name)))
            if is_wanted(found):
                yield found
            else:
                found.close()
