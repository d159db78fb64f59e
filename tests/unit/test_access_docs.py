"""docs/access.md: its snippets run and their tokens are taken, its table is the service's."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from service.access.callers import Callers
from service.access.routes import ROUTES, Customers, Scope
from service.openapi.document import operator_document, public_document
from tests.data.credentials import Credentials
from tests.data.tiny_service import ISSUED

PAGE = (Path(__file__).parents[2] / "docs/access.md").read_text()
SHOP = Credentials()
CUSTOMER = "käthe/1"


def snippet(language: str) -> str:
    """The one snippet in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def minted(folder: Path, *command: str) -> str:
    (folder / "nextbest.pem").write_text(SHOP.signing(SHOP.ed25519))
    environment = {
        **os.environ,
        "NEXTBEST_TOKEN_KEY_ID": SHOP.ed25519.key_id,
        "NEXTBEST_TOKEN_KEY_FILE": str(folder / "nextbest.pem"),
    }
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    return ended.stdout.strip()


def is_taken(token: str) -> bool:
    callers = Callers(SHOP.keyring, ISSUED, is_open=False)
    return callers.by_token(f"Bearer {token}", b"digest", time.time()).customer_id == CUSTOMER


def test_a_token_minted_in_python_as_the_page_says_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mint.py").write_text(f"{snippet('python')}\n\nprint(customer_token({CUSTOMER!r}))\n")
    assert is_taken(minted(tmp_path, sys.executable, "mint.py"))


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run it with")
def test_a_token_minted_in_javascript_as_the_page_says_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mint.mjs").write_text(f"{snippet('js')}\nconsole.log(customerToken({CUSTOMER!r}));\n")
    assert is_taken(minted(tmp_path, "node", "mint.mjs"))


@pytest.mark.skipif(shutil.which("php") is None, reason="there is no PHP to run it with")
def test_a_token_minted_in_php_as_the_page_says_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mint.php").write_text(f'{snippet("php")}\necho customer_token("{CUSTOMER}");\n')
    assert is_taken(minted(tmp_path, "php", "mint.php"))


def test_a_token_by_a_shared_secret_as_the_page_says_is_taken() -> None:
    (call,) = re.findall(r"`(jwt\.encode\(claims, SECRET.*?\))`", PAGE)
    now_s = int(time.time())
    claims = {"iss": "shop", "aud": "nextbest", "sub": CUSTOMER, "nbf": now_s, "exp": now_s + 600}
    code = f"import jwt\nclaims = {claims!r}\nSECRET = {SHOP.signing(SHOP.hs256)!r}\n"
    code += f"KEY_ID = {SHOP.hs256.key_id!r}\nprint({call})"
    token = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert is_taken(token.strip())


CALLS = {
    "GET /recommend/<customer_id>": "recommend",
    "GET /offers/<customer_id>": "offers",
    "POST /recommend": "recommend_many",
    "GET /reorder/<customer_id>": "reorder",
    "POST /basket": "basket",
    "GET /popular": "popular",
    "GET /similar/<product_id>": "similar",
    "POST /events": "events",
    "PUT /products/<product_id>": "put_product",
    "GET /customers/<customer_id>": "get_customer",
    "PUT /customers/<customer_id>": "put_customer",
    "DELETE /customers/<customer_id>": "delete_customer",
    "GET /metrics": "metrics",
    "GET /rules": "rules",
    "PUT /rules": "put_rules",
    "GET /rules/versions": "rules_versions",
    "POST /rules/rollback": "roll_back_rules",
    "POST /rules/dry-run": "try_rules",
}
WORDS = {
    Customers.OWN_ID: "its own id",
    Customers.ANYTHING: "yes",
    Customers.NOTHING: "no",
}
OWN_BODY = {
    "events": "its own customer's views, carts, clicks and survey answers; no purchases, no returns",
    "basket": "its own id, or none",
}


def test_the_page_says_of_every_route_who_may_call_it_as_the_service_does() -> None:
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)`[^|]* \| `(\w+)` \| ([^|]+) \|$", PAGE, re.M)
    told = {CALLS[call]: (scope, token) for call, scope, token in rows}
    closed = {
        route.name: (route.scope.value, OWN_BODY.get(route.name) or WORDS[route.customers])
        for route in ROUTES.values()
        if route.scope
    }
    assert told == closed
    assert {scope for scope, _ in told.values()} == set(Scope)


def test_the_description_of_the_api_says_what_each_route_wants() -> None:
    described = [public_document(has_metrics=False), operator_document()]
    paths = described[0]["paths"] | described[1]["paths"]
    wanted = {
        name: what["security"]
        for item in paths.values()
        for what in item.values()
        for name in [what["operationId"]]
    }
    assert wanted["recommend_many"] == [{"apiKey": ["recommend"]}]
    assert (
        wanted["recommend"]
        == wanted["reorder"]
        == wanted["basket"]
        == [{"apiKey": ["recommend"]}, {"customerToken": []}]
    )
    assert wanted["popular"] == wanted["similar"] == [{"apiKey": ["browse"]}, {"customerToken": []}]
    assert wanted["events"] == [{"apiKey": ["events"]}, {"customerToken": []}]
    assert wanted["put_product"] == [{"apiKey": ["products"]}]
    assert wanted["metrics"] == [{"operatorKey": ["operate"]}]
    assert wanted["live"] == []
    assert {"401", "403", "429"} <= set(paths["/recommend/{customer_id}"]["get"]["responses"])
    schemes = [set(one["components"]["securitySchemes"]) for one in described]
    assert schemes == [{"apiKey", "customerToken"}, {"operatorKey"}]


def test_the_page_of_routes_groups_them_by_the_scope_of_a_key() -> None:
    described = public_document(has_metrics=False)
    operations = [what for item in described["paths"].values() for what in item.values()]
    tags = {what["operationId"]: what["tags"] for what in operations}
    assert tags["recommend"] == tags["reorder"] == tags["basket"] == ["recommend"]
    assert tags["similar"] == ["browse"]
    assert tags["delete_customer"] == ["customers"]
    assert tags["live"] == tags["ready"] == ["health"]
    named = [*(scope.value for scope in Scope if scope is not Scope.OPERATE), "health"]
    assert [tag["name"] for tag in described["tags"]] == named
    assert [tag["name"] for tag in operator_document()["tags"]] == ["operate"]


def test_the_example_for_prometheus_is_yaml_with_a_key() -> None:
    (job,) = yaml.safe_load(snippet("yaml"))["scrape_configs"]
    assert job["authorization"]["credentials_file"]
    assert job.get("metrics_path", "/metrics") == "/metrics"
