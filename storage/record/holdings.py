"""All that the record holds of one customer, as a customer may ask to see it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from storage.record.tables import consent_log, events, exposures, offer_promises, quarantine

type Row = dict[str, object]

_DURATION = "latency_ms"  # of all that ends in _ms the one that is no moment
_OURS = ("id", "namespace", "payload_hash", "customer_id", "client")  # how we keep it, not what is kept


@dataclass(frozen=True, slots=True)
class Holdings:
    """Rows of each table, in the order in which they came; what isn't known of a row is left out of it."""

    consents: tuple[Row, ...]
    events: tuple[Row, ...]
    quarantine: tuple[Row, ...]
    exposures: tuple[Row, ...]
    promises: tuple[Row, ...]


def holdings_of(connection: sa.Connection, customer_id: str) -> Holdings:
    """What is held of a customer, within a transaction that reads; nothing of one who isn't known."""
    return Holdings(
        *(
            tuple(_rows(connection, table, customer_id))
            for table in (consent_log, events, quarantine, exposures, offer_promises)
        )
    )


def _rows(connection: sa.Connection, table: sa.Table, customer_id: str) -> Iterator[Row]:
    columns = [column for column in table.c if column.name not in _OURS]
    rows = sa.select(*columns).where(table.c.customer_id == customer_id).order_by(table.c.id)
    for row in connection.execute(rows).mappings():
        yield {_said(name): _value(name, value) for name, value in row.items() if value is not None}


def _said(name: str) -> str:
    return name if name == _DURATION else name.removesuffix("_ms")


def _value(name: str, value: Any) -> object:
    is_moment = name.endswith("_ms") and name != _DURATION
    return datetime.fromtimestamp(value / 1000, UTC).isoformat() if is_moment else value
