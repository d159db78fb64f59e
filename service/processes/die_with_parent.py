"""A process that may not outlive the one that started it, however that one ends (Linux: prctl).

Also a script that needs nothing else: `python -I die_with_parent.py PARENT_PID COMMAND...` becomes COMMAND.
"""

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
LOOK_S = 0.5


def die_with_parent(parent_pid: int, how: signal.Signals) -> None:
    """Ask the kernel for a signal to this process when the thread that started it ends.

    Args:
        parent_pid: the process that should be our parent; if it is gone already, this process ends here.
        how: the signal that we want.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, how, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(1)


def watch_parent(parent_pid: int, within_s: float) -> None:
    """End this process some time after its parent at the latest: until it ends, it holds the port."""

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(LOOK_S)
        time.sleep(within_s)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the command hears what our parent leaves to one thread
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # no shell is the point
