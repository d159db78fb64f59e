"""Two threads side by side that take turns as often as can be, so that what they may not share shows."""

import sys
import threading
from collections.abc import Callable


def side_by_side(one: Callable[[], None], other: Callable[[], None]) -> list[Exception]:
    """What either of them raised."""
    failed: list[Exception] = []

    def run(use: Callable[[], None]) -> None:
        try:
            use()
        except Exception as err:
            failed.append(err)

    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        both = [threading.Thread(target=run, args=(use,)) for use in (one, other)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    finally:
        sys.setswitchinterval(before_s)
    return failed
