"""Steps that do not need each other, worked out on the cores that are there."""

import ctypes
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache

import numpy as np  # noqa: F401 - it and scipy bring a BLAS each, and both are there when they are looked for
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

MOST_THREADS = 1024  # that an option may ask for: beyond the cores of a machine they only crowd it
# More would hold more in memory; numpy, scipy, implicit and LightGBM hold no lock while they work.
AT_ONCE = 2


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS of this process: to look for them takes longer than what a small shop asks of them."""
    return ThreadpoolController()


def blas_threads(most: int | None) -> AbstractContextManager[object]:
    """BLAS keeps to this many threads meanwhile; None for what it has."""
    limited: AbstractContextManager[object] = _libraries().limit(limits=most, user_api="blas")
    return limited


def at_once[Found](steps: Sequence[Callable[[], Found]]) -> list[Found]:
    """What the steps return, in their order; some run at a time, and what is raised is that of the first.

    BLAS keeps to one thread meanwhile: the steps are what the cores share, and limits that a step sets for
    itself could not come back to anything else.
    """
    with blas_threads(1), ThreadPoolExecutor(AT_ONCE) as workers:
        waiting = [workers.submit(step) for step in steps]
        return [each.result() for each in waiting]


def streamed[Found](steps: Iterable[Callable[[], Found]]) -> Iterator[Found]:
    """As `at_once`, one after another as they are taken: what nobody has taken yet holds back the next.

    BLAS gets its threads back at the end of it, so of two streams in one thread the later one must end first.
    """
    with blas_threads(1), ThreadPoolExecutor(AT_ONCE) as workers:
        waiting = deque[Future[Found]]()
        for step in steps:
            waiting.append(workers.submit(step))
            if len(waiting) > AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def give_back() -> None:
    """Memory that was freed goes back to the system.

    The C library keeps what lies between blocks that are still used, for each thread apart: gigabytes after
    large steps that ran at once. glibc alone can be asked; elsewhere nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
