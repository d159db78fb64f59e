"""A step in the background is taken now or after a pause, and again whatever becomes of it."""

import threading
from functools import partial

import pytest
from structlog.testing import capture_logs

from service.errors import RefusedError
from service.processes.background import Outlived, every, now_and_every
from tests.data.running_service import until

SOON_S = 0.005


class Step:
    """Fails as told, one error a call; calls after those succeed."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls, self.was_done = list(errors), 0, threading.Event()

    def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        self.was_done.set()


@pytest.mark.parametrize(
    "error", [RefusedError("no_record", None, "no record"), OSError("disk"), ValueError("value")]
)
def test_a_step_that_fails_is_taken_again(error: Exception) -> None:
    step = Step(error, error)
    now_and_every(SOON_S, step, "test")
    assert step.was_done.wait(20)
    assert step.calls >= 3


def test_the_first_step_is_now_or_after_the_pause() -> None:
    now, later = Step(), Step()
    now_and_every(3600, now, "test")
    every(3600, later, "test")
    assert (now.calls, later.calls) == (1, 0)


def test_a_fault_that_lasts_is_a_trace_when_it_begins_a_count_each_hour_and_a_count_at_its_end() -> None:
    now_s = 0.0
    outlived = Outlived("test", clock=lambda: now_s)

    def fails(error: Exception) -> None:
        raise error

    with capture_logs() as lines:
        for second in range(2 * 3600):
            now_s = float(second)
            error = OSError(f"disk, at {second}") if second % 2 else ValueError("value")
            outlived.take(partial(fails, error))
            outlived.take(partial(fails, RefusedError("no_record", None, "no record")))
        outlived.take(lambda: None)
        outlived.take(lambda: None)
        outlived.take(partial(fails, OSError("disk")))
    assert [(line["event"], line.get("times"), "exc_info" in line) for line in lines] == [
        ("a step in the background failed", None, True),
        ("a step in the background failed", None, True),  # another fault
        ("a step in the background still fails", 3602, False),
        ("a step in the background works again", 7200, False),
        ("a step in the background failed", None, True),
    ]
    assert {line["of"] for line in lines} == {"test"}


def test_a_step_that_is_taken_for_good_logs_a_fault_once() -> None:
    step = Step(*[OSError("disk")] * 20)
    with capture_logs() as lines:
        every(SOON_S, step, "test")
        assert step.was_done.wait(20)
        until(lambda: len(lines) == 2, 20)
    assert [line["log_level"] for line in lines] == ["error", "info"]
