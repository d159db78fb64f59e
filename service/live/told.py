"""What a worker knows of one customer beyond the night: an immutable value, replaced as a whole."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from sys import intern, maxsize
from typing import NamedTuple
from zlib import crc32

from storage.record.live import Trade

MOST_LINES = 200
"""Products bought since the night that count, the latest: a bound for memory, of 37 KB."""


class Line(NamedTuple):
    """A product that was bought since the night.

    Attributes:
        at_ms: of its last purchase, Unix milliseconds.
        orders_ms: of each order with an id, when it was bought.
        loose_ms: of each purchase without one. Which of them are one order a version's time zone says.
        order_ids: of `orders_ms`.
    """

    product_id: str
    at_ms: int
    orders_ms: tuple[int, ...]
    loose_ms: tuple[int, ...]
    order_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """A customer to whom something happened.

    Attributes:
        epoch: the record's number of the last change.
        lines: the latest purchase first.
        mark: differs where lines differ: an epoch alone may be known before all that belongs to it.
        erased: number of the erasure after which this life began, 0 if there was none: what a night left that
            didn't know it isn't the customer's.
        redeemed: ids of the offers that were redeemed since the night, whatever was returned.
    """

    epoch: int
    lines: tuple[Line, ...]
    mark: int
    erased: int = 0
    redeemed: frozenset[str] = frozenset()


NOT_PERSONAL = Told(0, (), 0, erased=maxsize)
"""Somebody whose answers may not be personal: no night is theirs."""


def has_night_of(told: Told | None, tombstone: int) -> bool:
    """Whether what a version left is the customer's: of before an erasure that it knew it has nothing.

    Args:
        told: None: nothing happened to them.
        tombstone: number of the latest erasure that the version knew.
    """
    return told is None or told.erased <= tombstone


def told_of(epoch: int, trade: Sequence[Trade], erased: int = 0) -> Told:
    """What trade in the order of time comes to."""
    lines = lines_of(trade)
    redeemed = frozenset(one.offer_id for one in trade if one.offer_id is not None)
    return Told(epoch, lines, crc32(repr((not erased, lines)).encode()), erased, redeemed)


def lines_of(trade: Sequence[Trade]) -> tuple[Line, ...]:
    """Products that were bought and kept, the latest first, at most MOST_LINES."""
    kept = [(one, one.quantity) for one in _once(trade)]
    returns = [one for one in trade if one.is_return]
    returns.sort(key=lambda back: back.order_id is None)  # those that say of which order come first
    for back in returns:
        _take_back(kept, back)
    orders: dict[str, dict[str, int]] = defaultdict(dict)
    loose: dict[str, list[int]] = defaultdict(list)
    for bought, _ in kept:
        if bought.order_id is None:
            loose[bought.product_id].append(bought.at_ms)
        else:
            orders[bought.product_id][bought.order_id] = bought.at_ms
    lines, same = [], dict[tuple[str, ...], tuple[str, ...]]()
    for product_id in orders.keys() | loose.keys():
        ordered = sorted((at_ms, order_id) for order_id, at_ms in orders[product_id].items())
        orders_ms = tuple(at_ms for at_ms, _ in ordered)
        order_ids = tuple(order_id for _, order_id in ordered)
        order_ids = same.setdefault(order_ids, order_ids)  # one for all products of an order
        loose_ms = tuple(sorted(loose[product_id]))
        at_ms = max(orders_ms[-1:] + loose_ms[-1:])
        lines.append(Line(intern(product_id), at_ms, orders_ms, loose_ms, order_ids))
    return tuple(sorted(lines, key=lambda line: (-line.at_ms, line.product_id))[:MOST_LINES])


def _once(trade: Sequence[Trade]) -> list[Trade]:
    """Purchases; of those with one order and product the first, as the night has it."""
    seen, once = set[tuple[str, str]](), []
    for one in trade:
        if one.is_return:
            continue
        if one.order_id is not None:
            if (one.order_id, one.product_id) in seen:
                continue
            seen.add((one.order_id, one.product_id))
        once.append(one)
    return once


def _take_back(kept: list[tuple[Trade, float]], back: Trade) -> None:
    """Take a return off the purchases it is of: of its order, whatever time a clock said, else of the latest
    ones before it.

    What was bought before the night is the next night's business.
    """
    left = back.quantity
    for place in range(len(kept) - 1, -1, -1):
        bought, quantity = kept[place]
        is_before = bought.at_ms <= back.at_ms
        is_of = is_before if back.order_id is None else bought.order_id == back.order_id
        if bought.product_id != back.product_id or not is_of:
            continue
        if quantity > left:
            kept[place] = bought, quantity - left
            return
        del kept[place]
        left -= quantity
