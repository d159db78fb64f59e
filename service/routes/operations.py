"""The routes about the service itself: health, the API's description and its page."""

import json
import time
from collections.abc import Callable

from flask import Flask, Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from service.openapi.document import document
from service.routes.docs_page import docs_page
from service.versions.champion import ChampionFollower
from service.web.problems import problem

type RedisState = Callable[[], str]
"""`up`, `down` while it doesn't answer, `none` if there is none."""

NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def register_operations(app: Flask, follower: ChampionFollower, redis_state: RedisState) -> None:
    """Add these routes to the app."""
    description = document()

    @app.get("/")
    def index() -> Response:
        routes = {
            f"{method.upper()} {path}": what["summary"]
            for path, item in description["paths"].items()
            for method, what in item.items()
        }
        return uncached({"service": "nextbest", "routes": routes, "docs": "/docs"})

    @app.get("/health/live")
    def live() -> Response:
        return uncached({"status": "live"})

    @app.get("/health/ready")
    def ready() -> Response:
        if follower.current is None:
            return problem("no_version", follower.why_none)
        served = follower.current.served
        return uncached(
            {
                "status": "ready",
                "version": served.version_id,
                "variant": served.variant,
                "as_of": served.as_of.isoformat(),
                "age_s": round(time.time() - served.as_of.timestamp()),
                "redis": redis_state(),
            }
        )

    @app.get("/openapi.json")
    def openapi() -> Response:
        return uncached(description)

    @app.get("/docs")
    def docs() -> AnyResponse:
        found = redirect("/docs/")
        found.headers.update(NO_STORE)
        return found

    app.register_blueprint(docs_page())


def uncached(content: dict[str, object]) -> Response:
    """A 200 with this as JSON, which no cache keeps."""
    return Response(json.dumps(content), headers=NO_STORE, content_type="application/json")
