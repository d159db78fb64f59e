"""All that the record holds of one customer, as a customer may ask to see it; read a page at a time."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from storage.record.record import Record
from storage.record.tables import consent_log, events, exposures, offer_promises, quarantine

type Row = dict[str, object]
type Rows = Sequence[sa.Row[Any]]
type Ask = Callable[[Callable[[Record], Rows]], Rows]
"""Does one look at the record, and returns what that returns."""

PAGE = 1000  # rows of one look: 5,000 events, of somebody who looks around, took as long as a worker waits
_DURATION = "latency_ms"  # of all that ends in _ms the one that is no moment
_JSON = ("items", "payload")  # texts that hold data
_OURS = ("id", "namespace", "payload_hash", "customer_id", "client", "is_redeemed")
"""How we keep it, not what is kept. A promise is marked as redeemed late or never; the purchase says it."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Rows of each table, in the order in which they came; what isn't known of a row is left out of it."""

    consents: tuple[Row, ...]
    events: tuple[Row, ...]
    quarantine: tuple[Row, ...]
    exposures: tuple[Row, ...]
    promises: tuple[Row, ...]


def holdings_of(ask: Ask, customer_id: str) -> Holdings:
    """What is held of a customer; nothing of one who isn't known. What comes meanwhile may be in it."""
    return Holdings(
        *(
            tuple(_rows(ask, table, customer_id))
            for table in (consent_log, events, quarantine, exposures, offer_promises)
        )
    )


def _rows(ask: Ask, table: sa.Table, customer_id: str) -> Iterator[Row]:
    # Of events, most of all rows, an index has this order: no page looks at those before it.
    order = [events.c.received_ms, events.c.id] if table is events else [table.c.id]
    told = [column for column in table.c if column.name not in _OURS]
    names = [(_said(column.name), _reader_of(column.name)) for column in told]
    keys = [column.label(f"key_{number}") for number, column in enumerate(order)]
    page = sa.select(*told, *keys).where(table.c.customer_id == customer_id).order_by(*order).limit(PAGE)
    rows = ask(partial(_look, page))
    while rows:
        for row in rows:
            cells = zip(names, row, strict=False)  # the keys stand behind
            yield {name: read(value) if read else value for (name, read), value in cells if value is not None}
        if len(rows) < PAGE:
            return
        after = page.where(sa.tuple_(*order) > sa.tuple_(*rows[-1][len(told) :]))
        rows = ask(partial(_look, after))


def _look(wanted: sa.Select[Any], record: Record) -> Rows:
    with record.reading() as connection:
        return connection.execute(wanted).all()


def _said(name: str) -> str:
    return name if name == _DURATION else name.removesuffix("_ms")


def _reader_of(name: str) -> Callable[[Any], object] | None:
    """What makes of a column's value what is told of it, where that is another."""
    if name in _JSON:
        return json.loads
    return _iso if name.endswith("_ms") and name != _DURATION else None


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
