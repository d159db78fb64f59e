"""What a customer did, as the record keeps it, and what can become of it when it is sent."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class EventType(StrEnum):
    """What happened."""

    PURCHASE = "purchase"
    RETURN = "return"
    VIEW = "view"
    ADD_TO_CART = "add_to_cart"
    CLICK = "click"
    SURVEY = "survey"


TRADE = (EventType.PURCHASE, EventType.RETURN)
"""What a shop's books hold, too: these change what the customer is shown."""


class Fate(StrEnum):
    """What became of an event."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"  # it was there already, and the same
    QUARANTINED = "quarantined"  # kept aside, not counted
    DISCARDED = "discarded"  # the customer wants nothing stored, or a browser sent too much
    CONFLICT = "conflict"  # its id was used for another event
    ERASED = "erased"  # the customer was erased


class Outcome(NamedTuple):
    """What became of one event, and why, where it wasn't recorded."""

    fate: Fate
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event, checked.

    Attributes:
        payload_hash: 16 bytes; of equal events equal.
        payload: the event as JSON, for the quarantine.
        at_ms: when it happened, Unix milliseconds.
        question, score: of a survey: nps 0 to 10, ces 1 to 7.
    """

    event_id: str
    payload_hash: bytes
    payload: str
    type: EventType
    customer_id: str
    at_ms: int
    product_id: str | None = None
    order_id: str | None = None
    quantity: float | None = None
    unit_price: float | None = None
    discount: float | None = None
    request_id: str | None = None
    position: int | None = None
    question: str | None = None
    score: int | None = None
    offer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """Who sent events, and when.

    Attributes:
        namespace: whose event ids these are: empty for the shop's back ends, else the customer of a browser.
        client: id of the key that was used; empty without one.
        received_ms: Unix milliseconds.
    """

    namespace: str
    client: str
    received_ms: int


@dataclass(frozen=True, slots=True)
class DailyCaps:
    """How many events of a customer are recorded on one day (UTC): purchases and returns, and all others."""

    trade: int
    others: int
