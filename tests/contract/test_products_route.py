"""PUT /products/<id>: durable when it is acknowledged, seen here at once and elsewhere with the next look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from service.events.counters import EventCounters
from service.live.changes import ChangesFollower
from service.live.products import LiveProducts
from service.record import RecordDoor
from service.settings import Settings
from service.telemetry.metrics import Metrics
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.tiny_service import PATIENT_MS, get, tiny_app
from tests.data.tiny_version import publish


class Worker:
    """One of several workers on a store."""

    def __init__(self, root: Path) -> None:
        live = LiveProducts()
        self.app: Flask = tiny_app(root, live=live, first_level_life_s=1)
        door = RecordDoor(
            Settings(store=root, record_timeout_ms=PATIENT_MS), EventCounters(Metrics(None).registry)
        )
        self.follower = ChangesFollower(door, live)
        self.follower.look()

    def put(self, product_id: str, body: Any) -> Any:
        return self.app.test_client().put(f"/products/{product_id}", json=body)

    def first(self) -> tuple[str, float | None]:
        item = get(self.app, "/recommend/anna?n=1")["recommendations"][0]
        return item["product_id"], item["price"]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    publish(Store(tmp_path))
    prepare(record_url(tmp_path, None))
    yield tmp_path


def test_a_stock_flip_shows_here_at_once_and_on_every_other_worker_with_its_next_look(root: Path) -> None:
    here, there = Worker(root), Worker(root)
    assert here.first() == there.first() == ("milk", 1.19)
    answer = here.put("milk", {"stock": 0})
    assert answer.get_json() == {
        **{"product_id": "milk", "stock": 0, "price": None, "margin": None, "known": True},
    }
    assert here.first()[0] == "bread"
    there.follower.look()
    assert there.first()[0] == "bread"
    assert Worker(root).first()[0] == "bread"  # it was durable
    there.put("milk", {"stock": 3, "price": 0.99})
    here.follower.look()
    assert here.first() == there.first() == ("milk", 0.99)
    here.put("milk", {"stock": None})
    assert here.first() == ("milk", 1.19)  # as the night has it


def test_a_product_that_no_version_has_yet_is_kept_for_one_that_will(root: Path) -> None:
    assert Worker(root).put("a/new one", {"stock": 1}).get_json()["known"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], None),
        ({}, None),
        ({"stock": 1, "colour": "red"}, "colour"),
        ({"stock": 1.5}, "stock"),
        ({"stock": True}, "stock"),
        ({"stock": "1"}, "stock"),
        ({"stock": 10**10}, "stock"),
        ({"price": -0.01}, "price"),
        ({"price": False}, "price"),
        ({"price": 1e10}, "price"),
        ({"margin": "1"}, "margin"),
    ],
)
def test_what_a_product_cannot_have_is_refused_by_its_key(root: Path, body: Any, field: str | None) -> None:
    worker = Worker(root)
    refused = worker.put("milk", body)
    assert (refused.status_code, refused.get_json().get("field")) == (400, field)
    assert worker.first() == ("milk", 1.19)


def test_an_oversold_product_is_out_of_stock(root: Path) -> None:
    worker = Worker(root)
    assert worker.put("milk", {"stock": -2}).get_json()["stock"] == 0
    assert worker.first()[0] == "bread"


def test_while_the_record_is_away_nothing_is_acknowledged_and_nothing_shown(root: Path) -> None:
    (root / "record" / "record.db").rename(root / "record" / "gone.db")
    app = tiny_app(root)
    assert app.test_client().put("/products/milk", json={"stock": 0}).status_code == 503
    assert get(app, "/recommend/anna?n=1")["recommendations"][0]["product_id"] == "milk"
