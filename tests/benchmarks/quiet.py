"""How much of the machine others use: figures of a server beside its load generator mean little then."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

QUIET = 0.2  # of one core
LOOK_S = 2.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Others:
    """Cores that others kept busy on average."""

    cores: float = float("nan")


def wait_for_quiet(wait_s: float) -> None:
    """Return when others use less than `QUIET` of a core, or after `wait_s`."""
    end_s = time.monotonic() + wait_s
    while True:
        with others() as seen:
            time.sleep(LOOK_S)
        if seen.cores < QUIET or time.monotonic() > end_s:
            return


@contextmanager
def others() -> Iterator[Others]:
    """Measures within the block what is used by processes that are neither this one nor its children."""
    seen, start_s, before_s = Others(), time.monotonic(), _busy_s() - _own_s()
    yield seen
    seen.cores = max(0.0, (_busy_s() - _own_s() - before_s) / (time.monotonic() - start_s))


def _busy_s() -> float:
    """Seconds that all cores were busy for since the machine started, stolen ones included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def _own_s() -> float:
    total_s = time.process_time()
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total_s += times.user + times.system
    return total_s
