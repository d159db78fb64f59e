"""A process whose parent was killed ends, also if it misses the first signal that tells it so."""

import subprocess
import sys

ORPHAN = """
import os, signal, time
from service.die_with_parent import watch_parent

parent_pid, told = os.getpid(), []
if os.fork():
    time.sleep(0.2)
    os._exit(0)

def hear(*_):
    told.append(1)
    if len(told) == 2:
        print("told twice", flush=True)
        os._exit(0)

signal.signal(signal.SIGTERM, hear)
watch_parent(parent_pid, WITHIN_S)
time.sleep(60)
"""


def orphan(within_s: float) -> str:
    """What an orphan says that ends at the second signal; read until it has ended."""
    code = ORPHAN.replace("WITHIN_S", str(within_s))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_an_orphan_that_missed_the_first_signal_is_told_again() -> None:
    assert orphan(within_s=30) == "told twice\n"


def test_an_orphan_that_hears_nothing_ends_all_the_same() -> None:
    assert orphan(within_s=0) == ""
