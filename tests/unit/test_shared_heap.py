"""Threads of a process with heaps of their own, and without."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESS = """
import threading
from service.processes.shared_heap import share_one_heap
from tests.data.thread_heaps import thread_heaps

if {shares}:
    share_one_heap()
every = threading.Barrier(4)

def work():
    every.wait()
    kept = bytearray(5_000)
    every.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(thread_heaps())
"""


@pytest.mark.parametrize(("shares", "heaps"), [(False, 4), (True, 0)])
def test_threads_of_a_process_share_a_heap_once_asked_for(shares: bool, heaps: int) -> None:
    command = [sys.executable, "-c", PROCESS.format(shares=shares)]
    counted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert int(counted) == heaps
