"""Killed workers, a full disk, a newer schema: what the record acknowledged is there, once."""

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.record.engine import parse_url
from storage.record.record import FILE
from storage.record.tables import SCHEMA, customers, events
from storage.versions.store import Store
from tests.data.records import clear, rows
from tests.data.running_service import running_service, runs, until
from tests.data.tiny_version import new_store
from tests.faults.client import Connection, Outcome
from tests.faults.intake import event, opened, post, taken_again
from tests.faults.senders import sending
from tests.faults.test_full_disk import fill, small_disk

BACK_S = 8
PRODUCTS = ["milk", "bread", "butter"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "store")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, store: Store) -> Iterator[str]:
    """Where the record is."""
    if request.param == "sqlite":
        yield f"sqlite:///{store.root / FILE}"
        return
    found = request.getfixturevalue("postgres_url")
    yield found
    clear(parse_url(found))


def kill_during_intake(store: Store, url: str, log: Path, kills: int, seed: int) -> None:
    """Kill workers by chance while purchases come in: each acknowledged one is there, and once."""
    chance = random.Random(seed)
    with (
        running_service(store.root, log, workers=2, record_url=url) as running,
        sending(running.port, clients=3, products=PRODUCTS) as senders,
    ):
        for _ in range(kills):
            before = len(senders.acknowledged)
            until(lambda most=before + 30: len(senders.acknowledged) > most, 30)  # type: ignore[misc]
            time.sleep(chance.random() * 0.1)
            killed = chance.choice(running.workers())
            killed.kill()
            until(lambda it=killed: not runs(it), BACK_S)  # type: ignore[misc]
        senders.stop()
    with opened(store, url) as record:
        kept = rows(record, events, "event_id", "customer_id")
        epochs = dict(rows(record, customers, "customer_id", "epoch"))
    print(f"{kills} kills, {len(senders.acknowledged)} acknowledged, {senders.again} batches sent again")
    assert senders.wrong == []
    assert len(kept) == len(set(kept))  # none twice
    assert set(senders.acknowledged) == set(kept)  # none missing, and nothing that nobody sent
    assert set(epochs) == {customer_id for _, customer_id in kept}


def test_no_acknowledged_event_is_lost_or_counted_twice_by_kills(
    store: Store, url: str, tmp_path: Path
) -> None:
    kill_during_intake(store, url, tmp_path / "log", kills=5, seed=1)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_no_acknowledged_event_is_lost_or_counted_twice_by_twenty_kills(
    store: Store, url: str, tmp_path: Path
) -> None:
    kill_during_intake(store, url, tmp_path / "log", kills=20, seed=2)


def test_a_full_disk_refuses_events_and_answers_go_on(store: Store, tmp_path: Path) -> None:
    small = tmp_path / "disk"
    with small_disk(small) as disk:
        # SQLite looks through /proc: the service has to live where the disk is.
        inside = ["nsenter", "-U", "-m", "--preserve-credentials", "-t", disk.parts[2]]
        url = f"sqlite:///{small / 'record.db'}"
        settings = {"record_url": url, "record_timeout_ms": "5000"}
        with running_service(store.root, tmp_path / "log", inside=inside, **settings) as running:
            taken_again(running, "before")
            filler = fill(disk, left_kb=32)
            with closing(Connection(running.port)) as connection:
                many = [event(f"full-{number}", order_id="o" * 200) for number in range(900)]
                reply = connection.post("/events", json.dumps({"events": many}).encode())
                assert (reply.status, b"no_room" in reply.body) == (507, True)
                assert connection.ask("/recommend/anna").outcome is Outcome.OK
                filler.unlink()
                taken_again(running, "after")
                for event_id, fate in (
                    ("before", "duplicate"),
                    ("after", "duplicate"),
                    ("full-0", "recorded"),
                ):
                    assert json.loads(post(connection, event_id).body)["fate"] == fate


def test_a_record_of_a_newer_release_ends_the_command_by_name(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log"):
        pass
    with closing(sqlite3.connect(store.root / FILE)) as file:
        file.execute("UPDATE alembic_version SET version_num = '0099'")
        file.commit()
    with pytest.raises(AssertionError, match=f"has schema 99, and this release knows {SCHEMA}:"):  # noqa: SIM117
        with running_service(store.root, tmp_path / "log2"):
            pass
