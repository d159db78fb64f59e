"""The page at /docs fills in these bodies: whoever presses its button is answered, and nothing is ruined."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from service.openapi.document import operator_document, public_document
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.tiny_service import EVERYBODY, tiny_app, tiny_operator_app
from tests.data.tiny_version import publish


def examples() -> Iterator[tuple[str, str, str, Any]]:
    """Method, path, media type and an example of each body, in the order of the document."""
    paths = public_document(has_metrics=True)["paths"] | operator_document()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                given = content.get("examples", {"": {"value": content.get("example")}})
                yield from ((method, path, media_type, one["value"]) for one in given.values())


EXAMPLES = list(examples())


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Flask, Flask]:
    """The public listener's app, and the operator's."""
    root = tmp_path_factory.mktemp("store")
    publish(Store(root))
    prepare(record_url(root, None))
    return tiny_app(root), tiny_operator_app(root, EVERYBODY)


@pytest.mark.parametrize(
    ("method", "path", "media_type", "example"), EXAMPLES, ids=[f"{m} {p}" for m, p, _, _ in EXAMPLES]
)
def test_every_body_has_an_example_that_is_taken(
    apps: tuple[Flask, Flask], method: str, path: str, media_type: str, example: Any
) -> None:
    assert example is not None
    body = example if isinstance(example, str) else json.dumps(example)
    url = path.replace("{customer_id}", "42").replace("{product_id}", "1082185")
    client = apps[path.startswith("/rules")].test_client()
    if path == "/rules/rollback":
        client.put("/rules", data="schema = 1\n", content_type="application/toml")
    answer = client.open(url, method=method.upper(), data=body, content_type=media_type)
    assert answer.status_code == 200, answer.text
    assert "invalid" not in answer.json or answer.json["invalid"] == 0


def test_events_show_one_of_a_page_first_and_a_batch() -> None:
    first, *_, last = [example for _, path, _, example in EXAMPLES if path == "/events"]
    assert first["type"] == "view"  # a token may send it, too
    assert {"view", "click", "purchase"} > {one["type"] for one in last["events"]}
