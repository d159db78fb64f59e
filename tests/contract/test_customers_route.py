"""/customers/<id>: what is allowed is obeyed by the next answer, what is held is told, erased is gone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.answering.first_level import FirstLevel
from service.app import create_app
from service.events.counters import EventCounters
from service.events.desk import EventDesk
from service.live.customers import LiveCustomers
from service.live.follower import LiveFollower
from service.live.reader import LiveReader
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.record import RecordDoor
from service.routes.customer_desk import CustomerDesk
from service.rules.book import RuleBook
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower
from storage.files.shop_files import FILE, note_shop_file, shop_files
from storage.record.consent import PRESETS
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.tiny_service import PATIENT_MS, plain_parts
from tests.data.tiny_version import AS_OF, TinyOffer, TinyShop, publish, write_version

BOUGHT = {
    **{"type": "purchase", "event_id": "e1", "customer_id": "anna", "product_id": "butter"},
    **{"order_id": "o9", "unit_price": 2.5, "occurred_at": "2026-11-20T10:00:00Z"},
}


@dataclass
class Worker:
    """One worker with a record of its own, and what it deleted from Redis."""

    client: FlaskClient
    news: LiveFollower
    forgotten: list[str]

    def source(self) -> str:
        return str(self.get("/recommend/anna")["source"])

    def get(self, path: str, status: int = 200) -> Any:
        return self._json(self.client.get(path), status)

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        return self._json(self.client.put(path, json=body), status)

    def delete(self, path: str, status: int = 200) -> Any:
        return self._json(self.client.delete(path), status)

    def send(self, event: dict[str, object], status: int = 200) -> Any:
        return self._json(self.client.post("/events", json=event), status)

    @staticmethod
    def _json(answer: Any, status: int) -> Any:
        assert answer.status_code == status, answer.text
        return answer.get_json()


def worker_on(root: Path) -> Worker:
    metrics, forgotten = Metrics(None), []
    settings = Settings(store=root, record_timeout_ms=PATIENT_MS)
    follower = ChampionFollower(Store(root), metrics, 1)
    follower.look()
    assert follower.current
    served = follower.current.served
    events = EventCounters(metrics.registry)
    door = RecordDoor(settings, events)
    live = LiveCustomers(most=100)
    reader = LiveReader(door, live, lambda: served.since)
    news = LiveFollower(reader, poll_s=1, wait_s=5)
    news.catch_up()
    while reader.is_behind:
        reader.go_on()
    desk = CustomerDesk(
        door,
        files=lambda: shop_files(root, now=datetime.now(UTC)),
        default=PRESETS["all"],
        told=news.catch_up,
        live=live,
        served=lambda: served,
        forget=forgotten.append,
    )
    parts = plain_parts(
        settings,
        follower,
        Recommender(FirstLevel(10, 1), None, live.of),
        metrics,
        events,
        door,
        desk=EventDesk(settings, door, events, follower.knows_product, follower.knows_offer, news.catch_up),
        customers=desk,
        offers=OfferDesk(live.of, RuleBook()),
    )
    return Worker(create_app(parts).test_client(), news, forgotten)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    publish(Store(tmp_path))
    prepare(record_url(tmp_path, None))
    yield tmp_path


@pytest.fixture
def worker(root: Path) -> Worker:
    return worker_on(root)


def test_who_said_nothing_allows_what_the_shop_says(worker: Worker) -> None:
    held = worker.get("/customers/ghost")
    assert held["consent"] == {"personalise": True, "train": True, "experiment": True, "store": True}
    assert (held["events"], held["consents"], held["quarantine"], held["night"]) == ([], [], [], None)


def test_a_refusal_counts_in_the_next_answer_here_and_with_the_next_look_elsewhere(
    root: Path, worker: Worker
) -> None:
    other = worker_on(root)
    assert worker.source() == other.source() == "personal"
    answer = worker.put("/customers/anna", {"consent": {"personalise": False}})
    assert answer["consent"] == {"personalise": False, "train": True, "experiment": True, "store": True}
    assert worker.source() == "popular"
    other.news.catch_up()
    assert other.source() == "popular"
    worker.put("/customers/anna", {"consent": "all"})
    assert worker.source() == "personal"


def test_a_preset_is_four_consents(worker: Worker) -> None:
    answer = worker.put("/customers/anna", {"consent": "no_personalisation"})
    assert answer["consent"] == {"personalise": False, "train": True, "experiment": False, "store": True}
    assert worker.get("/customers/anna")["consent"] == answer["consent"]


def test_without_store_events_are_answered_and_discarded(worker: Worker) -> None:
    worker.put("/customers/anna", {"consent": {"store": False}})
    assert worker.send(BOUGHT)["fate"] == "discarded"
    assert worker.get("/customers/anna")["events"] == []


def test_an_export_has_all_that_is_held_and_nothing_of_how_it_is_kept(worker: Worker) -> None:
    worker.send(BOUGHT)
    worker.send(BOUGHT | {"event_id": "e2", "product_id": "unicorn"})
    worker.put("/customers/anna", {"consent": {"experiment": False}})
    held = worker.get("/customers/anna")
    (event,) = held["events"]
    assert event == {
        **{"event_id": "e1", "type": "purchase", "product_id": "butter", "order_id": "o9"},
        **{
            "unit_price": 2.5,
            "quantity": 1.0,
            "at": "2026-11-20T10:00:00+00:00",
            "received": event["received"],
        },
    }
    (aside,) = held["quarantine"]
    assert (aside["product_id"], aside["reason"]) == ("unicorn", "unknown product")
    assert aside["payload"]["product_id"] == "unicorn"
    assert [consent["experiment"] for consent in held["consents"]] == [False]
    night = held["night"]
    assert {one["product_id"] for one in night["bought"]} == {"milk", "bread"}
    assert night["listed"][0] == "milk"


def test_an_export_has_what_the_version_holds_of_the_shops_own_tables(tmp_path: Path) -> None:
    """For rules it has columns and segments, also of one who never bought; and whose offers are which."""
    shop = TinyShop(
        people={"anna": {"card": "gold"}, "zoe": {"card": "blue", "age": "30"}},
        audiences={"vip": ["anna", "zoe"], "mail": ["ben"]},
        offers=[TinyOffer("o1", ["milk"], {"anna": (0.3, 0.1)})],
    )
    publish(Store(tmp_path), shop)
    prepare(record_url(tmp_path, None))
    worker = worker_on(tmp_path)
    night = worker.get("/customers/anna")["night"]
    assert (night["columns"], night["segments"], night["offers"]) == ({"card": "gold"}, ["vip"], ["o1"])
    night = worker.get("/customers/ben")["night"]
    assert (night["columns"], night["segments"], night["offers"]) == ({}, ["mail"], [])
    night = worker.get("/customers/zoe")["night"]
    assert (night["columns"], night["segments"]) == ({"age": "30", "card": "blue"}, ["vip"])
    assert (night["bought"], night["listed"], night["offers"]) == ([], [], [])
    worker.delete("/customers/zoe")
    assert worker.get("/customers/zoe")["night"] is None
    assert worker.get("/customers/nobody")["night"] is None


def test_erased_is_gone_at_once_and_the_receipt_says_where_an_id_may_still_be(worker: Worker) -> None:
    worker.send(BOUGHT)
    worker.put("/customers/anna", {"consent": "all"})
    receipt = worker.delete("/customers/anna")
    assert receipt["number"] == 1
    assert receipt["deleted"] == {
        **{
            "events": 1,
            "quarantine": 0,
            "customers": 1,
            "consent_log": 1,
            "exposures": 0,
            "offer_promises": 0,
        }
    }
    assert {one["where"] for one in receipt["elsewhere"]} >= {"Redis", "versions of the night", "logs"}
    assert "unreachable" not in str(receipt)  # who reads it would think that Redis is away
    assert worker.forgotten == ["anna"]
    assert worker.source() == "popular"
    held = worker.get("/customers/anna")
    assert (held["events"], held["consents"], held["night"]) == ([], [], None)
    assert worker.send(BOUGHT | {"event_id": "late"}, 410)["type"] == "urn:nextbest:problem:erased"


def test_a_receipt_names_the_files_that_are_the_shops(worker: Worker, root: Path) -> None:
    assert worker.delete("/customers/anna")["files"] == []
    note_shop_file(root, root / "mail.csv", "nbo-serve batch", now=datetime.now(UTC))
    (file,) = worker.delete("/customers/anna")["files"]
    assert (file["path"], file["what"]) == (str(root / "mail.csv"), "nbo-serve batch")
    (root / FILE).unlink()
    (root / FILE).mkdir()  # can't be read
    receipt = worker.delete("/customers/anna")
    assert (receipt["files"], receipt["number"]) == (None, 3)


def test_an_erasure_may_be_asked_again_and_of_somebody_who_never_was(worker: Worker) -> None:
    first = worker.delete("/customers/ghost")
    second = worker.delete("/customers/ghost")
    assert first["deleted"] == second["deleted"] == dict.fromkeys(first["deleted"], 0)
    assert second["number"] > first["number"]


def test_a_new_consent_after_an_erasure_starts_a_new_life(worker: Worker) -> None:
    worker.delete("/customers/anna")
    worker.put("/customers/anna", {"consent": "all"})
    assert worker.source() == "popular"  # the night's word stays void
    refused = worker.send(BOUGHT, 410)
    assert refused["detail"] == "it happened before the customer was erased"
    assert worker.send({key: BOUGHT[key] for key in BOUGHT if key != "occurred_at"})["fate"] == "recorded"
    assert worker.source() == "session"
    assert worker.get("/customers/anna")["night"] is None


def test_who_was_erased_allows_nothing_but_what_they_then_say(worker: Worker) -> None:
    worker.delete("/customers/anna")
    nothing = dict.fromkeys(("personalise", "store", "train", "experiment"), False)
    assert worker.get("/customers/anna")["consent"] == nothing
    said = worker.put("/customers/anna", {"consent": {"experiment": False}})
    assert said["consent"] == nothing
    said = worker.put("/customers/anna", {"consent": {"personalise": True}})
    assert said["consent"] == nothing | {"personalise": True}


def test_a_night_that_knew_of_the_erasure_has_the_new_life(worker: Worker, root: Path) -> None:
    number = worker.delete("/customers/anna")["number"]
    worker.put("/customers/anna", {"consent": "all"})
    store = Store(root)
    for known, source in ((number - 1, "popular"), (number, "personal")):
        version_id = write_version(store, TinyShop(), now=AS_OF, tombstone=known)
        store.promote(version_id, now=AS_OF, why="a test")
        other = worker_on(root)
        assert other.source() == source
        assert (other.get("/customers/anna")["night"] is None) == (source == "popular")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "consent"),
        ([], "consent"),
        ({"consent": "some"}, "consent"),
        ({"consent": {}}, "consent"),
        ({"consent": None}, "consent"),
        ({"consent": {"personalise": 1}}, "consent.personalise"),
        ({"consent": {"personalise": None}}, "consent.personalise"),
        ({"consent": {"persona": True}}, "consent.persona"),
        ({"consent": "all", "note": "x"}, "consent"),
    ],
)
def test_a_body_that_says_something_else_is_refused_by_its_key(worker: Worker, body: Any, field: str) -> None:
    assert worker.put("/customers/anna", body, 400)["field"] == field
    assert worker.source() == "personal"


def test_what_cannot_be_kept_is_refused_loudly_and_changes_nothing(tmp_path: Path) -> None:
    publish(Store(tmp_path))  # and no record
    worker = worker_on(tmp_path)
    for answer, told in (
        (worker.client.put("/customers/anna", json={"consent": "nothing"}), "send it again"),
        (worker.client.delete("/customers/anna"), "ask again, twice does no harm"),
        (worker.client.get("/customers/anna"), "no answer: ask again"),  # a read keeps nothing
    ):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert answer.get_json()["detail"].endswith(told)
    assert worker.forgotten == []


@pytest.mark.parametrize("customer_id", ["a/b", "käthe", "a b", "'; drop table events; --"])
def test_any_id_can_be_erased(worker: Worker, customer_id: str) -> None:
    answer = worker.client.put(f"/customers/{customer_id}", json={"consent": "nothing"})
    assert answer.get_json()["customer_id"] == customer_id
    assert worker.delete(f"/customers/{customer_id}")["deleted"]["consent_log"] == 1
