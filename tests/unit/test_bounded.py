"""Whoever asks for work waits for a bounded time, whatever hangs."""

import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from storage.bounded import Bounded, TooLateError
from tests.data.running_service import until


def test_work_gives_back_what_it_returns_or_raises() -> None:
    bounded = Bounded(5, "test")
    assert bounded.do(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        bounded.do(lambda: 1 / 0)
    with pytest.raises(TimeoutError, match="its own"):
        bounded.do(lambda: (_ for _ in ()).throw(TimeoutError("its own")))
    assert bounded.do(lambda: threading.current_thread().name) == "test"


def test_who_asks_what_hangs_is_refused_in_time_and_who_comes_after_at_once() -> None:
    bounded, goes_on = Bounded(0.1, "test"), threading.Event()
    began_s = time.monotonic()
    with pytest.raises(TooLateError, match="no answer within 100 ms"):
        bounded.do(goes_on.wait)
    assert 0.1 <= time.monotonic() - began_s < 10
    assert bounded.hangs
    with pytest.raises(TooLateError, match="still works"):
        bounded.do(lambda: pytest.fail("it must not be done behind what hangs"))
    goes_on.set()
    until(lambda: not bounded.hangs, 10)
    assert bounded.do(lambda: 7) == 7


class LooksLate(Future[Any]):
    """Its time is over just when it is done."""

    def result(self, timeout: float | None = None) -> Any:
        found = super().result()
        if timeout is not None:
            raise TimeoutError
        return found


def test_what_ends_just_as_its_time_is_over_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.bounded.Future", LooksLate)
    assert Bounded(5, "test").do(lambda: 7) == 7


def test_two_who_ask_at_once_get_each_their_own() -> None:
    bounded, answers = Bounded(5, "test"), dict[int, int]()

    def ask(number: int) -> None:
        for _ in range(200):
            answers[number] = bounded.do(lambda: number)
            assert answers[number] == number

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {0: 0, 1: 1, 2: 2}
