"""Workers that are told to stop: one that ends in its time isn't killed, one that doesn't is."""

import time
from typing import Any

from service.processes.workers import Workers


class Ending:
    """A worker that ends some time after it was told to, while another thread waits for it too.

    That thread hears of the end first: then `join` comes back at once, and the worker seems alive until the
    thread has said so.
    """

    idx = 0

    def __init__(self, takes_s: float) -> None:
        self.takes_s, self.ends_s, self.is_killed = takes_s, float("inf"), False

    def terminate(self) -> None:
        self.ends_s = time.monotonic() + self.takes_s

    def is_alive(self) -> bool:
        return not self.is_killed and time.monotonic() < self.ends_s

    def kill(self) -> None:
        self.is_killed = True

    def join(self, timeout: float | None = None) -> None:
        pass


def stopped(*takes_s: float) -> list[bool]:
    """Which of such workers were killed, where they have .2 s."""
    server: Any = Workers.__new__(Workers)
    server.workers_kill_timeout = 0.2
    workers = [Ending(each) for each in takes_s]
    server.wrks = list(workers)
    began_s = time.monotonic()
    server._stop_workers()
    assert time.monotonic() - began_s < 5
    return [worker.is_killed for worker in workers]


def test_a_worker_that_ends_in_its_time_is_not_killed_by_whoever_hears_of_it_second() -> None:
    assert stopped(0.05, 0.0, 0.05) == [False, False, False]


def test_a_worker_that_goes_on_is_killed_after_its_time() -> None:
    assert stopped(60.0, 0.0, 60.0) == [True, False, True]
