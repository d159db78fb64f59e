"""The routes for those who run the service: health, metrics, the API's description and its page."""

import json
import time
from collections.abc import Callable

from flask import Flask, Response, redirect
from flask_swagger_ui import get_swaggerui_blueprint
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.wrappers import Response as AnyResponse

from service.champion import ChampionFollower
from service.metrics import Metrics
from service.openapi import document
from service.problems import problem
from service.settings import Settings

type RedisState = Callable[[], str]
"""`up`, `down` while it doesn't answer, `none` if there is none."""

NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def register_operations(
    app: Flask, settings: Settings, follower: ChampionFollower, metrics: Metrics, redis_state: RedisState
) -> None:
    """Add these routes to the app."""
    description = document()

    @app.get("/")
    def index() -> Response:
        routes = {path: item["get"]["summary"] for path, item in description["paths"].items()}
        return _json({"service": "nextbest", "routes": routes, "docs": "/docs"})

    @app.get("/health/live")
    def live() -> Response:
        return _json({"status": "live"})

    @app.get("/health/ready")
    def ready() -> Response:
        if follower.current is None:
            return problem("no_version", "no night has published a version to this store yet")
        served = follower.current.served
        return _json(
            {
                "status": "ready",
                "version": served.version_id,
                "variant": served.variant,
                "as_of": served.as_of.isoformat(),
                "age_s": round(time.time() - served.as_of.timestamp()),
                "redis": redis_state(),
            }
        )

    @app.get("/metrics")
    def prometheus() -> Response:
        served = follower.current.served if follower.current else None
        return Response(
            metrics.text(served, settings.store), headers=NO_STORE, content_type=CONTENT_TYPE_LATEST
        )

    @app.get("/openapi.json")
    def openapi() -> Response:
        return _json(description)

    @app.get("/docs")
    def docs() -> AnyResponse:
        return redirect("/docs/")

    app.register_blueprint(
        get_swaggerui_blueprint(
            "/docs",
            "/openapi.json",
            config={"app_name": "nextbest", "oauth2RedirectUrl": "/docs/oauth2-redirect.html"},
            blueprint_name="docs_page",
        )
    )


def _json(content: dict[str, object]) -> Response:
    return Response(json.dumps(content), headers=NO_STORE, content_type="application/json")
