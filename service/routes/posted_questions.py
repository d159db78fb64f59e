"""POST /basket and POST /recommend: questions that don't fit into a URL."""

from collections.abc import Callable

from flask import Flask, Response, request

from models.arrays import NONE
from service.access.gate import Gate
from service.access.guard import caller_of
from service.errors import RefusedError
from service.recommender import Recommender
from service.telemetry.metrics import Metrics
from service.versions.champion import Serving
from service.web.bodies import read_json
from service.web.finished import PRIVATE_HEADERS, Finished, language_asked
from service.web.parameters import Query
from service.web.problems import problem_text
from service.web.questions import cart_question, id_of, many_question

CART_BYTES = 64 * 1024
MANY_BYTES = 1024 * 1024


def register_body_routes(
    app: Flask,
    serving: Callable[[], Serving],
    body_of: Callable[[Serving, str, Query, str], str],
    recommender: Recommender,
    metrics: Metrics,
    gate: Gate,
) -> None:
    """Add these routes to the app.

    Args:
        body_of: the body of one customer's answer, in a language, as `GET /recommend/<customer_id>` gives it.
    """

    @app.post("/basket")
    def basket() -> Response:
        asked = cart_question(read_json(request, CART_BYTES))
        caller = caller_of(request.environ)
        if caller is not None and caller.customer_id not in (None, asked.customer_id or caller.customer_id):
            gate.refuse_other_id()
        now, language = serving(), language_asked()
        found = dict.fromkeys(map(now.served.product_row, asked.product_ids))
        cart = [row for row in found if row != NONE]
        answer = recommender.complements(now.served, cart, asked.customer_id, asked.query)
        if asked.customer_id is not None:
            recommender.note_shown(now.served, asked.customer_id, asked.query, answer)
        metrics.answer(answer, asked.query.placement)
        return Finished(now.writer.complements(cart, answer, language), PRIVATE_HEADERS[language])

    @app.post("/recommend", endpoint="recommend_many")
    def recommend_many() -> Response:
        asked = many_question(read_json(request, MANY_BYTES))
        now, language = serving(), language_asked()
        texts, failed = [], 0
        for sent in asked.customer_ids:
            try:
                customer_id = id_of("customer_id", sent)
            except RefusedError as err:
                failed += 1
                texts.append(f'{{"customer_id": null, "problem": {problem_text(err)}}}')
                continue
            texts.append(body_of(now, customer_id, asked.query, language))
        answers = ", ".join(texts)
        body = f'{{"received": {len(texts)}, "failed": {failed}, "answers": [{answers}]}}'
        return Finished(body, PRIVATE_HEADERS[language])
