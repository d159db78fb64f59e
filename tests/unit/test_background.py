"""A step in the background is taken now or after a pause, and again whatever becomes of it."""

import threading

import pytest

from service.background import every, now_and_every
from service.errors import RefusedError

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
    assert step.was_done.wait(5)
    assert step.calls >= 3


def test_the_first_step_is_now_or_after_the_pause() -> None:
    now, later = Step(), Step()
    now_and_every(3600, now, "test")
    every(3600, later, "test")
    assert (now.calls, later.calls) == (1, 0)
