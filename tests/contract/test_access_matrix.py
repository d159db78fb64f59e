"""Every route x every sort of caller x an id that exists and one that doesn't: who gets what.

A route that isn't listed here fails the test, and one that isn't in the service's table can't be served. The
operator's listener is in test_access_operators.py.
"""

from pathlib import Path

import pytest
from flask import Flask

from service.access.guard import guard
from service.access.routes import ROUTES, UndeclaredRouteError
from storage.versions.store import Store
from tests.data.callers import (
    BROWSER,
    CALLERS,
    ONLY_CUSTOMERS,
    ONLY_PRODUCTS,
    PATHS,
    SHOP,
    Apps,
    ask,
    asked_id,
    made_apps,
    of_recommend,
    view_of,
)
from tests.data.credentials import bearer
from tests.data.tiny_service import tiny_app
from tests.data.tiny_version import publish

FOR_ANYBODY = {"live", "ready", "index", "openapi", "docs", "docs_page.show"}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Apps:
    return made_apps(tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("empty"))


def test_every_route_of_both_apps_is_in_the_table_and_in_this_test(apps: Apps) -> None:
    served = {rule.endpoint for app in (apps.public, apps.operators) for rule in app.url_map.iter_rules()}
    assert served == set(ROUTES) == set(PATHS)


def test_an_app_with_a_route_that_says_nowhere_who_may_call_it_is_refused() -> None:
    app = Flask("service", static_folder=None)
    app.add_url_rule("/new", "new_route", lambda: "hello")
    with pytest.raises(UndeclaredRouteError, match="new_route"):
        guard(app, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("route", ["recommend", "offers", "reorder", "popular", "similar"])
def test_a_caller_gets_what_the_table_says_whether_or_not_the_id_exists(
    apps: Apps, route: str, who: str
) -> None:
    caller, (existing, missing) = CALLERS[who], PATHS[route]
    allowed = of_recommend(who) if route in ("offers", "reorder") else getattr(caller, route)
    first, second = ask(apps.public, existing, caller), ask(apps.public, missing, caller)
    assert first.status_code == allowed, first.text
    if allowed == 200:
        assert second.status_code == (404 if route == "similar" else 200)
        return
    assert second.status_code == allowed
    assert first.data == second.data
    assert dict(first.headers) == dict(second.headers)
    # Without a version every look-up ends in a 503: this was decided before.
    before_any_look_up = ask(apps.empty, existing, caller)
    assert (before_any_look_up.status_code, before_any_look_up.data) == (allowed, first.data)
    assert ask(apps.public, existing, caller, "HEAD").status_code == allowed


CART = {"product_ids": ["milk"]}


@pytest.mark.parametrize("who", CALLERS)
def test_a_cart_may_be_asked_about_by_a_key_to_recommend_or_by_the_customer(apps: Apps, who: str) -> None:
    caller, answers = CALLERS[who], []
    for app in (apps.public, apps.empty):  # the second has no version: what is decided there needed none
        for customer_id in ("anna", "ghost"):
            sent = {**CART, "customer_id": customer_id}
            answers.append(app.test_client().post("/basket", json=sent, headers=caller.headers(customer_id)))
    allowed = of_recommend(who)
    may = allowed == 200
    assert [answer.status_code for answer in answers] == [allowed] * 2 + [503 if may else allowed] * 2
    if not may:
        assert len({answer.data for answer in answers}) == 1


def test_a_token_may_ask_about_a_cart_without_saying_whose_it_is(apps: Apps) -> None:
    answer = apps.public.test_client().post("/basket", json=CART, headers=bearer(SHOP.token("bert")))
    assert (answer.status_code, answer.get_json()["source"]) == (200, "basket")


@pytest.mark.parametrize("who", CALLERS)
def test_many_customers_at_once_are_for_a_key_to_recommend(apps: Apps, who: str) -> None:
    caller = CALLERS[who]
    may = 403 if "token" in who and caller.recommend == 200 else of_recommend(who)
    for app, allowed in ((apps.public, may), (apps.empty, 503 if may == 200 else may)):
        sent = {"customer_ids": ["anna"]}
        answer = app.test_client().post("/recommend", json=sent, headers=caller.headers("anna"))
        assert answer.status_code == allowed, answer.text


@pytest.mark.parametrize("who", CALLERS)
def test_a_variant_is_forced_by_an_operator_alone(apps: Apps, who: str) -> None:
    caller, path = CALLERS[who], "/recommend/anna?variant=try:als"
    answer = apps.public.test_client().get(path, headers=caller.headers("anna"))
    nothing_runs, forbidden = 400, 403
    refused = forbidden if caller.recommend == 200 else caller.recommend
    assert answer.status_code == (nothing_runs if who == "an operator" else refused)


@pytest.mark.parametrize("who", CALLERS)
def test_a_caller_may_send_events_as_the_table_says_whether_or_not_the_customer_exists(
    apps: Apps, who: str
) -> None:
    caller, answers = CALLERS[who], []
    for app in (apps.public, apps.empty):  # the second has no record: what is decided there needed none
        for customer_id in ("anna", "ghost"):
            headers = caller.headers(customer_id)
            answers.append(app.test_client().post("/events", json=view_of(customer_id), headers=headers))
    may = caller.events == 200
    assert [answer.status_code for answer in answers] == [caller.events] * 2 + [
        503 if may else caller.events
    ] * 2
    if not may:
        assert len({answer.data for answer in answers}) == 1
        assert all(dict(answer.headers) == dict(answers[0].headers) for answer in answers)


@pytest.mark.parametrize("who", CALLERS)
def test_stock_and_price_are_told_by_a_key_for_products_alone(apps: Apps, who: str) -> None:
    may = {"the right key": 200}.get(who, 401 if CALLERS[who].recommend == 401 else 403)
    for product_id in ("milk", "ghost"):
        headers = CALLERS[who].headers(product_id)
        answer = apps.public.test_client().put(f"/products/{product_id}", json={"stock": 1}, headers=headers)
        assert answer.status_code == may, answer.text


def test_a_key_for_products_is_for_nothing_else(apps: Apps) -> None:
    client = apps.public.test_client()
    for path in ("/products/milk", "/products/ghost"):
        assert client.put(path, json={"stock": 1}, headers=ONLY_PRODUCTS).status_code == 200
        assert client.put(path, json={"stock": 1}, headers=ONLY_PRODUCTS | BROWSER).status_code == 403
    assert client.get("/popular", headers=ONLY_PRODUCTS).status_code == 403


OF_CUSTOMERS = {"GET": None, "PUT": {"consent": "all"}, "DELETE": None}


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("method", OF_CUSTOMERS)
def test_consent_export_and_erasure_are_for_a_key_for_customers_and_consent_for_the_own_token(
    apps: Apps, method: str, who: str
) -> None:
    caller = CALLERS[who]
    if who == "the right key" or (", own id" in who and method != "DELETE"):
        may = 200
    else:
        may = 401 if caller.recommend == 401 else 403
    body, answers = OF_CUSTOMERS[method], []
    for app in (apps.public, apps.empty):  # the second has no record: what is decided there needed none
        for path in PATHS["get_customer"]:
            headers = caller.headers(asked_id(path))
            answers.append(app.test_client().open(path, method=method, json=body, headers=headers))
    assert [answer.status_code for answer in answers] == [may] * 2 + [503 if may == 200 else may] * 2
    if may != 200:
        assert len({answer.data for answer in answers}) == 1
        assert all(dict(answer.headers) == dict(answers[0].headers) for answer in answers)


def test_a_key_for_customers_is_for_nothing_else_and_never_in_a_browser(apps: Apps) -> None:
    client = apps.public.test_client()
    assert client.get("/customers/anna", headers=ONLY_CUSTOMERS).status_code == 200
    assert client.get("/customers/anna", headers=ONLY_CUSTOMERS | BROWSER).status_code == 403
    assert client.get("/recommend/anna", headers=ONLY_CUSTOMERS).status_code == 403


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("route", sorted(FOR_ANYBODY))
def test_what_is_for_anybody_is_for_all_of_them(apps: Apps, route: str, who: str) -> None:
    for path in PATHS[route]:
        with ask(apps.public, path, CALLERS[who]) as response:
            assert response.status_code == (302 if route == "docs" else 200)


def test_a_refusal_says_how_to_ask_but_not_what_was_wrong_with_a_credential(apps: Apps) -> None:
    client = apps.public.test_client()
    nobody = client.get("/recommend/anna")
    assert nobody.headers["WWW-Authenticate"] == 'Bearer realm="nextbest"'
    for who, caller in CALLERS.items():
        if caller.recommend == 401:
            assert ask(apps.public, "/recommend/anna", caller).data == nobody.data, who
    assert "scope recommend" in ask(apps.public, "/recommend/anna", CALLERS["a key to browse"]).text


def test_before_the_first_key_everybody_may_do_everything(tmp_path: Path) -> None:
    publish(Store(tmp_path))
    client = tiny_app(tmp_path).test_client()
    for path in ("/recommend/anna", "/popular", "/metrics"):
        assert client.get(path, headers=BROWSER).status_code == 200
