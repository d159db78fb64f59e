"""Takes events into the record, each once: what becomes of it is decided and written in one transaction."""

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, fields
from typing import NamedTuple

import sqlalchemy as sa

from models.arrays import DAY_MS
from storage.record.erasure_key import ErasureKey
from storage.record.events import TRADE, DailyCaps, Event, Fate, Outcome, Sending
from storage.record.live import IS_TRADE
from storage.record.personal import erased_ms, what_they_say
from storage.record.statements import (
    among,
    consent_lock,
    insert_new,
    insert_new_rows,
    next_change,
    parts,
    upsert,
)
from storage.record.tables import customers, events, products_live, quarantine

UNKNOWN_PRODUCT = "unknown product"
OVER_CAP = "over the customer's daily cap"
REASONS = (UNKNOWN_PRODUCT, OVER_CAP)  # why events are in quarantine

_DUPLICATE = Outcome(Fate.DUPLICATE)
_CONFLICT = Outcome(Fate.CONFLICT, "another event has this event_id")
_RECORDED = Outcome(Fate.RECORDED)
_DISCARDED = Outcome(Fate.DISCARDED, "the customer allows nothing to be stored")
_TOO_MANY = Outcome(Fate.DISCARDED, "too many of the customer's events were kept aside today already")
_ERASED = Outcome(Fate.ERASED, "the customer was erased, and has given no new consent since")
_BEFORE_ERASURE = Outcome(Fate.ERASED, "it happened before the customer was erased")
_COLUMNS = [field.name for field in fields(Event) if field.name in events.c]


@dataclass(frozen=True, slots=True)
class Intake:
    """How events are taken.

    Attributes:
        stores_by_default: the shop's default of the consent `store`.
        is_known: whether a product is one of the shop's.
    """

    key: ErasureKey
    caps: DailyCaps
    stores_by_default: bool
    is_known: Callable[[str], bool]

    def take(self, connection: sa.Connection, sending: Sending, batch: Sequence[Event]) -> list[Outcome]:
        """Take events, within a transaction that writes. Nothing counts before that is committed.

        Returns:
            what became of each, in their order. Of two with one id in a batch the first counts.
        """
        consent_lock(connection, exclusive=False)
        return _Taking(self, connection, sending, batch).outcomes()


class _Known(NamedTuple):
    """An event that is there; with a reason, it is in quarantine."""

    payload_hash: bytes
    reason: str | None

    def again(self, event: Event) -> Outcome:
        """What becomes of an event that comes with the same id."""
        if bytes(self.payload_hash) != event.payload_hash:
            return _CONFLICT
        return Outcome(Fate.QUARANTINED, self.reason) if self.reason else _DUPLICATE


class _Taking:
    """One batch on its way in."""

    def __init__(
        self, intake: Intake, connection: sa.Connection, sending: Sending, batch: Sequence[Event]
    ) -> None:
        self._intake, self._connection, self._sending, self._batch = intake, connection, sending, batch
        self._customer_ids = {event.customer_id for event in batch}
        self._left_aside: int | None = None

    def outcomes(self) -> list[Outcome]:
        known = self._known({event.event_id for event in self._batch})
        stores = what_they_say(self._connection, self._customer_ids, "store")
        erased = erased_ms(self._connection, self._intake.key, self._customer_ids)
        strange = self._strange_products()
        counted = self._counted_today()
        outcomes: list[Outcome] = []
        new: list[Event] = []
        aside: list[tuple[Event, str]] = []
        for event in self._batch:
            before = known.get(event.event_id)
            if before is not None:
                outcomes.append(before.again(event))
                continue
            outcome = self._first(event, stores, erased, strange, counted)
            if outcome.fate is Fate.QUARANTINED and not self._has_room_aside():
                outcome = _TOO_MANY
            outcomes.append(outcome)
            if outcome.fate is Fate.RECORDED:
                new.append(event)
            elif outcome.fate is Fate.QUARANTINED and outcome.reason:
                aside.append((event, outcome.reason))
            else:
                continue
            known[event.event_id] = _Known(event.payload_hash, outcome.reason)
        beaten = self._insert(new)
        self._set_aside(aside)
        traded = {one.customer_id for one in new if one.type in TRADE and one.event_id not in beaten}
        raise_epochs(self._connection, traded)
        if not beaten:
            return outcomes
        return [
            beaten[event.event_id].again(event) if event.event_id in beaten else outcome
            for event, outcome in zip(self._batch, outcomes, strict=True)
        ]

    def _first(
        self,
        event: Event,
        stores: dict[str, bool | None],
        erased: dict[str, int],
        strange: set[str],
        counted: Counter[tuple[str, bool]],
    ) -> Outcome:
        """What becomes of an event whose id was never seen."""
        customer_id = event.customer_id
        if customer_id in erased:
            if customer_id not in stores:
                return _ERASED
            if event.at_ms <= erased[customer_id]:
                return _BEFORE_ERASURE
        if not self._may_store(stores.get(customer_id)):
            return _DISCARDED
        if event.product_id in strange:
            return Outcome(Fate.QUARANTINED, UNKNOWN_PRODUCT)
        key, caps = (customer_id, event.type in TRADE), self._intake.caps
        if counted[key] >= (caps.trade if key[1] else caps.others):
            return Outcome(Fate.QUARANTINED, OVER_CAP)
        counted[key] += 1
        return _RECORDED

    def _may_store(self, consent: bool | None) -> bool:
        return self._intake.stores_by_default if consent is None else consent

    def _known(self, event_ids: set[str]) -> dict[str, _Known]:
        """What is there already of events with these ids."""
        found: dict[str, _Known] = {}
        for some in parts(event_ids):
            for table, reason in ((quarantine, quarantine.c.reason), (events, sa.null())):
                rows = sa.select(table.c.event_id, table.c.payload_hash, reason).where(
                    table.c.namespace == self._sending.namespace,
                    among(self._connection, table.c.event_id, some),
                )
                found.update((event_id, _Known(*what)) for event_id, *what in self._connection.execute(rows))
        return found

    def _strange_products(self) -> set[str]:
        """Products that neither the version knows nor the shop told of since."""
        named = {event.product_id for event in self._batch if event.product_id is not None}
        strange = {product_id for product_id in named if not self._intake.is_known(product_id)}
        for some in parts(strange):
            live = sa.select(products_live.c.product_id).where(
                among(self._connection, products_live.c.product_id, some)
            )
            strange -= set(self._connection.execute(live).scalars())
        return strange

    def _counted_today(self) -> Counter[tuple[str, bool]]:
        """How many events of each customer were recorded today, by whether they are trade."""
        day_began_ms = self._sending.received_ms // DAY_MS * DAY_MS
        is_trade = IS_TRADE.label("is_trade")
        counted: Counter[tuple[str, bool]] = Counter()
        for some in parts(self._customer_ids):
            rows = (
                sa.select(events.c.customer_id, is_trade, sa.func.count())
                .where(
                    among(self._connection, events.c.customer_id, some), events.c.received_ms >= day_began_ms
                )
                .group_by(events.c.customer_id, is_trade)
            )
            for customer_id, trade, n in self._connection.execute(rows):
                counted[customer_id, bool(trade)] = n
        return counted

    def _has_room_aside(self) -> bool:
        """Whether one more may be kept aside. Of a browser's only so many as may count in a day: whoever is
        logged in could fill the disk with views of products that aren't there."""
        sending = self._sending
        if not sending.namespace:
            return True
        if self._left_aside is None:
            day_began_ms, aside = sending.received_ms // DAY_MS * DAY_MS, quarantine.c
            mine = (aside.customer_id == sending.namespace, aside.namespace == sending.namespace)
            most = self._intake.caps.others
            latest = sa.select(aside.received_ms).where(*mine).order_by(aside.id.desc()).limit(most)
            today = [ms for ms in self._connection.scalars(latest) if ms >= day_began_ms]
            self._left_aside = most - len(today)
        self._left_aside -= 1
        return self._left_aside >= 0

    def _insert(self, new: list[Event]) -> dict[str, _Known]:
        """Insert events; of those that another transaction was faster with, what is there."""
        if not new:
            return {}
        # Sorted: two batches with the same ids would else wait for each other for ever.
        rows = sorted((self._row(event) for event in new), key=lambda row: str(row["event_id"]))
        inserted = set(insert_new_rows(self._connection, events, rows, events.c.event_id))
        missing = {event.event_id for event in new} - inserted
        return self._known(missing) if missing else {}

    def _row(self, event: Event) -> dict[str, object]:
        sending = self._sending
        row = {name: getattr(event, name) for name in _COLUMNS}
        return row | {
            "type": event.type.value,
            "namespace": sending.namespace,
            "client": sending.client,
            "received_ms": sending.received_ms,
        }

    def _set_aside(self, aside: list[tuple[Event, str]]) -> None:
        if not aside:
            return
        rows = []
        for event, reason in sorted(aside, key=lambda pair: pair[0].event_id):
            row = self._row(event) | {"reason": reason, "payload": event.payload}
            rows.append({name: value for name, value in row.items() if name in quarantine.c})
        self._connection.execute(insert_new(self._connection, quarantine), rows)


def raise_epochs(connection: sa.Connection, traded: Set[str]) -> None:
    """Of customers who bought or returned something lists made before are out of date."""
    if traded:
        epoch = next_change(connection)
        statement = upsert(connection, customers, ["epoch"])
        rows = [{"customer_id": customer_id, "epoch": epoch} for customer_id in sorted(traded)]
        # Only with RETURNING SQLAlchemy sends all rows at once.
        connection.execute(statement.returning(customers.c.epoch), rows).all()
