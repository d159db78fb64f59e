"""A dry run of one customer: the lists before and after; looking leaves nothing behind."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator

from service.openapi.document import operator_document
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.web.parameters import N_MAX
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.erasure_key import load_erasure_key
from storage.record.record import Record, record_url
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.tiny_service import EVERYBODY, get, tiny_app, tiny_operator_app
from tests.data.tiny_version import AS_OF, TinyOffer, TinyShop, publish

SHOP = TinyShop(
    probability={("anna", "milk"): 0.5, ("anna", "bread"): 0.25},
    margins={"milk": 0.1, "bread": 1.0},
    offers=(
        TinyOffer("butter 10 off", ["butter"], {"anna": (0.2, 0.1)}),
        TinyOffer("milk for three", ["milk"], {"anna": (0.5, 0.1)}, budget=3),
        TinyOffer("later", ["bread"], {"anna": (0.5, 0.1)}, starts=AS_OF + timedelta(days=100_000)),
    ),
)
BLOCK = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\n'
PIN = 'schema = 1\n[[rules]]\nid = "hero"\nkind = "pin"\nproducts = ["plum"]\nposition = 1\n'
PIN += 'placements = ["home"]\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish(Store(tmp_path), SHOP)
    prepare(record_url(tmp_path, None))
    return tmp_path


@pytest.fixture
def operator(root: Path) -> FlaskClient:
    return tiny_operator_app(root, EVERYBODY).test_client()


@pytest.fixture
def record(root: Path) -> Iterator[Record]:
    found = Record(record_url(root, None), load_erasure_key(root, None))
    yield found
    found.close()


def sized(rules: str) -> dict[str, str]:
    """A browser says the length of a body that is empty, too."""
    return {"CONTENT_LENGTH": str(len(rules))}


def looked(operator: FlaskClient, query: str, rules: str = "", **headers: str) -> Any:
    answer = operator.post(
        f"/rules/dry-run?{query}", data=rules, headers=headers, environ_overrides=sized(rules)
    )
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def ids(answer: Any) -> list[str]:
    return [product["product_id"] for product in answer["recommendations"]]


def without_request(answer: Any) -> Any:
    return {name: value for name, value in answer.items() if name != "request_id"}


@pytest.mark.parametrize(
    "query",
    ["n=3", "n=5&placement=home", "objective=value&n=4", "objective=discovery", "category=bakery&n=2"],
)
@pytest.mark.parametrize("customer", ["anna", "ben", "käthe/1", "ghost"])
def test_the_list_is_the_one_that_the_customer_gets(
    root: Path, operator: FlaskClient, customer: str, query: str
) -> None:
    found = looked(operator, f"customer={quote(customer)}&{query}")
    given = get(tiny_app(root), f"/recommend/{customer}?{query}")
    assert without_request(found["before"]) == without_request(given)
    assert without_request(found["after"]) == without_request(found["before"])  # no rules were sent
    assert (found["customers"], found["placements"][0]["changed"]) == (1, 0)


def test_reasons_come_in_the_language_asked_for(operator: FlaskClient) -> None:
    found = looked(operator, "customer=ghost&n=1", **{"Accept-Language": "it"})
    text = looked(operator, "customer=ghost&n=1")["before"]["recommendations"][0]["reason"]["text"]
    assert found["before"]["recommendations"][0]["reason"]["text"] != text


def test_both_lists_are_told_under_the_rules_in_force_and_under_those_sent(operator: FlaskClient) -> None:
    operator.put("/rules", data=BLOCK)
    found = looked(operator, "customer=anna&n=2", "schema = 1\n")
    assert (ids(found["before"]), ids(found["after"])) == (["bread", "butter"], ["milk", "bread"])
    (change,) = found["placements"]
    assert [moved["product_id"] for moved in change["entering"]] == ["milk"]
    assert (found["rules_before"], change["expected_after"]) == ("1", 0.75)
    assert looked(operator, "customer=anna&n=2")["after"]["recommendations"][0]["product_id"] == "bread"


def test_rules_of_a_placement_hold_there_and_say_elsewhere_that_they_touch_nothing(
    operator: FlaskClient,
) -> None:
    there = looked(operator, "customer=&placement=home&n=2", PIN)
    assert ids(there["after"])[0] == "plum"
    assert there["after"]["recommendations"][0]["reason"]["code"] == "chosen_by_shop"
    assert there["never_fired"] == []
    elsewhere = looked(operator, "customer=&n=2", PIN)
    assert ids(elsewhere["after"]) == ids(elsewhere["before"])
    assert elsewhere["never_fired"] == ["hero"]


def test_rules_for_a_variant_of_an_experiment_say_why_they_touch_nothing(operator: FlaskClient) -> None:
    found = looked(operator, "customer=anna&n=2", BLOCK + 'only_for = ["bold"]\n')
    assert ids(found["after"]) == ids(found["before"])
    assert found["never_fired"] == ["a"]
    assert found["not_here"] == [{"rule": "a", "why": "only for variants with rules = bold"}]


def test_a_pin_that_another_one_displaced_says_so_to_strangers_too(operator: FlaskClient) -> None:
    rules = PIN + PIN.partition("\n")[2].replace("hero", "second").replace("plum", "cake")
    for customer in ("anna", ""):
        (missed,) = looked(operator, f"customer={customer}&placement=home", rules)["pins_not_shown"]
        assert (missed["rule"], "another pin stands there" in missed["why"]) == ("second", True)


def test_a_moment_decides_which_rules_and_offers_hold(operator: FlaskClient) -> None:
    later = BLOCK + "starts = 2030-01-01\n"
    assert looked(operator, "customer=anna&n=1", later)["asleep"] == ["a"]
    found = looked(operator, "customer=anna&n=1&at=2030-01-02T00:00:00Z", later)
    assert (found["asleep"], ids(found["after"])) == ([], ["bread"])
    far = looked(operator, "customer=anna&n=2&at=2400-01-01T00:00:00Z")["before"]["recommendations"]
    assert [product["offer"] and product["offer"]["offer_id"] for product in far] == [None, "later"]


def test_whoever_refuses_or_was_erased_is_shown_what_a_stranger_gets(
    operator: FlaskClient, record: Record
) -> None:
    stranger = looked(operator, "customer=")["before"]
    before = looked(operator, "customer=anna")["before"]
    assert (before["source"], stranger["source"]) == ("personal", "popular")
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["nothing"], now_ms=0, client="")
    erase(record, "ben", now_ms=0, client="")
    for customer in ("anna", "ben"):
        found = looked(operator, f"customer={customer}", BLOCK)["before"]
        assert (found["source"], found["recommendations"]) == ("popular", stranger["recommendations"])


def test_looking_leaves_nothing_behind(root: Path, operator: FlaskClient, record: Record) -> None:
    often = BLOCK + '[[rules]]\nid = "f"\nkind = "frequency"\nat_most = 1\ndays = 1\n'
    operator.put("/rules", data=often)
    looked(operator, "customer=anna")  # opens what is opened once

    def all_that_is_kept() -> dict[str, Any]:
        engine = sa.create_engine(record_url(root, None))
        tables = sa.MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            kept: dict[str, Any] = {
                table.name: connection.execute(sa.select(table)).all() for table in tables.tables.values()
            }
        engine.dispose()
        files = sorted(str(path) for path in root.rglob("*") if "record" not in path.parts)
        figures = operator.get("/metrics").text.splitlines()
        answers = [
            line
            for line in figures
            if re.match(r"nextbest_(recommendations|filled_products|promises|exposures|held_\w+)_total", line)
            and not line.endswith(" 0.0")
        ]
        return kept | {"files": files, "figures": answers}

    before = all_that_is_kept()
    first = looked(operator, "customer=anna&objective=value", often)
    again = looked(operator, "customer=anna&objective=value", often)
    assert without_request(first["after"]) == without_request(again["after"])  # it was not shown
    assert first["before"]["recommendations"]
    assert all_that_is_kept() == before
    assert before["figures"] == []
    assert before["offer_promises"] == before["offer_leases"] == []


def test_the_answer_is_as_the_document_says(operator: FlaskClient) -> None:
    schemas = operator_document()["components"]["schemas"]
    described = {"$ref": "#/components/schemas/DryRun", "components": {"schemas": schemas}}
    OAS31Validator(described).validate(looked(operator, "customer=anna&objective=value", BLOCK))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("n=3", "n: is about one customer: give customer, too"),
        ("customer=anna&n=0", f"n: must be a whole number from 1 to {N_MAX}"),
        ("customer=anna&customer=ben", "customer: given more than once"),
        ("customer=anna&variant=try:als", "variant: not a parameter"),
        ("customer=anna&objective=luck", "objective: must be one of"),
        ("customer=anna&category=tools", "category: "),
        ("customer=%FF", "the query string is not percent-encoded UTF-8"),
        (f"customer={'x' * 300}", "customer: longer than 256 bytes"),
        ("customer=a%00", "customer: has a zero byte"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(
    operator: FlaskClient, query: str, said: str
) -> None:
    refused = operator.post(f"/rules/dry-run?{query}", data=BLOCK)
    assert refused.status_code == 400
    assert said in refused.get_json()["detail"]


def test_mistakes_say_their_line_and_a_store_without_a_version_says_so(
    operator: FlaskClient, tmp_path: Path
) -> None:
    bad = operator.post("/rules/dry-run?customer=anna", data=BLOCK + "colour = 1\n").get_json()
    assert bad["mistakes"][0]["line"] == 2
    broken = operator.post("/rules/dry-run?customer=anna", data="schema = 1\n[[rules\n").get_json()
    assert broken["mistakes"][0]["line"] == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    client = tiny_operator_app(empty, EVERYBODY).test_client()
    none = client.post("/rules/dry-run?customer=anna", environ_overrides=sized(""))
    assert (none.status_code, "no night has published" in none.get_json()["detail"]) == (503, True)


def test_a_list_under_rules_is_what_a_worker_with_these_rules_gives(
    root: Path, operator: FlaskClient
) -> None:
    given = get(tiny_app(root, book=RuleBook(parse_rules(PIN))), "/recommend/anna?n=6&placement=home")
    found = looked(operator, "customer=anna&n=6&placement=home", PIN)
    assert found["after"]["recommendations"] == given["recommendations"]
