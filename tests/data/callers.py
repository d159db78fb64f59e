"""Every sort of caller and what each gets, and a path of every route: for tests of who may ask what."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from flask import Flask
from werkzeug.test import TestResponse

from service.access.routes import Scope
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.versions.store import Store
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


def of_recommend(who: str) -> int:
    """On routes of the scope `recommend` but `/recommend` itself, where an operator may try variants."""
    return 403 if who == "an operator" else CALLERS[who].recommend


@dataclass(frozen=True)
class Apps:
    """The public app with a version and without one, and the operator's."""

    public: Flask
    empty: Flask
    operators: Flask


def made_apps(store: Path, empty: Path) -> Apps:
    """All three, of a store with a version and a record, and of a folder with nothing in it."""
    publish(Store(store))
    prepare(record_url(store, None))
    callers = known(SHOP.keyring)
    return Apps(
        tiny_app(store, callers=callers), tiny_app(empty, callers=callers), tiny_operator_app(store, callers)
    )


def asked_id(path: str) -> str:
    return path.rpartition("/")[2]


def ask(app: Flask, path: str, caller: Caller, method: str = "GET") -> TestResponse:
    return app.test_client().open(path, method=method, headers=caller.headers(asked_id(path)))


def view_of(customer_id: str) -> dict[str, str]:
    return {"type": "view", "event_id": f"of {customer_id}", "customer_id": customer_id, "product_id": "milk"}
