"""Every route x every sort of caller x an id that exists and one that doesn't: who gets what.

A route that isn't listed here fails the test, and one that isn't in the service's table can't be served.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from service.access.guard import guard
from service.access.routes import ROUTES, Scope, UndeclaredRouteError
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.store import Store
from tests.data.credentials import HOUR, Credentials, bearer
from tests.data.tiny_service import known, tiny_app, tiny_operator_app
from tests.data.tiny_version import publish

SHOP = Credentials()
BROWSER = {"Origin": "https://shop.example"}

# A path of each route, for an id that exists and for one that doesn't.
PATHS = {
    "recommend": ("/recommend/anna", "/recommend/ghost"),
    "offers": ("/offers/anna", "/offers/ghost"),
    "recommend_many": ("/recommend", "/recommend"),
    "reorder": ("/reorder/anna", "/reorder/ghost"),
    "basket": ("/basket", "/basket"),
    "popular": ("/popular", "/popular"),
    "similar": ("/similar/milk", "/similar/ghost"),
    "events": ("/events", "/events"),
    "put_product": ("/products/milk", "/products/ghost"),
    "get_customer": ("/customers/anna", "/customers/ghost"),
    "put_customer": ("/customers/anna", "/customers/ghost"),
    "delete_customer": ("/customers/anna", "/customers/ghost"),
    "metrics": ("/metrics", "/metrics"),
    "rules": ("/rules", "/rules"),
    "put_rules": ("/rules", "/rules"),
    "rules_versions": ("/rules/versions", "/rules/versions"),
    "roll_back_rules": ("/rules/rollback", "/rules/rollback"),
    "try_rules": ("/rules/dry-run", "/rules/dry-run"),
    "preview": ("/preview", "/preview"),
    "live": ("/health/live", "/health/live"),
    "ready": ("/health/ready", "/health/ready"),
    "index": ("/", "/"),
    "openapi": ("/openapi.json", "/openapi.json"),
    "docs": ("/docs", "/docs"),
    "docs_page.show": ("/docs/", "/docs/index.css"),
}
RULES = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\n'
OPERATORS = {
    "metrics": ("GET", None),
    "rules": ("GET", None),
    "put_rules": ("PUT", RULES),
    "rules_versions": ("GET", None),
    "roll_back_rules": ("POST", None),
    "try_rules": ("POST", RULES),
}
FOR_ANYBODY = {"live", "ready", "index", "openapi", "docs", "docs_page.show"}


@dataclass(frozen=True)
class Caller:
    """What somebody sends who asks for an id, and what comes of it on each route that isn't for anybody."""

    headers: Callable[[str], dict[str, str]]
    recommend: int
    popular: int
    similar: int
    operators_metrics: int
    events: int


def key(*scopes: Scope, **how: object) -> dict[str, str]:
    return bearer(SHOP.api_key(*scopes, **how))  # type: ignore[arg-type]


SHOPS = (Scope.RECOMMEND, Scope.BROWSE, Scope.EVENTS)
REVOKED = SHOP.token_key("EdDSA", state="revoked")
ENDED = SHOP.token_key("EdDSA", ends_in=-HOUR)
STRANGER = Credentials()  # whose keys are in another shop's keyring
EXPIRED_KEY = key(*SHOPS, ends_in=-timedelta(seconds=1))
REVOKED_KEY = key(*SHOPS, state="revoked")
NEXT_KEY = key(*SHOPS, state="next")
RETIRING_KEY = key(*SHOPS, state="retiring", ends_in=HOUR)
ONLY_PRODUCTS, ONLY_CUSTOMERS = key(Scope.PRODUCTS), key(Scope.CUSTOMERS)
ONLY_RECOMMEND, ONLY_BROWSE, ONLY_EVENTS = key(Scope.RECOMMEND), key(Scope.BROWSE), key(Scope.EVENTS)
RIGHT_KEY, OPERATOR = bearer(SHOP.shop), bearer(SHOP.operator)

CALLERS = {
    "nobody": Caller(lambda _: {}, 401, 401, 401, 401, 401),
    "an empty header": Caller(lambda _: {"Authorization": ""}, 401, 401, 401, 401, 401),
    "another scheme": Caller(lambda _: {"Authorization": f"Basic {SHOP.shop}"}, 401, 401, 401, 401, 401),
    "a key that was made up": Caller(lambda _: bearer(SHOP.shop[:-1] + "x"), 401, 401, 401, 401, 401),
    "a key of another shop": Caller(lambda _: bearer(STRANGER.shop), 401, 401, 401, 401, 401),
    "two keys at once": Caller(lambda _: bearer(f"{SHOP.shop},Bearer {SHOP.shop}"), 401, 401, 401, 401, 401),
    "the right key": Caller(lambda _: RIGHT_KEY, 200, 200, 200, 403, 200),
    "a key that is next": Caller(lambda _: NEXT_KEY, 200, 200, 200, 403, 200),
    "a retiring key": Caller(lambda _: RETIRING_KEY, 200, 200, 200, 403, 200),
    "a revoked key": Caller(lambda _: REVOKED_KEY, 401, 401, 401, 401, 401),
    "an expired key": Caller(lambda _: EXPIRED_KEY, 401, 401, 401, 401, 401),
    "a key to recommend": Caller(lambda _: ONLY_RECOMMEND, 200, 403, 403, 403, 403),
    "a key to browse": Caller(lambda _: ONLY_BROWSE, 403, 200, 200, 403, 403),
    "the right key in a browser": Caller(lambda _: RIGHT_KEY | BROWSER, 403, 403, 403, 403, 403),
    "an operator": Caller(lambda _: OPERATOR, 200, 403, 403, 200, 403),
    "an operator in a browser": Caller(lambda _: OPERATOR | BROWSER, 403, 403, 403, 403, 403),
    "a token, own id": Caller(lambda asked: bearer(SHOP.token(asked)), 200, 200, 200, 401, 200),
    "a token by HS256, own id": Caller(
        lambda asked: bearer(SHOP.token(asked, SHOP.hs256)), 200, 200, 200, 401, 200
    ),
    "a token in a browser, own id": Caller(
        lambda asked: bearer(SHOP.token(asked)) | BROWSER, 200, 200, 200, 401, 200
    ),
    "a token, another's id": Caller(lambda _: bearer(SHOP.token("bert")), 403, 200, 200, 401, 403),
    "a token of an anonymous id": Caller(lambda _: bearer(SHOP.token("anon-1")), 403, 200, 200, 401, 403),
    "an expired token": Caller(
        lambda asked: bearer(SHOP.token(asked, begins_in_s=-700)), 401, 401, 401, 401, 401
    ),
    "a token of a revoked key": Caller(
        lambda asked: bearer(SHOP.token(asked, REVOKED)), 401, 401, 401, 401, 401
    ),
    "a token of a key that ended": Caller(
        lambda asked: bearer(SHOP.token(asked, ENDED)), 401, 401, 401, 401, 401
    ),
    "a token of another shop": Caller(lambda asked: bearer(STRANGER.token(asked)), 401, 401, 401, 401, 401),
    "a key for events": Caller(lambda _: ONLY_EVENTS, 403, 403, 403, 403, 200),
    "a key for events in a browser": Caller(lambda _: ONLY_EVENTS | BROWSER, 403, 403, 403, 403, 403),
}


@dataclass(frozen=True)
class Apps:
    """The public app with a version and without one, and the operator's."""

    public: Flask
    empty: Flask
    operators: Flask


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Apps:
    store, empty = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("empty")
    publish(Store(store))
    prepare(record_url(store, None))
    callers = known(SHOP.keyring)
    return Apps(
        tiny_app(store, callers=callers),
        tiny_app(empty, callers=callers),
        tiny_operator_app(store, known(SHOP.keyring)),
    )


def asked_id(path: str) -> str:
    return path.rpartition("/")[2]


def ask(app: Flask, path: str, caller: Caller, method: str = "GET") -> TestResponse:
    return app.test_client().open(path, method=method, headers=caller.headers(asked_id(path)))


def test_every_route_of_both_apps_is_in_the_table_and_in_this_test(apps: Apps) -> None:
    served = {rule.endpoint for app in (apps.public, apps.operators) for rule in app.url_map.iter_rules()}
    assert served == set(ROUTES) == set(PATHS)


def test_an_app_with_a_route_that_says_nowhere_who_may_call_it_is_refused(apps: Apps) -> None:
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


def of_recommend(who: str) -> int:
    """On routes of the scope `recommend` but `/recommend` itself, where an operator may try variants."""
    return 403 if who == "an operator" else CALLERS[who].recommend


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


def view_of(customer_id: str) -> dict[str, str]:
    return {"type": "view", "event_id": f"of {customer_id}", "customer_id": customer_id, "product_id": "milk"}


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
@pytest.mark.parametrize("route", sorted(OPERATORS))
def test_the_operators_routes_are_for_an_operators_key_on_the_operators_listener(
    apps: Apps, route: str, who: str
) -> None:
    caller, (path, _), (method, body) = CALLERS[who], PATHS[route], OPERATORS[route]
    headers = caller.headers("anna")
    answer = apps.operators.test_client().open(path, method=method, data=body, headers=headers)
    expected = {caller.operators_metrics, 404} if route == "roll_back_rules" else {caller.operators_metrics}
    assert answer.status_code in expected, answer.text  # there may be nothing to go back to
    assert (answer.status_code in (200, 404)) == (caller.operators_metrics == 200)
    public, nowhere = ask(apps.public, path, caller, method), ask(apps.public, "/nope", caller, method)
    assert public.status_code == 404
    assert public.data == nowhere.data


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


@pytest.mark.parametrize("who", CALLERS)
def test_the_page_without_data_is_for_anybody_on_the_operators_listener_alone(apps: Apps, who: str) -> None:
    assert ask(apps.operators, "/preview", CALLERS[who]).status_code == 200
    assert ask(apps.public, "/preview", CALLERS[who]).status_code == 404


def test_an_operators_key_is_taken_from_a_page_of_the_same_listener_where_it_has_one(apps: Apps) -> None:
    client = apps.operators.test_client()

    def asked(path: str, method: str, origin: str, headers: dict[str, str] = OPERATOR) -> int:
        sent = headers | {"Origin": origin, "Host": "127.0.0.1:9000"}
        return client.open(path, method=method, data=RULES, headers=sent).status_code

    assert asked("/rules/dry-run", "POST", "http://127.0.0.1:9000") == 200
    for other in ("http://127.0.0.1:9001", "http://127.0.0.1", "https://shop.example", "null", ""):
        assert asked("/rules/dry-run", "POST", other) == 403, other
    assert asked("/rules", "PUT", "http://127.0.0.1:9000") == 403  # it only looks
    assert asked("/rules/dry-run", "POST", "http://127.0.0.1:9000", RIGHT_KEY) == 403
    assert asked("/rules/dry-run", "POST", "http://127.0.0.1:9000", {}) == 401


def test_the_operators_listener_has_nothing_else(apps: Apps) -> None:
    for route in set(PATHS) - set(OPERATORS) - {"preview"}:
        assert ask(apps.operators, PATHS[route][0], CALLERS["an operator"]).status_code == 404
    refused = apps.operators.test_client().post("/events", json=view_of("anna"), headers=OPERATOR)
    assert refused.status_code == 404


def test_an_anonymous_customer_may_ask_for_the_own_id_and_gets_what_is_popular(apps: Apps) -> None:
    answer = apps.public.test_client().get("/recommend/anon-1", headers=bearer(SHOP.token("anon-1")))
    assert answer.get_json()["source"] == "popular"


@pytest.mark.parametrize(
    ("sub", "asked"),
    [
        ("a/b", "/recommend/a/b"),
        ("a/b", "/recommend/a%2Fb"),
        ("käthe", "/recommend/k%C3%A4the"),
        ("/", "/recommend//"),
        ("%61nna", "/recommend/%2561nna"),
    ],
)
def test_an_own_id_is_the_one_that_the_route_reads(apps: Apps, sub: str, asked: str) -> None:
    client = apps.public.test_client()
    assert client.get(asked, headers=bearer(SHOP.token(sub))).get_json()["customer_id"] == sub


@pytest.mark.parametrize(
    ("sub", "asked"),
    [
        ("anna", "/recommend/Anna"),
        ("anna", "/recommend/anna/"),
        ("anna", "/recommend/anna%00"),
        ("anna", "/recommend/anna%20"),
        ("anna", "/recommend/x/../anna"),
        ("a", "/recommend/a/b"),
        ("käthe", "/recommend/ka%CC%88the"),  # the same letters, otherwise composed
        ("%61nna", "/recommend/%61nna"),
        ("bert", "/recommend/anna?customer_id=bert"),
    ],
)
def test_an_id_that_only_looks_like_the_own_one_is_another(apps: Apps, sub: str, asked: str) -> None:
    refused = apps.public.test_client().get(asked, headers=bearer(SHOP.token(sub)))
    assert refused.status_code == 403


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
