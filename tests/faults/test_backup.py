"""The handbook's own lines for backup and restore, run with sh on a store that is then lost."""

import re
import shutil
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest
import requests

from service.access.routes import Scope
from service.telemetry.metrics import Metrics
from storage.files.shop_files import note_shop_file, shop_files
from storage.keyring import change_keyring, read_keyring
from storage.record.engine import parse_url
from storage.versions.store import Store
from tests.data.credentials import Credentials, bearer
from tests.data.records import clear
from tests.data.running_service import Running, running_service, until
from tests.data.tiny_version import AS_OF, publish

OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def lines(title: str) -> str:
    found = re.search(rf"```sh\n *# {title}.*?\n(.*?)```", OPERATIONS, re.DOTALL)
    assert found, title
    return found[1]


def test_a_store_that_is_lost_is_restored_by_the_handbooks_lines_and_answers(tmp_path: Path) -> None:
    store, shop = Store(tmp_path / "store"), Credentials()
    store.root.mkdir()
    key = shop.api_key(Scope.RECOMMEND)
    first = publish(store)
    second = publish(store, now=AS_OF + timedelta(days=1))
    change_keyring(store.root, lambda _: shop.keyring)
    (store.root / "last_success.json").write_text('{"at": "2018-01-01T02:00:00+00:00"}')
    (tmp_path / "backup").mkdir()
    note_shop_file(store.root, tmp_path / "mail.csv", "nbo-serve batch", now=AS_OF)
    env = {"PATH": "/usr/bin:/bin", "STORE": str(store.root), "BACKUP": str(tmp_path / "backup")}
    subprocess.run(["sh", "-euc", lines("back up STORE")], env=env, check=True)
    shutil.rmtree(store.root)
    subprocess.run(["sh", "-euc", lines("restore BACKUP")], env=env, check=True)
    assert (store.root / "access.json").stat().st_mode & 0o777 == 0o600
    assert read_keyring(store.root) == shop.keyring
    assert {path.stat().st_mode & 0o777 for path in store.versions.rglob("*.npy")} == {0o444}
    with running_service(store.root, tmp_path / "log") as running:
        answer = running.get("/recommend/anna", headers=bearer(key))
        assert answer.json()["version"] == second
        assert running.get("/recommend/anna").status_code == 401
    told = Metrics(None).text(store.root).decode()  # else no alert tells of missed nights
    assert "nextbest_night_last_success_timestamp_seconds 1.514772e+09" in told
    named = [Path(file.path).name for file in shop_files(store.root, now=AS_OF)]
    assert named == ["mail.csv"]  # in a receipt of an erasure
    assert store.rollback(now=AS_OF).current.version_id == first


def test_a_record_that_is_lost_is_restored_by_the_handbooks_lines_and_erased_stay_so(tmp_path: Path) -> None:
    store, backup = Store(tmp_path / "store"), tmp_path / "backup"
    publish(store)
    backup.mkdir()
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        **{"STORE": str(store.root), "BACKUP": str(backup), "STONES": str(tmp_path / "stones")},
    }
    with running_service(store.root, tmp_path / "log", record_timeout_ms="5000") as running:
        for customer in ("anna", "bert"):
            send(running, customer, f"{customer}-1")
        subprocess.run(["sh", "-euc", lines("back up the record")], env=env, check=True)
        send(running, "bert", "bert-2")
        assert requests.delete(f"{running.url}/customers/anna", timeout=5).ok
        withdrawn = {"consent": {"personalise": False}}
        assert requests.put(f"{running.url}/customers/bert", json=withdrawn, timeout=5).ok
        often = next(line for line in lines("back up the record").splitlines() if "tombstones" in line)
        subprocess.run(["sh", "-euc", often], env=env, check=True)
    (store.root / "record" / "record.db-journal").write_bytes(b"of what is lost")
    subprocess.run(["sh", "-euc", lines("restore the record")], env=env, check=True)
    assert (store.root / "record").stat().st_mode & 0o777 == 0o700
    until_told_again = {"record_timeout_ms": "5000", "consent_default": "no_personalisation"}
    with running_service(store.root, tmp_path / "log2", **until_told_again) as running:
        assert not running.get("/customers/bert").json()["consent"]["personalise"]
        assert running.get("/customers/anna").json()["events"] == []
        assert [told["event_id"] for told in running.get("/customers/bert").json()["events"]] == ["bert-1"]
        assert send(running, "anna", "anna-2") == 410
        assert send(running, "bert", "bert-2") == 200


def test_a_record_goes_to_postgres_by_the_handbooks_lines_and_nothing_of_it_is_lost(
    tmp_path: Path, postgres_url: str
) -> None:
    store = Store(tmp_path / "store")
    publish(store)
    with running_service(store.root, tmp_path / "log", record_timeout_ms="5000") as running:
        for customer in ("anna", "bert"):
            send(running, customer, f"{customer}-1")
        assert requests.delete(f"{running.url}/customers/anna", timeout=5).ok
        withdrawn = {"consent": {"personalise": False}}
        assert requests.put(f"{running.url}/customers/bert", json=withdrawn, timeout=5).ok
    url = str(parse_url(postgres_url).render_as_string(hide_password=False))
    (tmp_path / "old").mkdir()
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        **{"STORE": str(store.root), "URL": url, "OLD": str(tmp_path / "old")},
    }
    subprocess.run(["sh", "-euc", lines("move the record")], env=env, check=True)
    assert not list((store.root / "record").glob("record.db*"))
    try:
        with running_service(
            store.root, tmp_path / "log2", record_timeout_ms="5000", record_url=url
        ) as running:
            assert not running.get("/customers/bert").json()["consent"]["personalise"]
            assert send(running, "anna", "anna-2") == 410
            said = send(running, "bert", "bert-1"), send(running, "bert", "bert-2")
            assert said == (200, 200)
            told = running.get("/customers/bert").json()["events"]
            assert [one["event_id"] for one in told] == ["bert-1", "bert-2"]
    finally:
        clear(parse_url(postgres_url))


@pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync")
def test_a_machine_gets_the_night_of_another_by_the_handbooks_lines_and_keeps_its_worker(
    tmp_path: Path,
) -> None:
    night, day = Store(tmp_path / "night"), Store(tmp_path / "day")
    env = {"PATH": "/usr/bin:/bin", "STORE": str(night.root), "OTHER": str(day.root)}
    bring = partial(subprocess.run, ["sh", "-euc", dedent(lines("bring STORE"))], env=env, check=True)
    published = [publish(night)]
    change_keyring(night.root, lambda _: Credentials().keyring)
    (night.root / "last_success.json").write_text("{}")
    day.root.mkdir()
    bring()
    with running_service(day.root, tmp_path / "log") as running:
        worker = running.listeners()
        for days in (1, 2, 3):
            published.append(publish(night, now=AS_OF + timedelta(days=days)))
            night.prune(keep=2, max_age=timedelta(days=9), now=AS_OF + timedelta(days=days))
            bring()
            until(lambda: running.get("/health/ready").json()["version"] == published[-1], 10)
        assert running.listeners() == worker
    assert sorted(path.name for path in day.versions.iterdir()) == published[-2:]


def send(running: Running, customer: str, event_id: str) -> int:
    body = {"type": "purchase", "event_id": event_id, "customer_id": customer, "product_id": "milk"}
    return requests.post(f"{running.url}/events", json=body, timeout=5).status_code
