"""Follows the record in the background by polling its clock, and at once what this worker acknowledged."""

import threading
import time
from collections.abc import Callable

from service.live.reader import LiveReader
from service.processes.background import Outlived, now_and_every

PIECES_S = 0.1  # how long what is behind may be read in one turn


class LiveFollower:
    """One turn at a time, from whichever thread.

    Args:
        poll_s: how often to look, in seconds.
        wait_s: how long a request waits for its turn.
        of_shop: takes in what changed of products and rules, once the clock moved; what fails comes again.
    """

    def __init__(
        self, reader: LiveReader, *, poll_s: float, wait_s: float, of_shop: Callable[[], None] = lambda: None
    ) -> None:
        self._of_shop = of_shop
        self._shop_seen: int | None = None
        self._reader, self._poll_s, self._wait_s = reader, poll_s, wait_s
        self._turn = threading.Lock()
        self._asked, self._shop = Outlived("customers after an event"), Outlived("products and rules")

    def start(self) -> None:
        """Look now, then go on looking."""
        now_and_every(self._poll_s, self.look, "customers")

    def catch_up(self) -> None:
        """Know what was just committed before it is acknowledged; where that fails, the next turn does it."""
        if not self._turn.acquire(timeout=self._wait_s):
            return
        try:
            self._asked.take(self._reader.look)
        finally:
            self._turn.release()

    def look(self) -> None:
        """Look once at what changed of customers, and of the shop."""
        with self._turn:
            self._reader.look()
        self._shop.take(self._look_at_shop)  # by a door of its own, which may hang alone
        self._go_on()

    def _look_at_shop(self) -> None:
        seen = self._reader.seen
        if seen != self._shop_seen:
            self._of_shop()
            self._shop_seen = seen

    def _go_on(self) -> None:
        until_s = time.monotonic() + PIECES_S
        while self._reader.is_behind and time.monotonic() < until_s:
            with self._turn:
                self._reader.go_on()
