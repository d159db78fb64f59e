"""Steps run at once, keep their places, and tell what went wrong."""

import ctypes
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from models.numerics.cores import AT_ONCE, at_once, blas_threads, give_back, streamed


def test_two_steps_run_at_once_and_keep_their_places() -> None:
    meet = threading.Barrier(2, timeout=30)  # each waits for the other: one after another would never end

    def found(value: str) -> str:
        meet.wait()
        return value

    assert at_once([lambda: found("a"), lambda: found("b")]) == ["a", "b"]
    assert at_once([lambda number=number: number for number in range(7)]) == list(range(7))  # type: ignore[misc]
    assert at_once([]) == []


def test_what_a_step_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        at_once([lambda: 1, lambda: 1 // 0])
    with pytest.raises(ZeroDivisionError):
        list(streamed([lambda: 1, lambda: 1 // 0]))


def test_a_stream_runs_two_at_once_and_begins_few_before_what_they_found_is_taken() -> None:
    meet, begun = threading.Barrier(2, timeout=30), []

    def found(number: int) -> int:
        begun.append(number)
        meet.wait()
        return number

    results = streamed(partial(found, number) for number in range(10))
    assert next(results) == 0
    assert max(begun) <= AT_ONCE
    assert list(results) == list(range(1, 10))
    assert sorted(begun) == list(range(10))
    assert list(streamed([])) == []


def threads() -> list[int]:
    """Of each BLAS that this process has, numpy's own and scipy's."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_keeps_to_one_thread_within_a_step_and_gets_back_what_it_had() -> None:
    before = threads()
    for ways in (at_once, streamed):
        assert list(ways([threads, threads])) == [[1] * len(before)] * 2
    assert threads() == before


def test_every_blas_keeps_to_the_threads_it_is_given_each_time_anew() -> None:
    before = threads()
    for most in (1, 2, 1):
        with blas_threads(most), blas_threads(None):
            assert threads() == [most] * len(before)
        assert threads() == before


def resident_mb() -> float:
    """Of this process, as Linux tells it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone can be asked")
def test_what_was_freed_between_blocks_in_use_goes_back_to_the_system() -> None:
    blocks = [np.ones(4000) for _ in range(5000)]  # 160 MB
    in_use = blocks[::100]
    del blocks
    before = resident_mb()
    give_back()
    assert before - resident_mb() > 100
    assert len(in_use) == 50
