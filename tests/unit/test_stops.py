"""Signals to stop: the first is taken once, whatever comes with it and whatever the main thread waits for."""

import signal
import subprocess
import sys

WAITS = """
import threading
from service.processes.stops import Stops

is_over = threading.Event()
Stops().call(is_over.set)
for _ in range(10):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("waits", flush=True)
is_over.wait()
print("is over", flush=True)
"""
STARTS = WAITS.replace(".call(is_over.set)", "")


def told(code: str, *signals: signal.Signals) -> tuple[str, int]:
    """What a process says that is told to stop when it waits, and how it ends."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        for each in signals:
            process.send_signal(each)
        try:
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    return said, process.returncode


def test_signals_that_come_together_are_heard() -> None:
    assert {told(WAITS, signal.SIGINT, signal.SIGTERM) for _ in range(20)} == {("is over\n", 0)}


def test_a_process_that_has_begun_nothing_yet_ends_by_the_signal() -> None:
    assert told(STARTS, signal.SIGTERM) == ("", -signal.SIGTERM)
    assert told(STARTS, signal.SIGINT) == ("", -signal.SIGINT)


def test_a_child_is_told_by_its_parent_alone() -> None:
    child = STARTS.replace("Stops()", "Stops(is_child=True)")
    assert told(child, signal.SIGINT, signal.SIGHUP, signal.SIGTERM) == ("", -signal.SIGTERM)


def test_a_terminal_that_closes_is_a_signal_to_stop_but_not_under_nohup() -> None:
    assert told(WAITS, signal.SIGHUP) == ("is over\n", 0)
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert told(nohup + STARTS, signal.SIGHUP, signal.SIGTERM) == ("", -signal.SIGTERM)
