"""A process whose parent was killed ends, also if it hears no signal that tells it so."""

import subprocess
import sys

ORPHAN = """
import os, signal, time
from service.processes.die_with_parent import watch_parent

parent_pid = os.getpid()
begun, begins = os.pipe()
if os.fork():
    os.read(begun, 1)
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
watch_parent(parent_pid, within_s=1)
os.write(begins, b"1")
for _ in range(600):
    print(time.monotonic(), flush=True)
    time.sleep(0.1)
"""


def test_an_orphan_that_hears_nothing_ends_after_its_time() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=True, timeout=30
    )
    times_s = [float(line) for line in ran.stdout.split()]  # read until the orphan has ended
    assert 0.5 < times_s[-1] - times_s[0] < 10
