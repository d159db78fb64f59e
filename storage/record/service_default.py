"""What the service allows of customers who said nothing, noted for commands that are told it elsewhere."""

import sqlalchemy as sa

from storage.record.record import Record
from storage.record.statements import upsert
from storage.record.tables import record_facts

_FACT = "consent default of the service"


def note_service_default(record: Record, preset: str) -> None:
    """Note by which preset the service answers, from its start on."""
    if _noted(record) == preset:
        return
    with record.writing() as connection:
        connection.execute(upsert(connection, record_facts, ["value"]), {"name": _FACT, "value": preset})


def other_default(record: Record, preset: str) -> str:
    """The service's preset where it isn't this one, else empty; so too where no service has started yet."""
    noted = _noted(record)
    return "" if noted is None or noted == preset else noted


def _noted(record: Record) -> str | None:
    with record.reading() as connection:
        found: str | None = connection.scalar(
            sa.select(record_facts.c.value).where(record_facts.c.name == _FACT)
        )
        return found
