"""Events sent to a service one at a time, and the record they end up in."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.versions.store import Store
from tests.data.running_service import Running, until
from tests.faults.client import Connection, Outcome, Reply


@contextmanager
def opened(store: Store, url: str) -> Iterator[Record]:
    record = Record(record_url(store.root, url), load_erasure_key(store.root, None), lock_ms=5000)
    try:
        yield record
    finally:
        record.close()


def event(event_id: str, **more: str) -> dict[str, str]:
    return {"type": "purchase", "event_id": event_id, "customer_id": "anna", "product_id": "milk", **more}


def post(connection: Connection, event_id: str) -> Reply:
    return connection.post("/events", json.dumps(event(event_id)).encode())


def taken_again(running: Running, event_id: str) -> None:
    with closing(Connection(running.port)) as connection:
        until(lambda: post(connection, event_id).outcome is Outcome.OK, 15)
