"""Looks again and again, in a thread that ends with the process; a step that fails is logged and outlived."""

import threading
import time
from collections.abc import Callable

import structlog

from service.errors import RefusedError

log = structlog.get_logger()


def now_and_every(seconds: float, step: Callable[[], None], name: str) -> None:
    """Take this step now, and go on as `every` does."""
    once(step, name)
    every(seconds, step, name)


def every(seconds: float, step: Callable[[], None], name: str) -> None:
    """Take this step after each pause of so many seconds."""

    def go_on() -> None:
        while True:
            time.sleep(seconds)
            once(step, name)

    threading.Thread(target=go_on, name=name, daemon=True).start()


def once(step: Callable[[], None], name: str) -> None:
    """Take this step, in this thread; what fails is logged and outlived."""
    try:
        step()
    except RefusedError:
        pass  # the door to the record has said why; what was known goes on
    except Exception:  # the worker must outlive whatever a record, a store or a file can hold
        log.exception("a step in the background failed", of=name)
