"""What a night tells of the history that it learned from: how much there was, and its entry in a version."""

from datetime import UTC, datetime

import numpy as np

from models.interactions import Interactions
from storage.history import History
from storage.manifest import HistoryEntry
from training import contents


def history_counts(history: History, interactions: Interactions) -> dict[str, int]:
    """How much was read, and what is left of it; for people. Products are those sold; unsold is the rest."""
    came = history.from_record
    from_record = {} if came is None else {"from_the_record": came.purchases}
    return {
        "lines": history.read_lines,
        "rejected": history.rejected,
        "left_out": sum(history.left_out.values()),
        "purchases": history.purchases.height,
        **from_record,
        "orders": len(np.unique(interactions.order_row)),
        "customers": len(history.customer_ids),
        "products": sold_products(interactions),
        "unsold": history.products.height - sold_products(interactions),
    }


def history_entry(history: History, interactions: Interactions, counts: dict[str, int]) -> HistoryEntry:
    return HistoryEntry(
        fingerprint=history.fingerprint,
        purchases=counts["purchases"],
        orders=counts["orders"],
        customers=counts["customers"],
        products=counts["products"],
        first_purchase=datetime.fromtimestamp(int(interactions.at_s.min()), UTC),
        last_purchase=last_purchase(interactions),
        rejected=counts["rejected"],
        timezone=history.timezone,
        recent_days=contents.RECENT_DAYS,
        tombstone=history.from_record.tombstone if history.from_record else None,
        last_event=history.from_record.last_event if history.from_record else None,
    )


def sold_products(interactions: Interactions) -> int:
    return len(np.unique(interactions.product_row))


def last_purchase(interactions: Interactions) -> datetime:
    return datetime.fromtimestamp(int(interactions.at_s.max()), UTC)
