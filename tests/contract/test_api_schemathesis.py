"""Requests that schemathesis makes up from the OpenAPI document, good and bad: answers are as promised."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service.openapi.document import public_document
from service.web.parameters import ID_BYTES
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.credentials import Credentials, bearer
from tests.data.tiny_service import known, tiny_app
from tests.data.tiny_version import publish

OPERATIONS = [
    (method.upper(), path)
    for path, item in sorted(public_document(has_metrics=False)["paths"].items())
    for method in item
]
SHOP = Credentials()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    root = tmp_path_factory.mktemp("store")
    publish(Store(root))
    prepare(record_url(root, None))
    yield schemathesis.openapi.from_wsgi("/openapi.json", tiny_app(root, callers=known(SHOP.keyring)))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_the_document_says(
    api: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = api[path][method]
    if mode is GenerationMode.NEGATIVE and not (
        operation.query or operation.path_parameters or operation.body
    ):
        pytest.skip("nothing can be wrong in a request without parameters")

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def answers(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        # No document can say which categories and events there are, or a limit in bytes.
        given = {**(case.query or {}), **(case.path_parameters or {})}
        beyond = method in ("POST", "PUT") or "category" in given
        beyond = beyond or any(len(str(value).encode()) > ID_BYTES for value in given.values())
        case.call_and_validate(
            headers=bearer(SHOP.shop), excluded_checks=[positive_data_acceptance] if beyond else []
        )

    answers()
