"""How much of the machine others use: figures of a server beside its load generator mean little then."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

QUIET = 0.2  # of one core
LOOK_S = 1.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Others:
    """Cores that others kept busy on average."""

    cores: float = float("nan")


class Patience:
    """Waits for others to leave the machine alone, so long in all: a benchmark has to end anyway."""

    def __init__(self, left_s: float) -> None:
        self._left_s = left_s

    def wait(self) -> None:
        """Return when others use less than `QUIET` of a core, or when no patience is left."""
        while self._left_s > 0:
            start_s = time.monotonic()
            with others() as seen:
                time.sleep(LOOK_S)
            if seen.cores < QUIET:
                return
            self._left_s -= time.monotonic() - start_s


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
    """Seconds of this process and its children, of those too that ended meanwhile."""
    total_s = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total_s += times.user + times.system + times.children_user + times.children_system
    return total_s
