"""A record whose commits take longer than a worker waits: what callers see, and what becomes of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.record.schema import prepare
from storage.record.tables import events, products_live
from storage.versions.store import Store
from tests.data import tiny_service
from tests.data.records import rows
from tests.data.running_service import until
from tests.data.tiny_version import publish

BOUGHT = {"type": "purchase", "event_id": "e1", "customer_id": "anna", "product_id": "milk"}


@contextmanager
def slow_commits(seconds: float) -> Iterator[None]:
    """Commits of whoever wrote something take so long."""
    written: dict[Any, int] = {}

    def commit(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if driver.total_changes != written.get(driver, 0):
            time.sleep(seconds)
        written[driver] = driver.total_changes

    sa.event.listen(sa.Engine, "commit", commit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "commit", commit)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr(tiny_service, "PATIENT_MS", 200)
    publish(Store(tmp_path))
    prepare(record_url(tmp_path, None))
    return tiny_service.tiny_app(tmp_path).test_client()


def test_a_503_says_when_to_send_again_and_an_event_that_comes_again_is_known(
    client: FlaskClient, tmp_path: Path
) -> None:
    with slow_commits(1):
        refused = client.post("/events", json=BOUGHT)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert "may have been kept all the same: send it again" in refused.get_json()["detail"]
        until(lambda: client.post("/events", json=BOUGHT).get_json().get("fate") == "duplicate", 20)
    record = Record(record_url(tmp_path, None), load_erasure_key(tmp_path, None))
    assert rows(record, events, "event_id") == [("e1",)]
    record.close()


def test_what_is_put_again_commits_again_and_is_refused_as_long_as_commits_are_slow(
    client: FlaskClient, tmp_path: Path
) -> None:
    record = Record(record_url(tmp_path, None), load_erasure_key(tmp_path, None))

    def is_kept_though_refused() -> bool:
        refused = client.put("/products/milk", json={"stock": 4})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        return rows(record, products_live, "stock") == [(4,)]

    with slow_commits(1):
        until(is_kept_though_refused, 20)
        for _ in range(5):
            assert is_kept_though_refused()
    record.close()
    until(lambda: client.put("/products/milk", json={"stock": 4}).status_code == 200, 20)
