"""An experiment on two real workers: seen within seconds, assigned alike, exposures kept whatever dies."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from experiments.assignment import arm_of
from experiments.cli import commands
from experiments.specification import parse
from service.trials.tally import SLOT
from storage.record.erasure_key import load_erasure_key
from storage.record.exposure_log import read_exposures, read_lost
from storage.record.record import FILE, Record, record_url
from storage.versions.store import Store
from tests.data.running_service import Running, running_service, until
from tests.data.shop_logs import entry_of
from tests.data.tiny_version import VARIANT, TinyShop, publish

SEEN_S = 5
SPEC = """
[experiment]
id = "try"
hypothesis = "another order of the same products sells more"
start = 2020-01-01
accept_underpowered = true
[[variants]]
name = "control"
weight = 0.5
[[variants]]
name = "als"
weight = 0.5
model = "als"
[analysis]
planned_n = 1000
[[metrics]]
name = "revenue_per_customer"
role = "primary"
mde = 0.1
"""


@dataclass
class Shop:
    """A service of two workers with two variants, and its commands."""

    running: Running
    store: Path
    specification: Path

    def nbo(self, *arguments: str, code: int = 0) -> str:
        ended = CliRunner().invoke(commands, [arguments[0], "--store", str(self.store), *arguments[1:]])
        assert ended.exit_code == code, (ended.output, ended.exception)
        return ended.output

    def ask(self, customer_id: str, session: requests.Session | None = None) -> Any:
        answer = (session or requests).get(f"{self.running.url}/recommend/{customer_id}?n=3", timeout=5)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def exposures(self) -> dict[str, str]:
        """Variants by request, where none was lost."""
        found, lost = self.kept()
        assert lost == 0
        return found

    def kept(self) -> tuple[dict[str, str], int]:
        """Variants by request, and how many were lost."""
        record = Record(record_url(self.store, None), load_erasure_key(self.store, None), lock_ms=5000)
        try:
            frame, lost = read_exposures(record, "try", 1), read_lost(record, "try", 1)
        finally:
            record.close()
        return dict(zip(frame["request_id"], frame["variant"], strict=True)), lost

    def everywhere(self, holds: Callable[[requests.Session], bool]) -> float:
        """Seconds until it holds on many connections, so on both workers."""
        began_s = time.monotonic()
        sessions = [requests.Session() for _ in range(12)]
        until(lambda: all(holds(session) for session in sessions), 3 * SEEN_S)
        return time.monotonic() - began_s


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    store, specification = tmp_path / "store", tmp_path / "try.toml"
    specification.write_text(SPEC)
    publish(Store(store), TinyShop(), variants=(VARIANT, "als"))
    with running_service(store, tmp_path / "log", workers=2, record_timeout_ms="5000") as running:
        yield Shop(running, store, specification)


def in_one(shop: Shop, session: requests.Session) -> bool:
    return bool(shop.ask("anna", session)["experiments"])


def test_an_experiment_is_seen_everywhere_and_every_answer_of_it_is_kept_once(shop: Shop) -> None:
    assert shop.ask("anna")["experiments"] == []
    assert "runs in layer recommend, 0 to 1" in shop.nbo("start", str(shop.specification))
    assert shop.everywhere(lambda session: in_one(shop, session)) < SEEN_S
    entry = entry_of(parse(SPEC))
    for customer_id in ("anna", "ben", "7", "a stranger", "another"):
        wanted = arm_of(entry, customer_id).name
        for _ in range(4):
            body = shop.ask(customer_id)
            assert body["experiments"] == [{"id": "try", "variant": wanted}]
            assert body["variant"] == ("als" if wanted == "als" else VARIANT)
    told = {
        body["request_id"]: body["experiments"][0]["variant"] for body in map(shop.ask, ["anna", "ben", "7"])
    }
    until(lambda: told.items() <= shop.exposures().items(), 20)
    shop.specification.write_text(SPEC.replace("planned_n = 1000", "planned_n = 2000"))
    assert "a changed file is a new version" in str(
        CliRunner().invoke(commands, ["start", "--store", str(shop.store), str(shop.specification)]).exception
    )
    shop.nbo("pause", "try")
    assert shop.everywhere(lambda session: not in_one(shop, session)) < SEEN_S
    shop.specification.write_text(SPEC)
    shop.nbo("start", str(shop.specification))
    assert shop.everywhere(lambda session: in_one(shop, session)) < SEEN_S
    assert 'default_variant = "als"' in shop.nbo("ship", "--force", "als")
    assert shop.everywhere(lambda session: shop.ask("anna", session)["variant"] == "als") < SEEN_S
    assert "shipped" in shop.nbo("list")
    champion = Store(shop.store).champion()
    assert champion is not None
    assert (champion.current.variant, "shipped by experiment try" in champion.current.why) == ("als", True)


def test_consent_erasure_and_the_holdout_are_obeyed(shop: Shop) -> None:
    shop.nbo("start", str(shop.specification))
    assert shop.everywhere(lambda session: in_one(shop, session)) < SEEN_S
    url = f"{shop.running.url}/customers"
    requests.put(f"{url}/anna", json={"consent": {"experiment": False}}, timeout=5).raise_for_status()
    assert shop.everywhere(lambda session: not in_one(shop, session)) < SEEN_S
    asked = shop.ask("ben")["request_id"]
    until(lambda: asked in shop.exposures(), 20)
    receipt = requests.delete(f"{url}/ben", timeout=5).json()
    assert receipt["deleted"]["exposures"] >= 1
    assert asked not in shop.exposures()
    shop.nbo("holdout", "0.5")
    ids = [str(number) for number in range(100)]
    assert shop.everywhere(lambda session: is_held(shop, ids, session)) < SEEN_S
    held = [one for one in ids if shop.ask(one)["experiments"] == [{"id": "holdout", "variant": "popular"}]]
    assert 30 < len(held) < 70


def is_held(shop: Shop, ids: list[str], session: requests.Session) -> bool:
    told = [shop.ask(one, session)["experiments"] for one in ids[:10]]
    return any(one and one[0]["id"] == "holdout" for one in told)


def test_exposures_outlive_a_locked_record_and_the_death_of_a_worker(shop: Shop) -> None:
    shop.nbo("start", str(shop.specification))
    assert shop.everywhere(lambda session: in_one(shop, session)) < SEEN_S
    lock = sqlite3.connect(shop.store / FILE, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    sessions = [requests.Session() for _ in range(12)]
    told = {
        shop.ask(customer_id, session)["request_id"]
        for session in sessions
        for customer_id in ("anna", "ben", "7")
    }
    folder = (shop.store / FILE).parent
    until(lambda: spooled(folder) >= len(told) and not waiting(folder), 30)
    os.kill(int(next(folder.glob("exposures-*.jsonl")).stem.rpartition("-")[2]), signal.SIGKILL)
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: told <= set(shop.exposures()), 30)
    until(lambda: spooled(folder) == 0, 20)  # deleted after what it held was committed, a breath later


def test_what_a_killed_worker_had_not_written_is_counted(shop: Shop) -> None:
    shop.nbo("start", str(shop.specification))
    assert shop.everywhere(lambda session: in_one(shop, session)) < SEEN_S
    until(lambda: bool(shop.kept()[0]), 20)
    before, _ = shop.kept()
    files = list((shop.store / FILE).parent.glob("exposures-*.count"))
    assert len(files) == 2
    sessions = [requests.Session() for _ in range(12)]
    told = {shop.ask(name, session)["request_id"] for session in sessions for name in ("anna", "ben", "7")}
    os.kill(int(files[0].stem.rpartition("-")[2]), signal.SIGKILL)

    def all_accounted_for() -> bool:
        kept, lost = shop.kept()
        return len(told - set(kept)) <= lost

    until(all_accounted_for, 30)
    assert before.items() <= shop.kept()[0].items()


def test_a_service_that_is_stopped_in_order_loses_none(shop: Shop) -> None:
    shop.nbo("start", str(shop.specification))
    assert shop.everywhere(lambda session: in_one(shop, session)) < SEEN_S
    sessions = [requests.Session() for _ in range(12)]
    told = {shop.ask(name, session)["request_id"] for session in sessions for name in ("anna", "ben", "7")}
    shop.running.process.terminate()
    shop.running.process.wait(20)
    assert told <= set(shop.exposures())
    assert waiting((shop.store / FILE).parent) == 0


def waiting(folder: Path) -> int:
    """Exposures in memory. Of who is killed between spool and count they are kept, and count as lost too."""
    counts = [SLOT.iter_unpack(file.read_bytes()) for file in folder.glob("exposures-*.count")]
    return sum(taken - settled for each in counts for _, taken, settled in each)


def spooled(folder: Path) -> int:
    """Exposures that wait on the disk."""
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("exposures-*.jsonl"))
