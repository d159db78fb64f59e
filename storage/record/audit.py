"""Notes who changed what in the record: rules, experiments, erasures, upkeep."""

import json
from collections.abc import Mapping

import sqlalchemy as sa

from storage.record.tables import audit


def note(
    connection: sa.Connection, what: str, detail: Mapping[str, object], *, now_ms: int, client: str
) -> None:
    """Note a change, within the transaction that makes it; `client` is the key of whoever did it."""
    row = {"at_ms": now_ms, "what": what, "client": client, "detail": json.dumps(detail)}
    connection.execute(sa.insert(audit), row)
