"""Callers who come when they come, not when the one before was answered: a stall makes all of them wait.

The loop of `tests.benchmarks.load`, in a thread, in pieces so that it can be stopped.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

import numpy as np

from tests.benchmarks.load import Asked, get, open_loop, poisson

PIECE_S = 0.5


class Steady:
    """Asks at a rate, until it is stopped.

    Attributes:
        wrong: what came of pieces in which an answer was another than asked for, or none came.
    """

    def __init__(self, port: int, customers: Sequence[str], rate_per_s: float) -> None:
        self._port, self._rate_per_s, self._stop = port, rate_per_s, threading.Event()
        self._questions = cycle([_question(customer) for customer in customers])
        self._rng = np.random.default_rng(5)
        self._waited: list[tuple[float, float]] = []
        self.wrong: list[str] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def p99_ms(self, begin_s: float, end_s: float) -> float:
        """99th percentile of the times that those waited who were due in a stretch of time."""
        waited_ms = [ms for due_s, ms in self._waited if begin_s <= due_s < end_s]
        return float(np.percentile(waited_ms, 99, method="inverted_cdf"))

    def _ask(self) -> None:
        begin_s = time.monotonic()
        while not self._stop.is_set():
            due_s = poisson(self._rate_per_s, PIECE_S, self._rng) + begin_s - time.monotonic()
            came = open_loop(self._port, self._questions, due_s, clock=time.monotonic)
            begin_s += PIECE_S  # also if that took longer: who was due meanwhile has waited since
            self._waited += zip(came.due_s, came.waited_ms, strict=True)
            if came.wrong or came.missing:
                self.wrong.append(f"{came.wrong} wrong, {came.missing} without an answer")
            time.sleep(max(0.0, begin_s - time.monotonic()))


def _question(customer: str) -> Asked:
    return get(f"/recommend/{customer}", body_begins=f'{{"customer_id": "{customer}", ')


@contextmanager
def steady(port: int, customers: Sequence[str], rate_per_s: float) -> Iterator[Steady]:
    """Callers as long as the block lasts; `stop` them inside to see what came of it."""
    running = Steady(port, customers, rate_per_s)
    try:
        yield running
    finally:
        running.stop()
