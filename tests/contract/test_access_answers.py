"""What surrounds an answer: limits, CORS, security headers, and what the log says of those turned away."""

import base64
import json
import re
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.access.gate import Gate, Limits
from service.access.limits import Buckets
from service.access.routes import ROUTES, Scope
from service.errors import RefusedError
from service.telemetry.logs import configure_logs
from service.telemetry.metrics import Metrics
from storage.versions.store import Store
from tests.data.credentials import HOUR, Credentials, bearer
from tests.data.tiny_service import EVERYBODY, known, tiny_app
from tests.data.tiny_version import publish

SHOP = Credentials()
RETIRING = SHOP.api_key(Scope.RECOMMEND, state="retiring", ends_in=HOUR)
EXPIRED = SHOP.api_key(Scope.BROWSE, ends_in=-HOUR)
ORIGIN, OTHER = "https://shop.example", "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}

type MakeApp = Callable[..., Flask]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    publish(Store(root))
    return root


@pytest.fixture
def client(store: Path) -> FlaskClient:
    return tiny_app(store, callers=known(SHOP.keyring), origins=(ORIGIN,)).test_client()


def three(store: Path, *names: str) -> FlaskClient:
    """An app where a bucket of each of these names holds three calls, and gets one back in 100 s."""
    buckets = {name: Buckets(0.01, 3, 100, time.monotonic) for name in names}
    return tiny_app(store, callers=known(SHOP.keyring), limits=Limits(**buckets)).test_client()


def statuses(client: FlaskClient, path: str, headers: dict[str, str], count: int) -> list[int]:
    return [client.get(path, headers=headers).status_code for _ in range(count)]


@pytest.mark.parametrize("header", [{}, {"X-Api-Key": SHOP.shop}, {"Authorization": SHOP.shop}, bearer("x")])
def test_who_sends_no_key_or_elsewhere_is_told_where_it_goes(
    client: FlaskClient, header: dict[str, str]
) -> None:
    refused = client.get("/popular", headers=header)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="nextbest"')
    told = "send a valid API key or customer's token in the header Authorization: Bearer ..."
    assert refused.get_json()["detail"] == told  # the same for all


def test_a_key_over_its_limit_is_told_when_to_go_on(store: Path) -> None:
    client = three(store, "key")
    assert statuses(client, "/popular", bearer(SHOP.shop), 3) == [200] * 3
    refused = client.get("/popular", headers=bearer(SHOP.shop))
    assert refused.status_code == 429
    assert refused.get_json()["type"] == "urn:nextbest:problem:too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 100
    assert client.get("/recommend/anna", headers=bearer(RETIRING)).status_code == 200  # another key


def test_a_customer_has_one_limit_for_all_tokens_and_another_customer_another(store: Path) -> None:
    client = three(store, "customer")
    tokens = [SHOP.token("anna", life_s=100 + number) for number in range(4)]
    codes = [client.get("/recommend/anna", headers=bearer(token)).status_code for token in tokens]
    assert codes == [200, 200, 200, 429]
    assert client.get("/recommend/bert", headers=bearer(SHOP.token("bert"))).status_code == 200
    assert statuses(client, "/popular", bearer(SHOP.shop), 9) == [200] * 9  # no customer, no limit


def test_an_address_that_guesses_is_stopped_but_not_the_back_end_behind_it(store: Path) -> None:
    client = three(store, "address")
    assert statuses(client, "/recommend/anna", bearer("guess"), 5) == [401, 401, 401, 429, 429]
    assert statuses(client, "/recommend/anna", bearer(SHOP.token("anna")), 1) == [429]
    assert statuses(client, "/openapi.json", {}, 1) == [429]
    assert statuses(client, "/health/live", {}, 5) == [200] * 5
    assert statuses(client, "/popular", bearer(SHOP.shop), 9) == [200] * 9


def test_an_address_that_looks_for_routes_is_stopped(store: Path) -> None:
    client = three(store, "address")
    paths = ("/admin", "/.env", "/metrics", "/wp-login.php")
    assert [client.get(path).status_code for path in paths] == [404, 404, 404, 429]
    assert client.put("/popular").status_code == 429
    assert statuses(client, "/popular", bearer(SHOP.shop), 9) == [200] * 9  # not the back end behind it


def test_an_expired_key_counts_for_its_address(store: Path) -> None:
    client = three(store, "address")
    assert statuses(client, "/popular", bearer(EXPIRED), 5) == [401, 401, 401, 429, 429]


def test_too_many_headers_are_refused_and_counted(client: FlaskClient) -> None:
    refused = client.get("/popular", headers=bearer(SHOP.shop) | {"X-Long": "c" * 16_400})
    assert refused.status_code == 431
    assert refused.get_json()["type"] == "urn:nextbest:problem:headers_too_large"
    assert client.get("/popular", headers=bearer(SHOP.shop) | {"X-Long": "c" * 16_000}).status_code == 200


def test_a_page_reads_that_its_headers_were_too_many(client: FlaskClient) -> None:
    long = bearer(SHOP.token("anna")) | {"X-Long": "c" * 16_400}
    refused = client.get("/recommend/anna", headers=long | {"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (431, ORIGIN)
    other = client.get("/recommend/anna", headers=long | {"Origin": "https://elsewhere.example"})
    assert (other.status_code, other.headers.get("Access-Control-Allow-Origin")) == (431, None)
    assert other.headers.getlist("Vary") == ["Origin"]


def test_a_token_counts_once_for_its_address_whether_or_not_it_is_known(store: Path) -> None:
    client = three(store, "address")
    assert statuses(client, "/popular", bearer(SHOP.token("anna")), 4) == [200, 200, 200, 429]


def test_before_the_first_key_there_is_no_limit(store: Path) -> None:
    buckets = Buckets(0.01, 1, 100, time.monotonic)
    client = tiny_app(store, limits=Limits(buckets, buckets, buckets)).test_client()
    assert statuses(client, "/popular", {}, 5) == [200] * 5


def test_a_page_of_a_listed_origin_may_read_every_answer_of_a_token_also_an_error(
    client: FlaskClient,
) -> None:
    headers = bearer(SHOP.token("anna")) | {"Origin": ORIGIN}
    for path, status in {
        "/recommend/anna": 200,
        "/recommend/bert": 403,
        "/recommend/anna?n=0": 400,
        "/popular": 200,
        "/similar/ghost": 404,
    }.items():
        answer = client.get(path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in ", ".join(answer.headers.getlist("Vary"))
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.example",
        "https://www.shop.example",
        "https://SHOP.example",
        "https://shop.example/",
        "",
    ],
)
def test_a_page_of_another_origin_may_read_nothing(client: FlaskClient, origin: str) -> None:
    answer = client.get("/recommend/anna", headers=bearer(SHOP.token("anna")) | {"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in ", ".join(answer.headers.getlist("Vary"))
    asked = client.options("/recommend/anna", headers={"Origin": origin, **PREFLIGHT})
    assert asked.status_code == 403
    assert "Access-Control-Allow-Origin" not in asked.headers


def test_a_preflight_is_answered_without_a_credential(client: FlaskClient) -> None:
    for path in ("/recommend/anna", "/recommend/a/b", "/popular", "/similar/ghost"):
        answer = client.options(path, headers={"Origin": ORIGIN, **PREFLIGHT})
        assert (answer.status_code, answer.data) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Methods"] == "GET"
        assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "path", ["/metrics", "/health/live", "/openapi.json", "/docs/", "/", "/nope", "/recommend"]
)
def test_routes_without_tokens_and_what_is_not_there_are_for_no_script(
    client: FlaskClient, path: str
) -> None:
    asked = client.options(path, headers={"Origin": ORIGIN, **PREFLIGHT})
    assert asked.status_code == 403
    with client.get(path, headers={"Origin": ORIGIN}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_for_a_method_that_a_route_has_not_is_refused(client: FlaskClient) -> None:
    for method in ("DELETE", "PUT", "", "GET, PUT"):
        asked = {"Origin": ORIGIN, **PREFLIGHT, "Access-Control-Request-Method": method}
        assert client.options("/recommend/anna", headers=asked).status_code == 403


def test_what_is_the_same_for_all_is_kept_by_browsers_apart_by_origin_and_by_nobody_else(
    client: FlaskClient,
) -> None:
    answer = client.get("/popular", headers=bearer(SHOP.shop))
    assert answer.headers["Cache-Control"] == "private, max-age=5"
    assert answer.headers["Vary"] == "Origin, Accept-Language"


def test_the_page_to_try_the_api_on_may_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs/")
    policy = page.headers["Content-Security-Policy"]
    directives = dict(entry.strip().split(" ", 1) for entry in policy.split(";"))
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert directives["connect-src"] == "'self'"
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    allowed = base64.b64encode(sha256(script.encode()).digest()).decode()
    assert directives["script-src"] == f"'self' 'sha256-{allowed}'"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert '"validatorUrl": null' in page.text
    with client.get("/docs/index.css") as style:
        assert style.headers["X-Content-Type-Options"] == "nosniff"
        assert style.headers["Content-Security-Policy"].endswith("script-src 'self'")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_log_says_why_a_token_was_refused_once_a_second_and_shows_nothing_of_it(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info")
    token = SHOP.signed({"iss": "shop2", "aud": "nextbest", "sub": "anna", "nbf": 0, "exp": 1})
    for _ in range(50):
        client.get("/recommend/anna", headers=bearer(token))
    found = lines(capsys)
    assert 1 <= len(found) <= 3
    assert found[0]["event"] == "a key or token was refused"
    assert found[0]["why"] == "refused with InvalidIssuerError"
    assert not any(part in json.dumps(found) for part in token.split("."))


def test_the_log_names_a_retiring_key_that_is_still_used_once_a_minute(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info")
    for _ in range(50):
        client.get("/recommend/anna", headers=bearer(RETIRING))
        client.get("/recommend/anna", headers=bearer(SHOP.shop))
    (line,) = lines(capsys)
    assert (line["event"], line["key"]) == ("a retiring key is still used", RETIRING.split("_")[1])


def test_before_a_key_is_made_another_host_is_refused_and_told_what_to_do(store: Path) -> None:
    """A page of a name that points to 127.0.0.1, to which its browser sends that name."""
    client = tiny_app(store).test_client()
    elsewhere = {"Host": "rebound.example:8000"}
    for path in ("/recommend/anna", "/popular", "/customers/anna", "/metrics"):
        refused = client.get(path, headers=elsewhere)
        assert refused.status_code == 421, path
        assert "nbo-serve keys create" in refused.get_json()["detail"]
    assert client.delete("/customers/anna", headers=elsewhere).status_code == 421
    assert client.get("/health/live", headers=elsewhere).status_code == 200  # as with keys, for anybody
    assert client.get("/openapi.json", headers=elsewhere).status_code == 200
    for answered in ("127.0.0.1:8000", ""):  # no browser leaves it out
        assert client.get("/recommend/anna", headers={"Host": answered}).status_code == 200
    assert 'nextbest_turned_away_total{why="host"} 5.0' in client.get("/metrics").text


@pytest.mark.parametrize("origin", [OTHER, "null", "http://127.0.0.1:9999"])
def test_before_a_key_is_made_what_a_page_from_elsewhere_sends_is_refused(store: Path, origin: str) -> None:
    """A browser sends a body without a type to wherever a page says, and asks nobody before."""
    client = tiny_app(store, origins=(ORIGIN,)).test_client()

    def told(origin: str, path: str = "/recommend") -> int:
        headers = {"Host": "127.0.0.1:8000", "Origin": origin}
        return client.post(path, data='{"customer_ids": ["anna"]}', headers=headers).status_code

    assert [told(origin, path) for path in ("/recommend", "/events")] == [403, 403]
    assert 'nextbest_turned_away_total{why="page"} 2.0' in client.get("/metrics").text
    assert [told(own) for own in (ORIGIN, "http://127.0.0.1:8000")] == [200, 200]


def test_before_a_key_is_made_the_name_that_it_listens_on_is_answered() -> None:
    gate = Gate(EVERYBODY, Limits(), (), Metrics(None), listens_on="Shop-Box")
    for host in ("shop-box:8000", "localhost", "[::1]:8000"):
        assert gate.check({"HTTP_HOST": host}, ROUTES["popular"], None) is None
    with pytest.raises(RefusedError):
        gate.check({"HTTP_HOST": "shop-box.example:8000"}, ROUTES["popular"], None)


def test_with_keys_any_host_is_answered(client: FlaskClient) -> None:
    assert client.get("/popular", headers=bearer(SHOP.shop) | {"Host": "shop.example"}).status_code == 200


def test_those_turned_away_are_counted_by_reason(store: Path) -> None:
    callers = known(SHOP.keyring)
    app = tiny_app(store, callers=callers)
    client = app.test_client()
    client.get("/recommend/anna")
    client.get("/recommend/anna", headers=bearer("x.y.z"))
    client.get("/recommend/anna", headers=bearer(SHOP.shop) | {"Origin": ORIGIN})
    client.get("/recommend/anna", headers=bearer(SHOP.token("bert")))
    client.get("/popular", headers=bearer(RETIRING))
    callers.current.is_open = True
    text = client.get("/metrics").text
    for why in ("no_credential", "credential", "browser", "other_id", "scope"):
        assert f'nextbest_turned_away_total{{why="{why}"}} 1.0' in text


def test_a_token_is_told_which_routes_take_none(client: FlaskClient) -> None:
    own = bearer(SHOP.token("anna"))
    for refused in (
        client.delete("/customers/anna", headers=own),
        client.put("/products/milk", json={"stock": 1}, headers=own),
        client.post("/recommend", json={"customer_ids": ["anna"]}, headers=own),
    ):
        assert refused.status_code == 403
        assert "an API key" in refused.get_json()["detail"]
    assert "nobody else" in client.get("/recommend/bert", headers=own).text
