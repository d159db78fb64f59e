"""POST /events on either database: what is taken, what is refused and why, and what of it is recorded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import URL

from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.record.schema import prepare
from storage.record.tables import events, quarantine
from storage.versions.store import Store
from tests.data.credentials import Credentials, bearer
from tests.data.records import PATIENT_MS, rows
from tests.data.tiny_service import known, tiny_app
from tests.data.tiny_version import TinyOffer, TinyShop, publish

SHOP = Credentials()
OF_A_VIEW = "event_id, customer_id, occurred_at, type, product_id"
OF_A_PURCHASE = "order_id, quantity, unit_price, discount, offer_id"
BOUGHT = {"type": "purchase", "event_id": "e1", "customer_id": "anna", "product_id": "milk"}
VIEWED = BOUGHT | {"type": "view", "event_id": "v1"}
EACH = [
    BOUGHT | {"order_id": "o1", "quantity": 2, "unit_price": 0.99, "discount": 0.1},
    BOUGHT | {"type": "return", "event_id": "r1", "order_id": "o1", "quantity": 1},
    VIEWED | {"occurred_at": "2026-11-20T18:05:00+01:00"},
    VIEWED | {"type": "add_to_cart", "event_id": "c1", "quantity": 3},
    {"type": "click", "event_id": "k1", "customer_id": "anna", "request_id": "b3401ddf", "position": 1},
    {"type": "survey", "event_id": "s1", "customer_id": "anna", "question": "nps", "score": 10},
    {"type": "survey", "event_id": "s2", "customer_id": "anna", "question": "ces", "score": 1},
]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    publish(Store(root), shop=TinyShop(offers=[TinyOffer("MILK-10", ["milk"], {"anna": (0.5, 0.1)})]))
    return root


@pytest.fixture
def record(tmp_path: Path, url: URL) -> Iterator[Record]:
    prepare(url)
    made = Record(url, load_erasure_key(tmp_path, None), lock_ms=PATIENT_MS)
    yield made
    made.close()


@pytest.fixture
def app(version: Path, tmp_path: Path, record: Record, url: URL, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setenv("NEXTBEST_RECORD_URL", url.render_as_string(hide_password=False))
    (tmp_path / "versions").symlink_to(version / "versions")
    (tmp_path / "champion.json").symlink_to(version / "champion.json")
    return tiny_app(tmp_path, callers=known(SHOP.keyring))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def send(client: FlaskClient, body: object, status: int = 200, credential: str = "") -> Any:
    answer = client.post("/events", json=body, headers=bearer(credential or SHOP.shop))
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] in ("private, no-store", "no-store")
    return answer.get_json()


def kept(record: Record) -> list[str]:
    return [str(event_id) for (event_id,) in rows(record, events, "event_id")]


def test_every_type_of_event_is_kept_with_what_it_says(client: FlaskClient, record: Record) -> None:
    for event in EACH:
        assert send(client, event) == {"event_id": event["event_id"], "fate": "recorded"}
    names = ("type", "product_id", "quantity", "request_id", "position", "question", "score")
    assert rows(record, events, *names) == [
        ("purchase", "milk", 2.0, None, None, None, None),
        ("return", "milk", 1.0, None, None, None, None),
        ("view", "milk", None, None, None, None, None),
        ("add_to_cart", "milk", 3.0, None, None, None, None),
        ("click", None, None, "b3401ddf", 1, None, None),
        ("survey", None, None, None, None, "nps", 10),
        ("survey", None, None, None, None, "ces", 1),
    ]
    assert rows(record, events, "at_ms")[2] == (1_795_194_300_000,)  # 17:05 UTC


def test_of_a_batch_some_may_say_how_many_and_others_not(client: FlaskClient, record: Record) -> None:
    """Postgres got 2.0 and 1 for one column, which takes one type: 503, however often it was sent."""
    batch = [BOUGHT | {"quantity": 2}, BOUGHT | {"event_id": "e2"}]
    assert send(client, {"events": batch})["recorded"] == 2
    assert rows(record, events, "event_id", "quantity") == [("e1", 2.0), ("e2", 1.0)]


def test_sent_again_it_counts_once_and_another_event_with_its_id_is_refused(
    client: FlaskClient, record: Record
) -> None:
    assert send(client, BOUGHT)["fate"] == "recorded"
    assert send(client, BOUGHT | {"quantity": 1})["fate"] == "duplicate"  # 1 is what was meant before
    problem = send(client, BOUGHT | {"quantity": 2}, 409)
    assert problem["type"] == "urn:nextbest:problem:event_conflict"
    assert kept(record) == ["e1"]


def test_in_a_batch_each_stands_for_itself(client: FlaskClient, record: Record) -> None:
    send(client, BOUGHT)
    bad = VIEWED | {"event_id": "bad", "quantity": 1}
    batch = [BOUGHT, VIEWED, bad, 7, BOUGHT | {"quantity": 5}, VIEWED | {"event_id": "g", "product_id": "x"}]
    answer = send(client, {"events": batch})
    counts = {"recorded": 1, "duplicate": 1, "quarantined": 1, "invalid": 2, "conflict": 1}
    others = answer.pop("not_recorded")
    assert answer == {"received": 6, "discarded": 0, "erased": 0, "warnings": []} | counts
    assert [(one["place"], one["event_id"], one["status"], one["fate"], one["reason"]) for one in others] == [
        (2, "bad", 400, "invalid", f"quantity: no such field; there are: {OF_A_VIEW}"),
        (3, None, 400, "invalid", "must be an object"),
        (4, "e1", 409, "conflict", "another event has this event_id"),
        (5, "g", 200, "quarantined", "unknown product"),
    ]
    assert kept(record) == ["e1", "v1"]
    assert rows(record, quarantine, "event_id", "reason") == [("g", "unknown product")]


def test_a_purchase_by_an_offer_that_is_not_known_counts_and_is_told_of(
    client: FlaskClient, record: Record
) -> None:
    """A typing error in the shop's code was recorded without a word, and the offer went on being shown."""
    right = BOUGHT | {"offer_id": "MILK-10"}
    wrong = BOUGHT | {"event_id": "e2", "offer_id": "milk-10"}
    why = "offer_id: the version that answers has no such offer"
    assert send(client, right) == {"event_id": "e1", "fate": "recorded"}
    assert send(client, wrong) == {"event_id": "e2", "fate": "recorded", "warning": why}
    aside = wrong | {"event_id": "e3", "product_id": "unheard of"}
    answer = send(client, {"events": [right, VIEWED, wrong, wrong | {"event_id": "e4"}, aside]})
    assert answer["warnings"] == [  # also of what is sent again, since the first answer may have been lost
        {"place": 2, "event_id": "e2", "warning": why},
        {"place": 3, "event_id": "e4", "warning": why},
    ]
    assert [one["place"] for one in answer["not_recorded"]] == [4]
    assert rows(record, events, "event_id", "offer_id") == [
        ("e1", "MILK-10"),
        ("e2", "milk-10"),
        ("e4", "milk-10"),
        ("v1", None),
    ]


def test_before_the_first_night_every_offer_is_taken_as_every_product_is(tmp_path: Path) -> None:
    prepare(record_url(tmp_path, None))
    sent = BOUGHT | {"offer_id": "MILK-10"}
    answer = tiny_app(tmp_path).test_client().post("/events", json=sent)
    assert answer.get_json() == {"event_id": "e1", "fate": "recorded"}


def test_a_batch_has_a_thousand_events_at_most(client: FlaskClient, record: Record) -> None:
    many = [BOUGHT | {"event_id": f"e{n}", "customer_id": f"c{n}"} for n in range(1001)]
    assert send(client, {"events": many}, 400)["field"] == "events"
    assert send(client, {"events": many[:1000]})["recorded"] == 1000
    for empty in ({"events": []}, {"events": {}}, {"events": [BOUGHT], "more": 1}):
        assert send(client, empty, 400)["type"] == "urn:nextbest:problem:bad_body"
    assert len(kept(record)) == 1000


def test_a_single_event_that_is_refused_names_the_field_as_every_problem_does(client: FlaskClient) -> None:
    for more, field, reason in (
        ({"quantity": "2"}, "quantity", "must be a number"),
        ({"colour": "red"}, "colour", f"no such field; there are: {OF_A_VIEW}, {OF_A_PURCHASE}"),
        ({"type": "buy"}, "type", "must be one of purchase, return, view, add_to_cart, click, survey"),
    ):
        found = send(client, BOUGHT | more, 400)
        assert (found["field"], found["reason"]) == (field, reason)
        assert found["detail"] == f"{field}: {reason}"


def test_a_bare_list_of_events_is_told_how_many_are_sent(client: FlaskClient) -> None:
    answer = client.post("/events", json=[BOUGHT], headers=bearer(SHOP.shop))
    assert answer.status_code == 400
    assert answer.get_json()["detail"] == 'an event is an object; many of them are {"events": [...]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON in UTF-8"),
        (b'{"a": 1} x', "not JSON in UTF-8"),
        (b'{"a": NaN}', "not JSON in UTF-8"),
        (b'{"a": -Infinity}', "not JSON in UTF-8"),
        (b'{"a": "\xff"}', "not JSON in UTF-8"),
        ('{"a": "\u00e4"}'.encode("utf-16"), "not JSON in UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON in UTF-8"),
        (b'{"a": 1, "a": 1}', "a name stands twice in one object"),
        (b'{"a": [{"b": 1, "b": 2}]}', "a name stands twice in one object"),
        (b"[" * 9 + b"]" * 9, "nested deeper than 8 levels"),
        (b'{"a": ' * 30_000, "nested deeper than 8 levels"),
    ],
)
def test_a_body_that_is_no_json_as_we_take_it_is_refused_as_a_whole(
    client: FlaskClient, body: bytes, reason: str
) -> None:
    answer = client.post("/events", data=body, headers=bearer(SHOP.shop), content_type="application/json")
    assert (answer.status_code, answer.get_json()["detail"]) == (400, reason)


def test_a_nested_value_within_the_depth_is_the_fault_of_its_event_alone(client: FlaskClient) -> None:
    nested = BOUGHT | {"event_id": "n1", "order_id": [[["o"]]]}
    answer = send(client, {"events": [nested, BOUGHT]})
    assert (answer["recorded"], answer["not_recorded"][0]["reason"]) == (1, "order_id: must be a text")


def test_a_body_is_refused_by_its_size_length_and_type(client: FlaskClient) -> None:
    large = json.dumps(BOUGHT | {"order_id": "o" * 65_536}).encode()
    huge = b'{"events": [' + b" " * 1_048_576 + b"]}"
    for body in (large, huge):
        answer = client.post("/events", data=body, headers=bearer(SHOP.shop), content_type="application/json")
        assert (answer.status_code, answer.get_json()["type"]) == (413, "urn:nextbest:problem:too_large")
    assert client.post("/events", headers=bearer(SHOP.shop)).status_code == 411
    answer = client.post("/events", data="x=1", headers=bearer(SHOP.shop), content_type="text/plain")
    assert answer.status_code == 415
    assert client.get("/events", headers=bearer(SHOP.shop)).status_code == 405


def test_a_browser_may_tell_of_its_own_customer_and_of_nothing_that_was_paid(
    client: FlaskClient, record: Record
) -> None:
    token = SHOP.token("anna")
    own = [event for event in EACH if event["type"] not in ("purchase", "return")]
    assert send(client, {"events": own}, credential=token)["recorded"] == 5
    seen = VIEWED | {"event_id": "v2"}
    for other in (BOUGHT, EACH[1], VIEWED | {"customer_id": "bert"}, BOUGHT | {"customer_id": 5}):
        send(client, other, 403, token)
        send(client, {"events": [seen, other]}, 403, token)  # nothing of it is kept
    assert len(kept(record)) == 5


def test_a_browser_that_sends_an_id_as_a_number_is_told_so(client: FlaskClient, record: Record) -> None:
    answer = send(client, VIEWED | {"customer_id": 5}, 400, SHOP.token("5"))
    assert answer["detail"] == "customer_id: must be a text"
    seen = VIEWED | {"customer_id": "5"}
    batch = send(client, {"events": [seen, seen | {"customer_id": None}]}, credential=SHOP.token("5"))
    assert (batch["recorded"], batch["invalid"]) == (1, 1)
    assert len(kept(record)) == 1


def test_a_browser_cannot_use_up_the_event_ids_of_the_shop(client: FlaskClient, record: Record) -> None:
    assert send(client, VIEWED | {"event_id": "e1"}, credential=SHOP.token("anna"))["fate"] == "recorded"
    assert send(client, BOUGHT)["fate"] == "recorded"
    clients = {row[0] for row in rows(record, events, "client")}
    assert clients == {SHOP.ed25519.key_id, SHOP.keyring.api_keys[0].key_id}


def test_without_the_consent_to_store_an_event_is_thrown_away_and_the_answer_says_so(
    client: FlaskClient, record: Record
) -> None:
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["nothing"], now_ms=0, client="")
    answer = send(client, BOUGHT)
    assert (answer["fate"], answer["reason"]) == ("discarded", "the customer allows nothing to be stored")
    assert kept(record) == []


def test_an_erased_customers_events_are_refused(client: FlaskClient, record: Record) -> None:
    send(client, BOUGHT)
    erase(record, "anna", now_ms=2_000_000_000_000, client="")
    assert send(client, BOUGHT, 410)["type"] == "urn:nextbest:problem:erased"
    assert send(client, {"events": [BOUGHT]})["not_recorded"][0]["status"] == 410


def test_metrics_count_events_by_type_and_fate(app: Flask, tmp_path: Path) -> None:
    client = tiny_app(tmp_path).test_client()  # without keys, so that /metrics is public
    client.post("/events", json={"events": [BOUGHT, BOUGHT, VIEWED, {"type": "x"}]})
    text = client.get("/metrics").text
    assert 'nextbest_events_total{fate="recorded",type="purchase"} 1.0' in text
    assert 'nextbest_events_total{fate="duplicate",type="purchase"} 1.0' in text
    assert 'nextbest_events_total{fate="invalid",type="none"} 1.0' in text
    assert "nextbest_event_commit_seconds_count 1.0" in text
    assert "nextbest_record_failures_total 0.0" in text


def test_a_record_that_is_not_there_is_a_503_and_says_when_to_ask_again(tmp_path: Path) -> None:
    app = tiny_app(tmp_path)  # nobody prepared a record in this folder
    answer = app.test_client().post("/events", json=BOUGHT)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json()["type"] == "urn:nextbest:problem:record_unavailable"
    assert "may have been kept" in answer.get_json()["detail"]
    assert "sqlite" not in answer.text
