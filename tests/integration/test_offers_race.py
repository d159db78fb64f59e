"""Twenty clients race for an offer with a budget of ten; Redis is killed, then a worker: at most ten win."""

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.record.tables import offer_leases, offer_promises
from storage.store import Store
from tests.data.records import rows
from tests.data.running_service import Running, running_service
from tests.data.tiny_version import TinyOffer, TinyShop, publish

BUDGET, CLIENTS, RACE_S = 10, 20, 8.0


def race(running: Running, customers: list[str], ends_s: float, promised: set[str]) -> None:
    """Ask for these customers' offers again and again, on connections of its own."""
    while time.monotonic() < ends_s:
        for customer in customers:
            try:
                answer = requests.get(f"{running.url}/offers/{customer}", timeout=5)
            except requests.RequestException:  # the worker that was killed
                continue
            if answer.status_code == 200 and answer.json()["offers"]:
                assert answer.json()["offers"][0]["promised_until"]
                promised.add(customer)


def test_never_more_is_promised_than_the_budget_has(tmp_path: Path) -> None:
    store = tmp_path / "store"
    ends = datetime.now(UTC) + timedelta(days=3)
    offer = TinyOffer("ten", ["milk"], {"": (0.5, 0.1)}, budget=BUDGET, ends=ends)
    publish(Store(store), TinyShop(offers=(offer,)))
    promised: set[str] = set()
    with running_service(store, tmp_path / "log", workers=2) as running:
        ends_s = time.monotonic() + RACE_S
        clients = [
            threading.Thread(
                target=race, args=(running, [f"c{n}-{k}" for k in range(5)], ends_s, promised), daemon=True
            )
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        time.sleep(RACE_S / 4)
        for redis in running.redis():
            redis.kill()
        time.sleep(RACE_S / 4)
        worker = next(one for one in running.workers() if one.children() == [])
        os.kill(worker.pid, signal.SIGKILL)
        for client in clients:
            client.join()
    assert 1 <= len(promised) <= BUDGET
    record = Record(record_url(store, None), load_erasure_key(store, None), lock_ms=5000)
    try:
        told = rows(record, offer_promises, "customer_id")
        held = rows(record, offer_leases, "granted", "used")
    finally:
        record.close()
    assert {one for (one,) in told} <= promised
    # What is not told lies in the lease of the worker that was killed, and counts until it would have ended.
    assert len(told) + sum(granted - used for granted, used in held) <= BUDGET  # type: ignore[operator]
    assert len(promised) <= len(told) + sum(granted - used for granted, used in held)  # type: ignore[operator]
