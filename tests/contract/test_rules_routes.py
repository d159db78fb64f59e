"""The operator's routes about rules, on a real record: put, seen by workers, gone back, tried."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator

from service.errors import RefusedError
from service.events.counters import EventCounters
from service.live.changes import ChangesFollower
from service.live.products import LiveProducts
from service.openapi.document import operator_document
from service.record import RecordDoor
from service.rules.book import RuleBook
from service.rules.kept import KeptRules
from service.rules.reading import parse_rules
from service.rules.watch import RulesFileFollower
from service.settings import Settings
from service.telemetry.metrics import Metrics
from storage.record.changes import ProductState
from storage.record.erasure_key import load_erasure_key
from storage.record.products import change_product
from storage.record.record import Record, record_url
from storage.record.schema import prepare
from storage.record.tables import audit
from storage.versions.store import Store
from tests.data.credentials import Credentials, bearer
from tests.data.records import rows
from tests.data.tiny_service import PATIENT_MS, get, known, tiny_app, tiny_operator_app
from tests.data.tiny_version import publish

SHOP = Credentials()
ONE = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk", "mlik"]\n'
TWO = ONE.replace('"milk"', '"bread"')


class Shop:
    """A worker and the operator's listener on one store."""

    def __init__(self, root: Path) -> None:
        self.root, self.book, self.live = root, RuleBook(), LiveProducts()
        publish(Store(root))
        prepare(record_url(root, None))
        self.app = tiny_app(root, book=self.book, live=self.live, first_level_life_s=1)
        self.operator = self.listener()
        self.connect()
        self.follower.look()

    def connect(self) -> None:
        """A follower that has yet to open the record."""
        settings = Settings(store=self.root, record_timeout_ms=PATIENT_MS)
        door = RecordDoor(settings, EventCounters(Metrics(None).registry))
        kept = KeptRules(self.root / "kept.json")
        self.follower = ChangesFollower(door, self.live, self.book, kept)

    def listener(self, rules: Path | None = None) -> FlaskClient:
        client = tiny_operator_app(self.root, known(SHOP.keyring), rules).test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = bearer(SHOP.operator)["Authorization"]
        return client

    def shown(self) -> list[str]:
        self.follower.look()
        body = get(self.app, "/recommend/anna?n=2")
        return [item["product_id"] for item in body["recommendations"]]

    def tell(self, product_id: str, stock: int) -> None:
        """What a worker acknowledges of a product."""
        with self.record() as record, record.writing() as connection:
            change_product(connection, ProductState(product_id, stock, None, None), now_ms=0)

    @contextmanager
    def record(self) -> Iterator[Record]:
        record = Record(record_url(self.root, None), load_erasure_key(self.root, None))
        try:
            yield record
        finally:
            record.close()

    def audited(self) -> list[tuple[object, ...]]:
        with self.record() as record:
            return rows(record, audit, "what", "client", "detail")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)


def test_answers_are_as_the_document_says(shop: Shop) -> None:
    schemas = operator_document()["components"]["schemas"]
    sent = [
        ("PUT", "/rules", ONE, "RulesPut"),
        ("GET", "/rules", None, "RulesInForce"),
        ("PUT", "/rules", TWO, "RulesPut"),
        ("GET", "/rules/versions", None, "RulesVersions"),
        ("POST", "/rules/rollback", None, "RulesBack"),
        ("POST", "/rules/dry-run", TWO, "DryRun"),
    ]
    for method, path, body, name in sent:
        answer = shop.operator.open(path, method=method, data=body)
        assert answer.status_code == 200, answer.text
        described = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        OAS31Validator(described).validate(answer.get_json())


def test_before_there_are_rules_there_are_none(shop: Shop) -> None:
    assert shop.operator.get("/rules").get_json() == {
        **{"version": "none", "source": "record", "changed_at": None, "rules": 0, "text": "schema = 1\n"},
    }
    assert shop.operator.get("/rules/versions").get_json() == {"versions": []}
    nothing = shop.operator.post("/rules/rollback")
    assert (nothing.status_code, nothing.get_json()["detail"]) == (404, "there are no rules yet")


def test_rules_that_are_put_hold_for_the_next_answer_of_every_worker(shop: Shop) -> None:
    assert shop.shown() == ["milk", "bread"]
    put = shop.operator.put("/rules", data=ONE, content_type="application/toml")
    assert put.get_json() == {"version": "1", "warnings": ["rule a: no such product: mlik"]}
    assert shop.shown() == ["bread", "butter"]
    assert shop.operator.put("/rules", data=ONE).get_json()["version"] == "1"  # once more changes nothing
    assert shop.operator.put("/rules", data=TWO).get_json()["version"] == "2"
    assert shop.shown() == ["milk", "butter"]
    found = shop.operator.get("/rules").get_json()
    assert (found["version"], found["text"], found["rules"]) == ("2", TWO, 1)


def test_one_goes_back_to_the_rules_before_or_to_any(shop: Shop) -> None:
    for text in (ONE, TWO):
        shop.operator.put("/rules", data=text)
    assert shop.operator.post("/rules/rollback").get_json() == {"version": "1"}
    assert shop.shown() == ["bread", "butter"]
    first = shop.operator.post("/rules/rollback")
    assert (first.status_code, "schema = 1 alone" in first.get_json()["detail"]) == (404, True)
    assert shop.operator.post("/rules/rollback", json={"version": "2"}).get_json() == {"version": "2"}
    assert shop.shown() == ["milk", "butter"]
    versions = shop.operator.get("/rules/versions").get_json()["versions"]
    assert [(version["version"], version["active"]) for version in versions] == [("2", True), ("1", False)]
    for body in ({"version": "9"}, {"version": "x"}, {"version": 1}, {"number": "1"}):
        refused = shop.operator.post("/rules/rollback", json=body)
        assert refused.status_code == (404 if body == {"version": "9"} else 400)
    assert shop.shown() == ["milk", "butter"]


def test_every_change_is_audited_with_the_key_that_made_it(shop: Shop) -> None:
    for text in (ONE, TWO):
        shop.operator.put("/rules", data=text)
    shop.operator.post("/rules/rollback")
    key_id = SHOP.operator.split("_")[1]
    assert shop.audited() == [
        ("rules put", key_id, '{"number": 1, "before": null}'),
        ("rules put", key_id, '{"number": 2, "before": 1}'),
        ("rules rolled back", key_id, '{"number": 1, "before": 2}'),
    ]


def test_a_file_with_mistakes_is_refused_with_all_of_them_and_changes_nothing(shop: Shop) -> None:
    shop.operator.put("/rules", data=ONE)
    refused = shop.operator.put("/rules", data=ONE + 'colour = "red"\n')
    assert (refused.status_code, refused.content_type) == (400, "application/problem+json")
    body = refused.get_json()
    assert body["type"] == "urn:nextbest:problem:bad_rules"
    (mistake,) = body["mistakes"]
    assert mistake.pop("why").startswith("there is no such key; block has id, ")
    assert mistake == {"rule": "a", "line": 2, "path": "rules.1.colour"}
    assert shop.operator.post("/rules/dry-run", data=b"\xff").status_code == 400
    assert shop.operator.put("/rules", data="x" * 2**21).status_code == 413
    assert shop.operator.put("/rules", json={}).status_code == 415
    assert shop.shown() == ["bread", "butter"]


@pytest.mark.parametrize(("method", "path"), [("PUT", "/rules"), ("POST", "/rules/dry-run")])
def test_a_file_whose_end_did_not_come_is_refused(shop: Shop, method: str, path: str) -> None:
    cut = {"CONTENT_LENGTH": str(len(ONE) + 100), "wsgi.input_terminated": True}  # as the server has it
    refused = shop.operator.open(path, method=method, data=ONE, environ_overrides=cut)
    assert (refused.status_code, refused.get_json()["type"]) == (400, "urn:nextbest:problem:bad_body")
    assert "cut off" in refused.get_json()["detail"]
    assert get_rules(shop)["text"] == "schema = 1\n"


def get_rules(shop: Shop) -> dict[str, object]:
    found: dict[str, object] = shop.operator.get("/rules").get_json()
    return found


def test_a_dry_run_compares_with_what_is_in_force_and_changes_nothing(shop: Shop) -> None:
    shop.operator.put("/rules", data=ONE)
    same = shop.operator.post("/rules/dry-run", data=ONE).get_json()
    assert [change["changed"] for change in same["placements"]] == [0]
    other = shop.operator.post("/rules/dry-run", data=TWO).get_json()
    assert (other["rules_before"], other["customers"]) == ("1", 6)
    assert other["placements"][0]["changed"] == 6
    assert other["warnings"] == ["rule a: no such product: mlik"]
    later = TWO + "starts = 2030-01-01\n"
    assert shop.operator.post("/rules/dry-run", data=later).get_json()["asleep"] == ["a"]
    moment = "2030-01-01T00:00:00%2B00:00"
    assert shop.operator.post(f"/rules/dry-run?at={moment}", data=later).get_json()["asleep"] == []
    never = ("at=0001-01-01T00:00:00Z", "at=9999-12-31T23:59:59-12:00", f"at={moment}&at={moment}")
    for wrong in ("at=tomorrow", "at=2030-01-01T00:00:00", *never):
        assert shop.operator.post(f"/rules/dry-run?{wrong}", data=later).status_code == 400
    unknown = shop.operator.post("/rules/dry-run?when=1", data=later)
    assert (unknown.status_code, unknown.get_json()["detail"]) == (
        400,
        "when: not a parameter; there are: at, customer, n, placement, category, exclude, objective",
    )
    assert shop.shown() == ["bread", "butter"]


def test_a_dry_run_knows_stock_and_prices_of_now(shop: Shop) -> None:
    scarce = 'schema = 1\n[[rules]]\nid = "a"\nkind = "min_stock"\nstock = 5\nproducts = ["milk"]\n'

    def leaving() -> list[str]:
        tried = shop.operator.post("/rules/dry-run", data=scarce).get_json()
        return [moved["product_id"] for moved in tried["placements"][0]["leaving"]]

    assert leaving() == []  # nobody counts milk
    shop.tell("milk", stock=4)
    assert leaving() == ["milk"]
    shop.tell("milk", stock=5)
    assert leaving() == []
    publish(Store(shop.root))
    shop.tell("milk", stock=0)
    assert leaving() == []  # without the rule neither has it anybody
    shop.tell("milk", stock=1)
    assert leaving() == ["milk"]


def test_rules_of_a_file_are_shown_and_not_changed_here(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(TWO)
    shop.operator.put("/rules", data=ONE)  # before a file was named
    listener = shop.listener(file)
    found = listener.get("/rules").get_json()
    assert (found["source"], found["text"], found["changed_at"]) == ("file", TWO, None)
    assert listener.put("/rules", data=ONE).status_code == 409
    assert listener.post("/rules/rollback").status_code == 409
    assert [one["active"] for one in listener.get("/rules/versions").get_json()["versions"]] == [False]
    file.write_text("schema = ")
    assert listener.get("/rules").status_code == 400


def test_while_the_file_is_broken_or_gone_the_operator_sees_what_workers_go_on_with(
    shop: Shop, tmp_path: Path
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(ONE)
    listener, kept = shop.listener(file), KeptRules(shop.root / "rules.json")
    RulesFileFollower(file, shop.book, kept, poll_s=60).look()
    file.write_text("schema = ")
    for _ in range(2):
        assert listener.get("/rules").get_json()["text"] == ONE
        tried = listener.post("/rules/dry-run", data=TWO)
        assert (tried.status_code, tried.get_json()["rules_before"]) == (200, parse_rules(ONE).version)
        file.unlink(missing_ok=True)


def test_without_a_record_rules_cannot_be_put_and_answers_go_on(shop: Shop) -> None:
    shop.operator.put("/rules", data=ONE)
    assert shop.shown() == ["bread", "butter"]
    (shop.root / "record" / "record.db").rename(shop.root / "record" / "gone.db")
    shop.connect()
    with pytest.raises(RefusedError):
        shop.follower.look()
    refused = shop.listener().put("/rules", data=TWO)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "send it again" in refused.get_json()["detail"]
    back = shop.listener().post("/rules/rollback")
    assert "see GET /rules first" in back.get_json()["detail"]  # twice would go back one more
    named = shop.listener().post("/rules/rollback", json={"version": "1"})
    assert "send it again" in named.get_json()["detail"]
    assert shop.listener().get("/rules").get_json()["detail"] == "no answer: ask again"
    assert [item["product_id"] for item in get(shop.app, "/recommend/anna?n=1")["recommendations"]] == [
        "bread"
    ]
    assert RuleBook().rules.version == "none"
    kept = KeptRules(shop.root / "kept.json").load()  # for a worker that starts now
    assert kept
    assert (kept.version, kept.text) == ("1", ONE)


def test_an_answer_says_what_the_shop_put_there(shop: Shop) -> None:
    pin = 'schema = 1\n[[rules]]\nid = "hero"\nkind = "pin"\nproducts = ["plum"]\nposition = 1\n'
    shop.operator.put("/rules", data=pin)
    shop.follower.look()
    for path in ("/recommend/anna", "/recommend/nobody", "/popular", "/similar/milk"):
        first = get(shop.app, path)["recommendations"][0]
        assert (first["product_id"], first["rank"]) == ("plum", 1)
        assert first["reason"] == {
            **{"code": "chosen_by_shop", "text": "Chosen by the shop", "evidence": {"rule": "hero"}},
        }
