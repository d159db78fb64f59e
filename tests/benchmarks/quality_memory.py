"""The highest resident memory of this process, counted from a moment of one's choice; Linux alone tells."""

import ctypes
import sys
from pathlib import Path


def reset_peak_mb() -> float | None:
    """Resident memory now, in MB, from which `peak` counts on; None where the system doesn't tell."""
    if sys.platform != "linux":
        return None
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back, so that it isn't used for nothing
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """The highest resident memory since `reset_peak_mb`, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
