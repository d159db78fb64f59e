"""The operator's routes, and the app of the listener that has nothing else."""

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.access.gate import Gate
from service.access.guard import guard
from service.openapi.document import operator_document
from service.routes.operations import NO_STORE, register_description
from service.routes.preview_page import register_preview
from service.rules.desk import RulesDesk
from service.rules.reading import MAX_BYTES
from service.rules.routes import register_rules
from service.settings import Settings
from service.telemetry.measured import Measured
from service.telemetry.metrics import Metrics
from service.web.heads import Heads
from service.web.problems import register_problems
from service.web.thin_flask import ThinFlask

ELSEWHERE = "here are /docs, /preview, /rules and /metrics; everything else is on the public listener"


def create_operator_app(
    settings: Settings, metrics: Metrics, gate: Gate, desk: RulesDesk, log_key: bytes
) -> Flask:
    """The app of the operator's own listener."""
    app = ThinFlask("service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    register_problems(app, gate.count_lost, ELSEWHERE)
    register_operator_routes(app, settings, metrics)
    register_rules(app, desk)
    register_preview(app)
    described = operator_document()
    register_description(app, lambda: described)
    guard(app, gate)
    app.wsgi_app = Measured(  # type: ignore[method-assign]  # Flask's own way to wrap an app
        Heads(app.wsgi_app), metrics, slow_ms=settings.slow_ms, log_key=log_key
    )
    return app


def register_operator_routes(app: Flask, settings: Settings, metrics: Metrics) -> None:
    """Add these routes to an app: the operator's, or the public one, which has them until a key is made."""

    @app.get("/metrics", endpoint="metrics")
    def prometheus() -> Response:
        return Response(metrics.text(settings.store), headers=NO_STORE, content_type=CONTENT_TYPE_LATEST)
