"""The routes about the service itself: health, the API's description and its page."""

import time
from collections.abc import Callable

from flask import Flask, Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from service.openapi.document import public_document
from service.openapi.json_schema import Json
from service.routes.docs_page import docs_page
from service.versions.champion import ChampionFollower
from service.web.bodies import write_json
from service.web.problems import problem

type RedisState = Callable[[], str]
"""`up`, `down` while it doesn't answer, `none` if there is none."""

NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
ELSEWHERE = "the operator's listener (NEXTBEST_OPERATOR_PORT) has /rules, /preview and /metrics"


def register_operations(
    app: Flask, follower: ChampionFollower, redis_state: RedisState, is_open: Callable[[], bool]
) -> None:
    """Add these routes to the public app.

    Args:
        is_open: whether there is no key yet, and everybody may call everything, /metrics too.
    """
    documents = {has_metrics: public_document(has_metrics=has_metrics) for has_metrics in (False, True)}

    @app.get("/")
    def index() -> Response:
        routes = {
            f"{method.upper()} {path}": what["summary"]
            for path, item in documents[is_open()]["paths"].items()
            for method, what in item.items()
        }
        return write_json({"service": "nextbest", "routes": routes, "docs": "/docs", "elsewhere": ELSEWHERE})

    @app.get("/health/live")
    def live() -> Response:
        return write_json({"status": "live"})

    @app.get("/health/ready")
    def ready() -> Response:
        if follower.current is None:
            return problem("no_version", follower.why_none)
        served = follower.current.served
        return write_json(
            {
                "status": "ready",
                "version": served.version_id,
                "variant": served.variant,
                "as_of": served.as_of.isoformat(),
                "age_s": round(time.time() - served.as_of.timestamp()),
                "redis": redis_state(),
            }
        )

    register_description(app, lambda: documents[is_open()])


def register_description(app: Flask, described: Callable[[], Json]) -> None:
    """Add what describes an app's routes: a document for machines, and the page to try them on."""

    @app.get("/openapi.json")
    def openapi() -> Response:
        return write_json(described())

    @app.get("/docs")
    def docs() -> AnyResponse:
        found = redirect("/docs/")
        found.headers.update(NO_STORE)
        return found

    app.register_blueprint(docs_page())
