"""Looks again and again, in a thread that ends with the process."""

import threading
import time
from collections.abc import Callable


def every(seconds: float, step: Callable[[], None], name: str) -> None:
    """Take this step after each pause of so many seconds; `step` has to survive what goes wrong in it."""

    def go_on() -> None:
        while True:
            time.sleep(seconds)
            step()

    threading.Thread(target=go_on, name=name, daemon=True).start()
