"""Errors as problem details (RFC 9457), from one table of kind to status and title."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from service.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PROBLEM_JSON = "application/problem+json"
PROBLEMS: dict[str, tuple[int, str]] = {
    "bad_parameter": (400, "A parameter has a value that can't be used"),
    "unknown_parameter": (400, "This route has no such parameter"),
    "bad_id": (400, "The id can't be used"),
    "unknown_category": (400, "The category isn't known"),
    "bad_request": (400, "The request can't be understood"),
    "bad_body": (400, "The body can't be understood"),
    "bad_event": (400, "The event can't be taken"),
    "bad_rules": (400, "The rules can't be used"),
    "unauthorized": (401, "This needs a key or a token"),
    "forbidden": (403, "This key or token may not do that"),
    "unknown_product": (404, "The product isn't known"),
    "unknown_rules": (404, "There are no such rules"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This route doesn't take this method"),
    "event_conflict": (409, "Another event has this id"),
    "rules_from_file": (409, "Rules come from a file"),
    "erased": (410, "The customer was erased"),
    "length_required": (411, "A body needs its length beforehand"),
    "too_large": (413, "The request is too large"),
    "unsupported_type": (415, "The body has another type than the route takes"),
    "misdirected": (421, "Nobody is answered under this host"),
    "too_many_requests": (429, "Too many requests"),
    "headers_too_large": (431, "The headers are too large"),
    "internal": (500, "The service failed"),
    "overloaded": (503, "There are more callers than can be answered"),
    "no_version": (503, "There is nothing to answer from yet"),
    "record_unavailable": (503, "What must last can't be reached now"),
    "no_room": (507, "There is no room"),
}
BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
DETAILS = {
    "not_found": "GET / lists the routes",
    "method_not_allowed": "see the Allow header",
    "length_required": "send Content-Length, 0 where there is no body; this route takes another method",
    "too_large": "send less; what a route takes is in its description",
}
BODY_WAS_READ = "nextbest.body_was_read"  # in the environment of a request
WITH_BODY = ("POST", "PUT", "PATCH")
NO_VERSION_RETRY_S = 5
log = structlog.get_logger()


def problem_text(err: RefusedError) -> str:
    """The problem document of an error, as it stands in an answer about several things."""
    return json.dumps(_body(err.kind, err.reason, err.field))


def problem(kind: str, detail: str, field: str | None = None, retry_after_s: int | None = None) -> Response:
    """The answer for an error of this kind."""
    status = PROBLEMS[kind][0]
    response = Response(json.dumps(_body(kind, detail, field)), status, mimetype=PROBLEM_JSON)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Vary"] = "Origin"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="nextbest"'
    if retry_after_s or status == 503:
        response.headers["Retry-After"] = str(retry_after_s or NO_VERSION_RETRY_S)
    return response


def _body(kind: str, detail: str, field: str | None) -> dict[str, object]:
    status, title = PROBLEMS[kind]
    body: dict[str, object] = {"type": f"urn:nextbest:problem:{kind}", "title": title, "status": status}
    body["detail"] = f"{field}: {detail}" if field else detail
    return body | {"field": field, "reason": detail} if field else body


def register_problems(
    app: Flask, count_lost: Callable[["WSGIEnvironment"], None], elsewhere: str = DETAILS["not_found"]
) -> None:
    """Answer every error of this app with a problem; the text of an unexpected one stays in the log.

    Args:
        count_lost: told of each call that no route is for; it may refuse it.
        elsewhere: what such a call is told.
    """
    details = DETAILS | {"not_found": elsewhere}

    @app.errorhandler(RefusedError)
    def refused(err: RefusedError) -> Response:
        return _last_of_all(problem(err.kind, err.reason, err.field, err.retry_after_s))

    @app.errorhandler(HTTPException)
    def http(err: HTTPException) -> Response:
        if request.routing_exception is not None:
            try:
                count_lost(request.environ)
            except RefusedError as too_many:
                return refused(too_many)
        status = err.code or 500
        kind = BY_STATUS.get(status, "bad_request" if status < 500 else "internal")
        if status == 405:
            kind = _wrong_body() or kind
        answer = problem(kind, details.get(kind) or err.description or PROBLEMS[kind][1])
        allow = dict(err.get_headers()).get("Allow")
        if allow:
            answer.headers["Allow"] = allow
        return _last_of_all(answer)

    @app.errorhandler(Exception)
    def unexpected(err: Exception) -> Response:
        log.error("answer failed", exc_info=err)
        return _last_of_all(problem("internal", "the error is in the service's log"))


def _last_of_all(answer: Response) -> Response:
    """Say that the connection ends where a body may be left on it: the server closes it unless all of that
    is there already, and a caller who wasn't told sends the next request into nothing."""
    is_announced = bool(request.content_length) or "HTTP_TRANSFER_ENCODING" in request.environ
    if is_announced and BODY_WAS_READ not in request.environ:
        answer.headers["Connection"] = "close"
    return answer


def _wrong_body() -> str | None:
    """What is wrong with the body of a request whose method the route doesn't take, if it has one."""
    if request.method in WITH_BODY and request.content_length is None:
        return "length_required"
    too_large = (request.content_length or 0) > current_app.config["MAX_CONTENT_LENGTH"]
    return "too_large" if too_large else None
