"""Steps that do not need each other, worked out on the cores that are there."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits

MOST_THREADS = 1024  # that an option may ask for: beyond the cores of a machine they only crowd it
# More would hold more in memory; numpy, scipy, implicit and LightGBM hold no lock while they work.
AT_ONCE = 2


def at_once[Found](steps: Sequence[Callable[[], Found]]) -> list[Found]:
    """What the steps return, in their order; some run at a time, and what is raised is that of the first.

    BLAS keeps to one thread meanwhile: the steps are what the cores share, and limits that a step sets for
    itself could not come back to anything else.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(AT_ONCE) as workers:
        waiting = [workers.submit(step) for step in steps]
        return [each.result() for each in waiting]
