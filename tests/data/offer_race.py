"""Twenty clients race for an offer with a budget of ten while what the service depends on is killed."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.record.tables import offer_leases, offer_promises
from storage.versions.store import Store
from tests.data.records import rows
from tests.data.running_service import Running, running_service
from tests.data.tiny_version import TinyOffer, TinyShop, publish

BUDGET, CLIENTS = 10, 20

type Blow = Callable[[Running], None]


def kill_redis(running: Running) -> None:
    for redis in running.redis():
        redis.kill()


def kill_worker(running: Running) -> None:
    for worker in running.workers():
        if not worker.children():
            os.kill(worker.pid, signal.SIGKILL)
            return


def race_for_ten(folder: Path, race_s: float, blows: Sequence[Blow]) -> int:
    """Let them race, one blow after another at equal distances; how many customers were promised the offer.

    What they were promised is in the record or in leases that count as spent, and never more than the budget.
    """
    store = folder / "store"
    ends = datetime.now(UTC) + timedelta(days=3)
    offer = TinyOffer("ten", ["milk"], {"": (0.5, 0.1)}, budget=BUDGET, ends=ends)
    publish(Store(store), TinyShop(offers=(offer,)))
    promised: set[str] = set()
    with running_service(store, folder / "log", workers=2) as running:
        ends_s = time.monotonic() + race_s
        clients = [
            threading.Thread(
                target=_race, args=(running, [f"c{n}-{k}" for k in range(5)], ends_s, promised), daemon=True
            )
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for blow in blows:
            time.sleep(race_s / (len(blows) + 1))
            blow(running)
        for client in clients:
            client.join()
    _compare(store, promised)
    return len(promised)


def _race(running: Running, customers: list[str], ends_s: float, promised: set[str]) -> None:
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


def _compare(store: Path, promised: set[str]) -> None:
    record = Record(record_url(store, None), load_erasure_key(store, None), lock_ms=5000)
    try:
        told = {customer for (customer,) in rows(record, offer_promises, "customer_id")}
        leases = rows(record, offer_leases, "granted", "used")
    finally:
        record.close()
    held = sum(most - used for most, used in leases)  # type: ignore[operator]
    assert told <= promised
    # What isn't told lies in leases of workers that were killed, and counts until it would have ended.
    assert len(promised) <= len(told) + held <= BUDGET
