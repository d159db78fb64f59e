"""What a night tells of the history that it learned from: how much there was, and what was lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from storage.history.history import History
from training.progress import Progress


@dataclass(frozen=True)
class Lost:
    """Lines that were rejected or left out for one reason.

    Attributes:
        reason: with the table's name in front, where it isn't the purchases.
        share: of all lines of that table.
    """

    reason: str
    lines: int
    share: float


def lost_lines(history: History) -> list[Lost]:
    """Of every table, the purchases first; of each most first, what was rejected before what was left out."""
    tables = sorted(history.counts.items(), key=lambda table: table[0] != "purchases")
    return [
        Lost(reason if name == "purchases" else f"{name}: {reason}", lines, lines / counts.read)
        for name, counts in tables
        for reason, lines in {**counts.rejected, **counts.left_out}.items()
    ]


def tell_history(history: History, progress: Progress, lost: Sequence[Lost]) -> None:
    """What was read, and what became of the lines that nothing is learned from, for people and logs."""
    progress.say("history", **history_counts(history))
    if lost:
        progress.say("not learned from", lines={each.reason: each.lines for each in lost})
    unread = {name: list(counts.unread) for name, counts in history.counts.items() if counts.unread}
    if unread:
        progress.say("columns not read", **unread)


def history_counts(history: History) -> dict[str, int]:
    """How much was read, and what is left of it; for people. Products are those sold; unsold are those that
    the shop tells of beside them."""
    came, told = history.from_record, history.is_told.any(axis=1)
    from_record = {} if came is None else {"from_the_record": came.purchases}
    return {
        "lines": history.read_lines,
        "rejected": history.rejected,
        "left_out": sum(history.left_out.values()),
        "purchases": history.purchases.height,
        **from_record,
        "orders": history.purchases["order_row"].n_unique(),
        "customers": len(history.customer_ids),
        "products": sold_products(history),
        "unsold": int(np.delete(told, history.purchases["product_row"].unique()).sum()),
    }


def sold_products(history: History) -> int:
    return history.purchases["product_row"].n_unique()


def described_products(history: History) -> int:
    """How many of those sold have a title, a category or a brand."""
    is_described = history.products["title"].is_not_null().to_numpy()
    is_described = is_described | (history.category_row >= 0) | (history.brand_row >= 0)
    return int(is_described[history.purchases["product_row"].unique().to_numpy()].sum())


def first_purchase(history: History) -> datetime:
    return _moment(history.purchases["at_s"].min())


def last_purchase(history: History) -> datetime:
    return _moment(history.purchases["at_s"].max())


def _moment(at_s: Any) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
