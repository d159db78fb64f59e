"""Takes what was sent as events: each checked on its own, then all good ones kept in one transaction."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.events.counters import EventCounters
from service.events.schemas import BadEventError, check_event
from service.record import SEND_AGAIN, RecordDoor
from service.settings import Settings
from service.web.parameters import ID_BYTES
from storage.record.consent import PRESETS
from storage.record.events import DailyCaps, Event, Fate, Outcome, Sending
from storage.record.intake import Intake
from storage.record.record import Record

INVALID = "invalid"
UNKNOWN_TYPE = "none"
KEPT = (Fate.RECORDED, Fate.DUPLICATE)
NO_SUCH_OFFER = "offer_id: the version that answers has no such offer"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event that was sent.

    Attributes:
        event_id: as it was sent; None if there was none that could be one.
        fate: of storage.record.events.Fate, or `invalid`.
        reason: why it was not recorded as new.
        field: of the event that is at fault, if one is; the reason begins with it.
        warning: what looks wrong about one that was recorded.
    """

    event_id: str | None
    fate: str
    reason: str | None = None
    field: str | None = None
    warning: str | None = None


class EventDesk:
    """The use case behind POST /events.

    Args:
        is_known: whether a product is one of the shop's.
        knows_offer: whether an offer is. A purchase counts all the same: a later night may know it.
        recorded: told when events are durable, before they are acknowledged.
    """

    def __init__(
        self,
        settings: Settings,
        door: RecordDoor,
        counters: EventCounters,
        is_known: Callable[[str], bool],
        knows_offer: Callable[[str], bool],
        recorded: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._door, self._counters, self._clock = door, counters, clock
        self._caps = DailyCaps(settings.trade_per_customer_day, settings.events_per_customer_day)
        self._stores_by_default, self._is_known = PRESETS[settings.consent_default].store, is_known
        self._knows_offer, self._recorded = knows_offer, recorded

    def take(self, sent: Sequence[object], namespace: str, client: str) -> list[Verdict]:
        """What became of each event, in the order in which they were sent. Durable when this returns.

        Args:
            namespace, client: as in `Sending`.
        Raises:
            RefusedError: the record can't be used now.
        """
        now_ms = int(self._clock() * 1000)
        checked = [_checked(one, now_ms) for one in sent]
        good = [event for event in checked if isinstance(event, Event)]
        outcomes = iter(self._record(Sending(namespace, client, now_ms), good) if good else ())
        verdicts = [
            self._verdict(event, next(outcomes)) if isinstance(event, Event) else event for event in checked
        ]
        for event, verdict in zip(checked, verdicts, strict=True):
            kind = event.type.value if isinstance(event, Event) else UNKNOWN_TYPE
            self._counters.event(kind, verdict.fate)
        return verdicts

    def _verdict(self, event: Event, outcome: Outcome) -> Verdict:
        is_doubtful = (
            outcome.fate in KEPT and event.offer_id is not None and not self._knows_offer(event.offer_id)
        )
        return Verdict(event.event_id, *outcome, warning=NO_SUCH_OFFER if is_doubtful else None)

    def _record(self, sending: Sending, events: list[Event]) -> list[Outcome]:
        def work(record: Record) -> list[Outcome]:
            intake = Intake(record.key, self._caps, self._stores_by_default, self._is_known)
            with record.writing() as connection:
                return intake.take(connection, sending, events)

        began_s = time.perf_counter()
        outcomes = self._door.do(work, SEND_AGAIN)
        self._counters.committed(time.perf_counter() - began_s)
        if any(outcome.fate is Fate.RECORDED for outcome in outcomes):
            self._recorded()
        return outcomes


def _checked(sent: object, now_ms: int) -> Event | Verdict:
    try:
        return check_event(sent, now_ms)
    except BadEventError as err:
        event_id = sent.get("event_id") if isinstance(sent, dict) else None
        known = event_id if isinstance(event_id, str) and len(event_id) <= ID_BYTES else None
        return Verdict(known, INVALID, str(err), err.field)


STATUS = {
    Fate.RECORDED: 200,
    Fate.DUPLICATE: 200,
    Fate.QUARANTINED: 200,
    Fate.DISCARDED: 200,
    INVALID: 400,
    Fate.CONFLICT: 409,
    Fate.ERASED: 410,
}
"""What each fate would be as the answer to one event alone."""
