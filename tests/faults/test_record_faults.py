"""Killed workers, a stopped or locked database, a full disk: what the record acknowledged is there, once."""

import json
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from storage.record.engine import parse_url
from storage.record.erasure_key import load_erasure_key
from storage.record.record import FILE, Record, record_url
from storage.record.tables import customers, events
from storage.store import Store
from tests.data.records import clear, rows
from tests.data.running_service import Running, running_service, runs, until
from tests.data.tiny_version import publish
from tests.faults.client import Connection, Outcome, Reply
from tests.faults.senders import sending
from tests.faults.test_full_disk import fill, small_disk

BACK_S = 8
REFUSED_S = 0.25
PRODUCTS = ["milk", "bread", "butter"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.root.mkdir()
    publish(store)
    return store


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, store: Store) -> Iterator[str]:
    """Where the record is."""
    if request.param == "sqlite":
        yield f"sqlite:///{store.root / FILE}"
        return
    found = request.getfixturevalue("postgres_url")
    yield found
    clear(parse_url(found))


@contextmanager
def opened(store: Store, url: str) -> Iterator[Record]:
    record = Record(record_url(store.root, url), load_erasure_key(store.root, None), lock_ms=5000)
    try:
        yield record
    finally:
        record.close()


def port_of(running: Running) -> int:
    return int(running.url.rpartition(":")[2])


def event(event_id: str, **more: str) -> dict[str, str]:
    return {"type": "purchase", "event_id": event_id, "customer_id": "anna", "product_id": "milk", **more}


def post(connection: Connection, event_id: str) -> Reply:
    return connection.post("/events", json.dumps(event(event_id)).encode())


def kill_during_intake(store: Store, url: str, log: Path, kills: int, seed: int) -> None:
    """Kill workers by chance while purchases come in: each acknowledged one is there, and once."""
    chance = random.Random(seed)
    with (
        running_service(store.root, log, workers=2, record_url=url) as running,
        sending(port_of(running), clients=3, products=PRODUCTS) as senders,
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


def refused_soon(running: Running, first: int) -> None:
    """Events are refused within the time promised, and answers go on; a busy machine gets three tries."""
    with closing(Connection(port_of(running))) as connection:
        took_s = []
        for number in range(first, first + 3):
            began_s = time.monotonic()
            reply = post(connection, f"refused-{number}")
            took_s.append(time.monotonic() - began_s)
            assert (reply.outcome, reply.status) == (Outcome.REFUSED, 503)
            assert b"retry-after: 1" in reply.head.lower()
            assert connection.ask("/recommend/anna").outcome is Outcome.OK
        print("refused after", *(f"{s * 1000:.0f} ms" for s in took_s))
        assert min(took_s) < REFUSED_S


def taken_again(running: Running, event_id: str) -> None:
    with closing(Connection(port_of(running))) as connection:
        until(lambda: post(connection, event_id).outcome is Outcome.OK, 15)


def test_a_record_that_another_process_holds_refuses_events_in_time(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log") as running:
        taken_again(running, "before")
        with closing(sqlite3.connect(store.root / FILE, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            refused_soon(running, 1)
            holder.execute("ROLLBACK")
        taken_again(running, "after")
    with opened(store, f"sqlite:///{store.root / FILE}") as record:
        assert rows(record, events, "event_id") == [("before",), ("after",)]


def postgres_processes(url: str) -> list[psutil.Process]:
    """The server behind a URL with a socket in its data folder, and all of its children."""
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    server = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
    return [server, *server.children(recursive=True)]


def send(processes: list[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a helper of the server, which comes and goes
            process.send_signal(what)


def test_a_postgres_that_is_stopped_refuses_events_in_time_and_what_is_answered_200_is_there(
    store: Store, tmp_path: Path, postgres_url: str
) -> None:
    stopped: list[psutil.Process] = []
    try:
        with running_service(store.root, tmp_path / "log", record_url=postgres_url) as running:
            taken_again(running, "before")
            stopped = postgres_processes(postgres_url)
            send(stopped, signal.SIGSTOP)
            refused_soon(running, 1)
            time.sleep(1)
            refused_soon(running, 4)
            send(stopped, signal.SIGCONT)
            taken_again(running, "after")
        with opened(store, postgres_url) as record:
            kept = {row[0] for row in rows(record, events, "event_id")}
            assert {"before", "after"} <= kept
    finally:
        send(stopped, signal.SIGCONT)
        clear(parse_url(postgres_url))


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
            with closing(Connection(port_of(running))) as connection:
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


def test_a_database_that_is_not_there_yet_keeps_no_service_from_starting(
    store: Store, tmp_path: Path, postgres_url: str
) -> None:
    away = postgres_url.replace("host=", "host=/nowhere")
    with running_service(store.root, tmp_path / "log", record_url=away) as running:
        refused_soon(running, 1)
        assert "the record can't be prepared" in running.log.read_text()


def test_a_record_of_a_newer_release_ends_the_command_by_name(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log"):
        pass
    with closing(sqlite3.connect(store.root / FILE)) as file:
        file.execute("UPDATE alembic_version SET version_num = '0099'")
        file.commit()
    with pytest.raises(AssertionError, match="has schema 99, and this release knows 3"):  # noqa: SIM117
        with running_service(store.root, tmp_path / "log2"):
            pass
