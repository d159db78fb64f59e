"""Who keeps the machine busy: what this process and its children use isn't others' work, and waiting ends."""

import subprocess
import sys
import time

import pytest

from tests.benchmarks import quiet

BUSY = "import time\nwhile time.process_time() < 0.3: pass"


def test_children_that_ended_meanwhile_are_not_others() -> None:
    before_s = quiet._own_s()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert quiet._own_s() - before_s >= 0.28


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUIET", -1.0)
    monkeypatch.setattr(quiet, "LOOK_S", 0.05)
    patience = quiet.Patience(0.12)
    start_s = time.monotonic()
    for _ in range(10):
        patience.wait()
    assert 0.12 <= time.monotonic() - start_s < 3
