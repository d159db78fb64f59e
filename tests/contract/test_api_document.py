"""The API's description: valid, whole, and of each listener what that one answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.access.routes import ROUTES, Scope
from service.openapi.document import operator_document, public_document
from tests.data.callers import CALLERS, Apps, ask, made_apps
from tests.data.tiny_service import get, tiny_app

OPERATORS = {name for name, route in ROUTES.items() if route.scope is Scope.OPERATE}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Apps:
    return made_apps(tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("empty"))


def test_the_document_says_of_every_array_and_object_what_may_be_in_it() -> None:
    silent = [
        schema
        for described in (public_document(has_metrics=False), operator_document())
        for schema in schemas_in(described)
        if ("array" in schema["type"] and "items" not in schema)
        or ("object" in schema["type"] and not {"properties", "additionalProperties"} & schema.keys())
    ]
    assert silent == []  # generated clients lose the first, and take the second for an empty object


def schemas_in(part: object) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict) and isinstance(part.get("type"), str | list):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from schemas_in(inner)


def test_each_listeners_document_is_valid_and_knows_every_route_of_it(apps: Apps) -> None:
    from openapi_spec_validator import validate  # two seconds, for the one worker that runs this

    of_both = {"/openapi.json", "/docs", "/docs/", "/docs/<path:path>"}
    for described, its_own in ((apps.public, {"/", "/metrics"}), (apps.operators, {"/preview"})):
        description = get(described, "/openapi.json")
        validate(description)
        told = {path.replace("{", "<id:").replace("}", ">") for path in description["paths"]}
        routes = {str(rule) for rule in described.url_map.iter_rules()}
        assert routes - told == its_own | of_both
        assert told <= routes


def test_the_description_says_which_answers_tell_when_to_ask_again(apps: Apps) -> None:
    for path, item in get(apps.public, "/openapi.json")["paths"].items():
        for method, operation in item.items():
            for status, answer in operation["responses"].items():
                tells = "Retry-After" in answer.get("headers", {})
                assert tells == (status in ("429", "503")), (method, path, status)


def test_each_listener_describes_what_it_answers_and_nothing_else(apps: Apps) -> None:
    """Whoever made a client of the public one got calls that are answered 404."""
    told = {
        app: {
            what["operationId"]: path
            for path, item in ask(app, "/openapi.json", CALLERS["nobody"]).json["paths"].items()
            for what in item.values()
        }
        for app in (apps.public, apps.operators)
    }
    assert set(told[apps.operators]) == OPERATORS
    assert not set(told[apps.public]) & OPERATORS
    assert {"recommend", "events", "live"} < set(told[apps.public])
    listed = ask(apps.public, "/", CALLERS["nobody"]).json["routes"]
    assert {line.partition(" ")[2] for line in listed} == set(told[apps.public].values())
    assert "/openapi.json" in ask(apps.operators, "/docs/", CALLERS["nobody"]).text


def test_until_a_key_is_made_the_public_document_has_the_metrics_that_are_answered(
    tmp_path: Path,
) -> None:
    client = tiny_app(tmp_path).test_client()
    assert client.get("/metrics").status_code == 200
    assert "/metrics" in client.get("/openapi.json").json["paths"]
    assert "GET /metrics" in client.get("/").json["routes"]
