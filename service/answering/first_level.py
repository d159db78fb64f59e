"""The assembled lists that a worker used just now: asked again, nothing of them is made anew."""

import threading
import time
from collections.abc import Callable

from service.answering.own_list import OwnList
from service.live.told import Told
from service.rules.placed import PlacedRules
from service.versions.served import ServedVersion


class FirstLevel:
    """The lists that this worker made within the last second, all of one version; the oldest go first."""

    def __init__(self, size: int, life_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._life_s, self._clock = size, life_s, clock
        self._served: ServedVersion | None = None
        self._lists: dict[tuple[str, str], tuple[float, OwnList]] = {}
        self._changes = threading.Lock()  # a version that comes warms up in another thread

    @property
    def keeps(self) -> bool:
        """Whether it is of any use to keep what is made of a list."""
        return self._life_s > 0

    def get(self, asked: tuple[str, str], rules: PlacedRules, told: Told | None) -> OwnList | None:
        """A list by objective and customer: an id may be any text, so both stand apart."""
        if rules.served is not self._served:
            self._served, self._lists = rules.served, {}  # a list holds the files of its version open
        entry = self._lists.get(asked)
        if entry is None or entry[0] < self._clock():
            return None
        own = entry[1]
        return own if own.rules is rules and own.told is told else None

    def put(self, asked: tuple[str, str], own: OwnList) -> None:
        if not self._life_s or own.served is not self._served:
            return
        with self._changes:
            lists = self._lists
            lists.pop(asked, None)  # so that it stands last
            if len(lists) >= self._size:
                lists.pop(next(iter(lists)))
            lists[asked] = (self._clock() + self._life_s, own)
