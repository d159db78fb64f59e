"""Products that are sold under another id now: by day, as at night, the old id means the new one."""

import csv
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from storage.record.record import record_url
from storage.record.schema import prepare
from tests.contract.test_customers_route import Worker, worker_on
from tests.data.nights import champion, ids, quick_config, quick_night, run
from tests.data.tiny_service import EVERYBODY, get, tiny_app, tiny_operator_app
from tests.data.webshop import START, habits, write_shop

CHANGED = START + timedelta(days=20)
EVENT = {"type": "purchase", "order_id": "A"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Until a day p0 was sold as `old`; `unsold` was never sold."""
    folder = write_shop(tmp_path_factory.mktemp("shop"), habits(customers=60, products=40, days=40))
    lines = list(csv.reader((folder / "purchases.csv").read_text().splitlines()))
    with (folder / "purchases.csv").open("w", newline="") as file:
        for line in lines:
            is_old = line[1] == "p0" and line[2] < CHANGED.isoformat()
            csv.writer(file).writerow([line[0], "old", *line[2:]] if is_old else line)
    header, *products = (folder / "products.csv").read_text().splitlines()
    table = [f"{header},replaced_by", *(f"{line}," for line in products)]
    table += ["old,SIGNS,Aisle 0,1,9,p0", "unsold,SIGNS,Aisle 0,1,9,p0"]
    (folder / "products.csv").write_text("\n".join(table))
    return folder


@pytest.fixture(scope="module")
def published(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_night(shop, tmp_path_factory.mktemp("night"))


@pytest.fixture
def store(published: Path, tmp_path: Path) -> Iterator[Path]:
    yield new_store(published, tmp_path / "store")


def new_store(published: Path, root: Path) -> Path:
    shutil.copytree(published, root)
    prepare(record_url(root, None))
    return root


def buyer(worker: Worker) -> tuple[str, Any]:
    """Somebody who bought p0 several times, and its item in their list."""
    for number in range(60):
        item = listed(worker, f"c{number}").get("p0")
        if item and item["reason"]["evidence"].get("times", 0) > 2:
            return f"c{number}", item
    raise AssertionError("nobody bought it")


def listed(worker: Worker, customer_id: str) -> dict[str, Any]:
    answer = worker.get(f"/recommend/{customer_id}?n=30")
    return {item["product_id"]: item for item in answer["recommendations"]}


def recommended(answer: Any) -> list[Any]:
    return [(item["product_id"], item["reason"]["evidence"]) for item in answer["recommendations"]]


def test_a_version_has_no_row_for_an_old_id(published: Path) -> None:
    assert {"old", "unsold"}.isdisjoint(ids(champion(published), "products"))


def test_a_purchase_under_an_old_id_counts_by_day_as_one_under_the_new_and_as_the_next_night_has_it(
    published: Path, store: Path, shop: Path, tmp_path: Path
) -> None:
    worker, other = worker_on(store), worker_on(new_store(published, tmp_path / "other"))
    customer_id, before = buyer(worker)
    bought = EVENT | {"customer_id": customer_id, "event_id": "1"}
    began = datetime.now(UTC).date()
    assert worker.send(bought | {"product_id": "old"})["fate"] == "recorded"
    assert other.send(bought | {"product_id": "p0"})["fate"] == "recorded"
    after = listed(worker, customer_id)
    assert after == listed(other, customer_id)
    times = before["reason"]["evidence"]["times"]
    evidence = after["p0"]["reason"]["evidence"]
    assert evidence["times"] == times + 1
    assert began.isoformat() <= evidence["last_purchased_on"] <= datetime.now(UTC).date().isoformat()
    assert after["p0"]["rank"] > before["rank"]

    # of an order that names both it is one purchase, of another one more
    assert worker.send(bought | {"event_id": "2", "product_id": "p0"})["fate"] == "recorded"
    assert listed(worker, customer_id)["p0"]["reason"]["evidence"]["times"] == times + 1
    more = bought | {"event_id": "3", "order_id": "B", "product_id": "unsold"}
    assert worker.send(more)["fate"] == "recorded"
    assert listed(worker, customer_id)["p0"]["reason"]["evidence"]["times"] == times + 2

    held = worker.get(f"/customers/{customer_id}")
    assert [event["product_id"] for event in held["events"]] == ["old", "p0", "unsold"]  # as it was sent
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path), "--force")
    assert ran.code == 0, ran.err
    assert listed(worker_on(store), customer_id)["p0"]["reason"]["evidence"]["times"] == times + 2


def test_what_asks_about_an_old_id_is_answered_for_the_new_one(store: Path) -> None:
    worker = worker_on(store)
    for old in ("old", "unsold"):
        similar = worker.get(f"/similar/{old}")
        assert similar["product_id"] == "p0"
        assert recommended(similar) == recommended(worker.get("/similar/p0"))
        carts = [[old], ["p0"], [old, "p0", "p1"], ["p0", "p1"]]
        one, same, two, alike = (
            worker.client.post("/basket", json={"product_ids": cart, "n": 39}).get_json() for cart in carts
        )
        assert recommended(one) == recommended(same)
        assert recommended(two) == recommended(alike)
        assert "p0" not in dict(recommended(one))
        assert "p0" in dict(recommended(worker.get("/popular?n=100")))
        assert "p0" not in dict(recommended(worker.get(f"/popular?n=100&exclude={old}")))
    worker.get("/similar/nothing", status=404)


def test_stock_and_price_of_an_old_pack_are_not_those_of_the_new_one(store: Path) -> None:
    app = tiny_app(store)
    before = shelf(app)
    assert {"p0", "p1"} <= set(before)
    for body in ({"stock": 0, "price": 77}, {"stock": 7}):
        answer = app.test_client().put("/products/old", json=body)
        assert (answer.status_code, answer.get_json()["known"]) == (200, False)
        assert shelf(app) == before


def shelf(app: Flask) -> dict[str, float]:
    """What may be shown, at which price."""
    return {item["product_id"]: item["price"] for item in get(app, "/popular?n=100")["recommendations"]}


def test_who_puts_a_rule_with_an_old_id_is_told_that_it_holds_for_the_new_one(store: Path) -> None:
    app = tiny_operator_app(store, EVERYBODY)
    text = 'schema = 1\n[[rules]]\nid = "off"\nkind = "block"\nproducts = ["old", "p1"]\n'
    answer = app.test_client().put("/rules", data=text, content_type="application/toml")
    assert answer.get_json()["warnings"] == [
        "rule off: it holds for the new ids of what was replaced: old is p0 now"
    ]
    assert get(app, "/rules")["text"] == text
