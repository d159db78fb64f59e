"""Two real workers over one record: what one acknowledged it knows at once, the other within a second."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.versions.store import Store
from tests.data.running_service import Running, running_service
from tests.data.tiny_version import TinyShop, publish

WITHIN_S = 1.0
CONNECTIONS = 12  # each stays with a worker: that all are with one happens once in 2,000 times


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    root = tmp_path_factory.mktemp("live")
    store = root / "store"
    publish(Store(store), TinyShop(category_interval={"dairy": 3.0}))
    with running_service(store, root / "log", workers=2) as running:
        yield running, store


def connections() -> list[requests.Session]:
    return [requests.Session() for _ in range(CONNECTIONS)]


def answer(session: requests.Session, running: Running, customer: str) -> Any:
    response = session.get(f"{running.url}/recommend/{customer}?n=5", timeout=5)
    assert response.status_code == 200, response.text
    return response.json()


def until_all(sessions: list[requests.Session], holds: Callable[[requests.Session], bool]) -> float:
    """Seconds until it holds on all connections."""
    began_s = time.monotonic()
    while not all(holds(session) for session in sessions):
        assert time.monotonic() - began_s < 10
        time.sleep(0.02)
    return time.monotonic() - began_s


def buy(session: requests.Session, running: Running, customer: str, product: str) -> None:
    event = {
        "event_id": f"{customer}-{product}",
        "type": "purchase",
        "customer_id": customer,
        "product_id": product,
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    response = session.post(f"{running.url}/events", json=event, timeout=5)
    assert response.json()["fate"] == "recorded", response.text


def has_session(running: Running, customer: str, session: requests.Session) -> bool:
    return bool(answer(session, running, customer)["source"] == "session")


def record_of(store: Path) -> Record:
    return Record(record_url(store, None), load_erasure_key(store, None), lock_ms=2000)


def is_personal(session: requests.Session, running: Running, customer: str) -> bool:
    return bool(answer(session, running, customer)["source"] != "popular")


def is_not_personal(session: requests.Session, running: Running, customer: str) -> bool:
    return not is_personal(session, running, customer)


def test_a_purchase_counts_at_once_here_and_within_a_second_everywhere(service: tuple[Running, Path]) -> None:
    running, _ = service
    sessions = connections()
    for session in sessions:
        assert answer(session, running, "anna")["source"] == "personal"
        assert answer(session, running, "nobody")["source"] == "popular"
    for customer in ("anna", "nobody"):
        buy(sessions[0], running, customer, "milk")
        at_once = answer(sessions[0], running, customer)
        assert at_once["source"] == "session"
        assert at_once["recommendations"][0]["product_id"] != "milk"  # it steps back
        assert until_all(sessions, partial(has_session, running, customer)) < WITHIN_S
    said = {answer(session, running, "nobody")["recommendations"][0]["product_id"] for session in sessions}
    assert said == {"butter"}


def test_a_refusal_and_an_erasure_count_at_once_here_and_within_a_second_everywhere(
    service: tuple[Running, Path],
) -> None:
    running, _ = service
    sessions = connections()
    here, url = sessions[0], f"{running.url}/customers"
    for consent, is_seen in (("no_personalisation", is_not_personal), ("all", is_personal)):
        assert not any(is_seen(session, running, "ben") for session in sessions)
        here.put(f"{url}/ben", json={"consent": consent}, timeout=5).raise_for_status()
        assert is_seen(here, running, "ben")
        assert until_all(sessions, partial(is_seen, running=running, customer="ben")) < WITHIN_S
    assert all(is_personal(session, running, "7") for session in sessions)
    here.delete(f"{url}/7", timeout=5).raise_for_status()
    assert not is_personal(here, running, "7")
    assert until_all(sessions, lambda one: not is_personal(one, running, "7")) < WITHIN_S
