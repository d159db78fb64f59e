"""Twenty clients race for an offer with a budget of ten; Redis is killed, then a worker: at most ten win.

And workers that are stopped together give back what they hold.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.record.tables import offer_leases
from storage.versions.store import Store
from tests.data.offer_race import BUDGET, kill_redis, kill_worker, race_for_ten
from tests.data.running_service import running_service, until
from tests.data.tiny_version import TinyOffer, TinyShop, publish

MANY = 40


def test_never_more_is_promised_than_the_budget_has(tmp_path: Path) -> None:
    assert 1 <= race_for_ten(tmp_path, 8.0, [kill_redis, kill_worker, lambda _: None]) <= BUDGET


def test_two_workers_that_are_stopped_give_back_what_they_hold_of_many_budgets(tmp_path: Path) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    ends = datetime.now(UTC) + timedelta(days=3)
    offers = [TinyOffer(f"o{n}", ["milk"], {"": (0.5, 0.1)}, budget=100, ends=ends) for n in range(MANY)]
    publish(Store(store), TinyShop(offers=tuple(offers)))
    # a second, since on a machine that others keep busy a commit takes longer than the 200 ms of the default
    with running_service(store, log, workers=2, record_timeout_ms="1000") as running:
        until(lambda: len(running.listeners()) == 2, 20)  # one that still starts is ended at once
        until(lambda: leases_in(store) == 2 * MANY, 20)
    assert leases_in(store) == 0
    assert all(isinstance(json.loads(line), dict) for line in log.read_text().splitlines())


def leases_in(store: Path) -> int:
    record = Record(record_url(store, None), load_erasure_key(store, None), lock_ms=5000)
    try:
        with record.reading() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(offer_leases)) or 0)
    finally:
        record.close()
