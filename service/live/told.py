"""What a worker knows of one customer beyond the night: an immutable value, replaced as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from sys import intern
from typing import NamedTuple
from zlib import crc32

from storage.record.live import Trade

MOST_LINES = 50
"""Products bought since the night that count, the latest; a packed list can name no more."""


class Line(NamedTuple):
    """A product that was bought since the night.

    Attributes:
        at_ms: of its last purchase, Unix milliseconds.
        times: distinct orders.
    """

    product_id: str
    at_ms: int
    times: int


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """A customer to whom something happened.

    Attributes:
        epoch: the record's number of the last change.
        lines: the latest purchase first.
        has_night: whether what any night left is the customer's; not after an erasure.
        mark: differs where lines differ: an epoch alone may be known before all that belongs to it.
        erased: number of the erasure after which this life began; 0 where that isn't known or there was none.
    """

    epoch: int
    lines: tuple[Line, ...]
    has_night: bool
    mark: int
    erased: int = 0

    def has_night_of(self, tombstone: int) -> bool:
        """Whether what a version left is the customer's: of before an erasure that it knew it has nothing.

        Args:
            tombstone: number of the latest erasure that the version knew.
        """
        return self.has_night or 0 < self.erased <= tombstone


NOT_PERSONAL = Told(0, (), False, 0)
"""Somebody whose answers may not be personal."""


def told_of(epoch: int, trade: Sequence[Trade], *, has_night: bool, erased: int = 0) -> Told:
    """What trade in the order of time comes to."""
    lines = lines_of(trade)
    return Told(epoch, lines, has_night, crc32(repr((has_night, lines)).encode()), erased)


def lines_of(trade: Sequence[Trade]) -> tuple[Line, ...]:
    """Products that were bought and kept, the latest first, at most MOST_LINES."""
    kept: list[tuple[Trade, float]] = []
    for one in trade:
        if one.is_return:
            _take_back(kept, one)
        else:
            kept.append((one, one.quantity))
    last_ms: dict[str, int] = {}
    orders: dict[str, set[object]] = {}
    for number, (bought, _) in enumerate(kept):
        last_ms[bought.product_id] = max(bought.at_ms, last_ms.get(bought.product_id, 0))
        order = bought.order_id if bought.order_id is not None else number
        orders.setdefault(bought.product_id, set()).add(order)
    lines = [
        Line(intern(product_id), at_ms, len(orders[product_id])) for product_id, at_ms in last_ms.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.at_ms, line.product_id))[:MOST_LINES])


def _take_back(kept: list[tuple[Trade, float]], back: Trade) -> None:
    """Take a return off the purchases it is of: of its order, else of the latest ones.

    What was bought before the night is the next night's business.
    """
    left = back.quantity
    for place in range(len(kept) - 1, -1, -1):
        bought, quantity = kept[place]
        if bought.product_id != back.product_id or back.order_id not in (None, bought.order_id):
            continue
        if quantity > left:
            kept[place] = bought, quantity - left
            return
        del kept[place]
        left -= quantity
        if left <= 0:
            return
