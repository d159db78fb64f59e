"""How often somebody may ask: a token bucket for each, in the memory of one worker, bounded.

A bucket that refills by `rate_per_s` is kept as one number, the moment at which it will be full again (the
"generic cell rate algorithm" of ATM Forum TM 4.0): so one that is full need not be kept at all.
"""

from collections.abc import Callable
from math import ceil


class Buckets:
    """Buckets of one kind, such as one for each address.

    Args:
        rate_per_s: how many calls each gets back in a second; above 0.
        burst: how many calls a full bucket holds; at least 1.
        most: how many buckets are kept. With more of them in use the fullest are forgotten.
        clock: seconds that never run backwards.
    """

    def __init__(self, rate_per_s: float, burst: float, most: int, clock: Callable[[], float]) -> None:
        self._gap_s = 1 / rate_per_s
        self._reserve_s = (max(burst, 1.0) - 1) * self._gap_s
        self._most, self._clock = most, clock
        self._full_at: dict[str, float] = {}

    def take(self, who: str) -> int:
        """Count a call of somebody. Returns 0 if one was left, else in how many seconds there will be one."""
        now = self._clock()
        full_at = max(self._full_at.get(who, now), now)
        wait_s = full_at - now - self._reserve_s
        if wait_s > 1e-9:
            return max(1, ceil(wait_s))
        if len(self._full_at) >= self._most and who not in self._full_at:
            self._forget(now)
        self._full_at[who] = full_at + self._gap_s
        return 0

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Drop what is full; then, if more than half is left, the fullest, down to half."""
        kept = sorted((at, who) for who, at in self._full_at.items() if at > now)
        self._full_at = {who: at for at, who in kept[-(self._most // 2) :]}
