"""How many events a second are kept, in batches and one by one, while recommendations go on being answered.

Two workers, on SQLite and on a Postgres of its own; server, database and callers share the cores. Senders
keep to a rate: a batch is due at its time, whether or not the one before was answered.
"""

import json
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import click
import numpy as np

from storage.record.engine import parse_url
from storage.record.record import FILE
from storage.versions.store import Store
from tests.data.own_postgres import own_postgres
from tests.data.records import clear
from tests.data.running_service import running_service
from tests.data.tiny_version import publish
from tests.faults.client import Connection, Outcome

SENDERS = 4
CUSTOMERS = 5000
PRODUCTS = ("milk", "bread", "butter")
ASK_GAP_S = 0.005
AIM_PER_S, BATCH = 2000, 100


@dataclass
class Sent:
    """What came of a run: how long each request and each answer beside it took, in milliseconds."""

    kept: int = 0
    refused: int = 0
    seconds: float = 0.0
    waited_ms: list[float] = field(default_factory=list)
    asked_ms: list[float] = field(default_factory=list)

    def line(self, name: str) -> str:
        def of(times_ms: list[float], share: float) -> str:
            return f"{np.percentile(times_ms, share):.1f}" if times_ms else "-"

        cells = [name, f"{self.kept / self.seconds:,.0f}", f"{self.refused:,}"]
        cells += [
            of(self.waited_ms, 50),
            of(self.waited_ms, 99),
            of(self.asked_ms, 50),
            of(self.asked_ms, 99),
        ]
        return f"| {' | '.join(cells)} |"


HEAD = """| events | kept/s | requests refused | acknowledged ms, median | 99 % | answer ms, median | 99 % |
|---|---|---|---|---|---|---|"""


class Run:
    """Senders that are to send so many events a second; 0 as many as they can."""

    def __init__(self, port: int, batch: int, per_s: float, seconds: float, salt: str) -> None:
        self._port, self._batch, self._per_s, self._seconds, self._salt = port, batch, per_s, seconds, salt
        self._numbers, self._lock, self._sent = count(), threading.Lock(), Sent()

    def go(self) -> Sent:
        senders = [threading.Thread(target=self._send) for _ in range(SENDERS if self._batch else 0)]
        asker = threading.Thread(target=self._ask)
        self._began_s = time.monotonic()
        for thread in (*senders, asker):
            thread.start()
        for thread in (*senders, asker):
            thread.join()
        self._sent.seconds = time.monotonic() - self._began_s
        return self._sent

    def _send(self) -> None:
        connection = Connection(self._port)
        while True:
            with self._lock:
                number = next(self._numbers)
            due_s = self._began_s + (number * self._batch / self._per_s if self._per_s else 0)
            if max(due_s, time.monotonic()) > self._began_s + self._seconds:
                break
            time.sleep(max(0.0, due_s - time.monotonic()))
            body = self._body(number)
            began_s = due_s if self._per_s else time.monotonic()
            reply = connection.post("/events", body)
            took_ms = (time.monotonic() - began_s) * 1000
            with self._lock:
                if reply.outcome is Outcome.OK:
                    self._sent.kept += json.loads(reply.body)["recorded"] if self._batch > 1 else 1
                    self._sent.waited_ms.append(took_ms)
                else:
                    self._sent.refused += 1
        connection.close()

    def _body(self, number: int) -> bytes:
        first = number * self._batch
        events = [
            {
                "type": "purchase",
                "event_id": f"{self._salt}-{place}",
                "customer_id": f"c{place * 7919 % CUSTOMERS}",
                "product_id": PRODUCTS[place % 3],
                "order_id": f"{self._salt}-o{place // 5}",
                "quantity": 1 + place % 3,
                "unit_price": 1.19,
            }
            for place in range(first, first + self._batch)
        ]
        return json.dumps({"events": events} if self._batch > 1 else events[0]).encode()

    def _ask(self) -> None:
        connection = Connection(self._port)
        while time.monotonic() < self._began_s + self._seconds:
            began_s = time.monotonic()
            assert connection.ask("/recommend/anna").outcome is Outcome.OK
            self._sent.asked_ms.append((time.monotonic() - began_s) * 1000)
            time.sleep(ASK_GAP_S)
        connection.close()


def _measure(url: str, folder: Path, seconds: float) -> None:
    plans = [
        ("none, only answers", 0, 0),
        (f"{AIM_PER_S:,}/s in batches of {BATCH}", BATCH, AIM_PER_S),
        (f"batches of {BATCH}, as fast as they go", BATCH, 0),
        ("one by one, as fast as they go", 1, 0),
    ]
    store = Store(folder / "store")
    store.root.mkdir()
    publish(store)
    place = url or f"sqlite:///{store.root / FILE}"
    settings = {"record_url": place, "redis_lists": "changed"}
    with running_service(store.root, folder / "log", workers=2, **settings) as running:
        port = running.port
        for number, (name, batch, per_s) in enumerate(plans):
            print(Run(port, batch, per_s, seconds, f"r{number}").go().line(name), flush=True)
    if not url:
        print(f"\n{_bytes_each(store.root / FILE):.0f} bytes for each event\n")


def _bytes_each(record: Path) -> float:
    with closing(sqlite3.connect(record)) as file:
        (events,) = file.execute("SELECT count(*) FROM events").fetchone()
    return record.stat().st_size / int(events)


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="Of each run.")
@click.option("--quick", is_flag=True, help="Two seconds each, to see that it works.")
def main(seconds: float, quick: bool) -> None:
    """Print a table for SQLite, and one for Postgres."""
    seconds = 2.0 if quick else seconds
    Path(".nextbest").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nextbest-bench-", dir=".nextbest") as folder:
        print(f"SQLite\n\n{HEAD}")
        _measure("", Path(folder), seconds)
    with own_postgres() as url, tempfile.TemporaryDirectory(prefix="nextbest-bench-") as folder:
        print(f"Postgres\n\n{HEAD}")
        _measure(url, Path(folder), seconds)
        clear(parse_url(url))


if __name__ == "__main__":
    main()
