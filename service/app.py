"""The Flask app: routes and headers. What an answer holds is decided elsewhere; this is its edge to HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from models.arrays import NONE
from service.access.cors import Cors
from service.access.gate import Gate
from service.access.guard import caller_of, guard
from service.answering.languages import language_of
from service.errors import RefusedError
from service.events.desk import EventDesk
from service.events.routes import register_events
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.routes.customer_desk import CustomerDesk
from service.routes.customers import register_customers
from service.routes.operations import RedisState, register_operations
from service.routes.operator_app import register_operator_routes
from service.routes.posted_questions import register_body_routes
from service.routes.products import ProductDesk, register_products
from service.settings import Settings
from service.telemetry.measured import Measured
from service.telemetry.metrics import Metrics
from service.trials.desk import Trials
from service.versions.champion import ChampionFollower, Serving
from service.web.finished import PRIVATE_HEADERS, SHARED_HEADERS, Finished, language_asked
from service.web.heads import Heads
from service.web.parameters import (
    Query,
    check_id,
    parse_offers_query,
    parse_personal_query,
    parse_query,
    parse_reorder_query,
)
from service.web.problems import register_problems
from service.web.thin_flask import ThinFlask

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Parts:
    """What the app works with, made once in each worker.

    Attributes:
        log_key: keys the hashes of customers in logs.
        trials: who answers customers in experiments; None: nothing is tried here.
    """

    settings: Settings
    follower: ChampionFollower
    recommender: Recommender
    metrics: Metrics
    redis_state: RedisState
    gate: Gate
    desk: EventDesk
    products: ProductDesk
    customers: CustomerDesk
    offers: OfferDesk
    log_key: bytes
    trials: Trials | None = None


class IdConverter(BaseConverter):
    """An id may hold any character, slashes among them."""

    regex = "(?s:.+)"
    part_isolating = False


def create_app(parts: Parts) -> Flask:
    """The app of a worker."""
    app = ThinFlask("service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.converters["id"] = IdConverter
    register_problems(app, parts.gate.count_lost)
    register_answers(app, parts)
    register_events(app, parts.desk, parts.gate)
    register_products(app, parts.products)
    register_customers(app, parts.customers)
    register_operations(app, parts.follower, parts.redis_state, lambda: parts.gate.is_open)
    register_operator_routes(app, parts.settings, parts.metrics)
    guard(app, parts.gate)
    readable = Cors(app, app.wsgi_app, parts.settings.origins)
    app.wsgi_app = Measured(  # type: ignore[method-assign]  # Flask's own way to wrap an app
        Heads(readable, parts.settings.origins),
        parts.metrics,
        slow_ms=parts.settings.slow_ms,
        log_key=parts.log_key,
    )
    return app


def register_answers(app: ThinFlask, parts: Parts) -> None:
    """The routes that answer from the champion."""
    follower, recommender, metrics = parts.follower, parts.recommender, parts.metrics
    trials, offers = parts.trials, parts.offers

    def serving() -> Serving:
        if follower.current is None:
            raise RefusedError("no_version", None, follower.why_none)
        return follower.current

    def body_of(now: Serving, customer_id: str, query: Query, language: str) -> str:
        """A customer's answer: that of an experiment where there is one, else the champion's."""
        tried = trials.answer(now, customer_id, query, language) if trials is not None else None
        if tried is not None:
            answer, body = tried
        else:
            answer = recommender.recommend(now.served, customer_id, query)
            added = offers.with_products(now.served, customer_id, answer, query.placement)
            recommender.note_shown(now.served, customer_id, query, answer, added.rows)
            body = now.writer.recommendations(customer_id, answer, offers=added.texts, language=language)
        metrics.answer(answer, query.placement)
        return body

    def recommend(environ: "WSGIEnvironment", customer_id: str) -> Response:
        check_id("customer_id", customer_id, environ["PATH_INFO"])
        query = parse_personal_query(environ["QUERY_STRING"].encode("latin-1"))
        if query.variant is not None:
            parts.gate.check_may_force(caller_of(environ))
            if trials is None:
                raise RefusedError("bad_parameter", "variant", "nothing is tried here")
        language = language_of(environ.get("HTTP_ACCEPT_LANGUAGE"))
        return Finished(body_of(serving(), customer_id, query, language), PRIVATE_HEADERS[language])

    app.add_direct("/recommend/<id:customer_id>", "recommend", recommend)

    @app.get("/offers/<id:customer_id>", endpoint="offers")
    def offers_of(customer_id: str) -> Response:
        check_id("customer_id", customer_id, request.environ["PATH_INFO"])
        query = parse_offers_query(request.query_string)
        language = language_asked()
        return Finished(
            offers.body(serving().served, customer_id, query, language), PRIVATE_HEADERS[language]
        )

    @app.get("/reorder/<id:customer_id>")
    def reorder(customer_id: str) -> Response:
        check_id("customer_id", customer_id, request.environ["PATH_INFO"])
        query = parse_reorder_query(request.query_string)
        now, language = serving(), language_asked()
        answer = recommender.reorder(now.served, customer_id, query)
        recommender.note_shown(now.served, customer_id, query, answer)
        metrics.answer(answer, query.placement)
        return Finished(now.writer.reorder(customer_id, answer, language), PRIVATE_HEADERS[language])

    register_body_routes(app, serving, body_of, recommender, metrics, parts.gate)
    register_shop_answers(app, recommender, serving)


def register_shop_answers(app: ThinFlask, recommender: Recommender, serving: Callable[[], Serving]) -> None:
    """The routes whose answers are about nobody: the same for all."""

    @app.get("/popular")
    def popular() -> Response:
        query = parse_query(request.query_string)
        now, language = serving(), language_asked()
        answer = recommender.popular(now.served, query)
        return Finished(now.writer.popular(answer, language), SHARED_HEADERS[language])

    @app.get("/similar/<id:product_id>")
    def similar(product_id: str) -> Response:
        check_id("product_id", product_id, request.environ["PATH_INFO"])
        query = parse_query(request.query_string)
        now, language = serving(), language_asked()
        row = now.served.product_row(product_id)
        if row == NONE:
            raise RefusedError(
                "unknown_product", "product_id", "neither the purchases nor the table of products have it"
            )
        answer = recommender.similar(now.served, row, query)
        return Finished(now.writer.similar(row, answer, language), SHARED_HEADERS[language])
