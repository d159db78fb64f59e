"""CORS: which pages' scripts may read the answers of the routes that take customers' tokens.

Exact origins only. It protects nobody from a caller without a browser; that is the gate's work.
"""

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import HTTPException

from service.access.routes import ROUTES, Customers
from service.web.problems import problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REMEMBER_S = "600"
EXPOSED = ("Access-Control-Expose-Headers", "Retry-After")

type Headers = list[tuple[str, str]]
VARY_OF_PREFLIGHT = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Cors:
    """A WSGI app around Flask's that answers preflights and adds headers to answers to the origins given."""

    def __init__(self, app: Flask, inner: "WSGIApplication", origins: tuple[str, ...]) -> None:
        self._app, self._inner, self._origins = app, inner, frozenset(origins)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            return self._inner(environ, start_response)
        asked_method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if environ["REQUEST_METHOD"] == "OPTIONS" and asked_method is not None:
            return self._preflight(environ, start_response, origin, asked_method)

        def started(line, headers, exc_info=None):  # type: ignore[no-untyped-def]  # as WSGI says
            request = environ.get("werkzeug.request")
            rule = request.url_rule if request else None
            if rule and _takes_tokens(rule.endpoint):
                headers = readable(headers, origin, self._origins)
            return start_response(line, headers, exc_info)

        return self._inner(environ, started)

    def _preflight(
        self, environ: "WSGIEnvironment", start_response: "StartResponse", origin: str, asked_method: str
    ) -> Iterable[bytes]:
        if origin not in self._origins or not self._is_for_tokens(environ, asked_method):
            refused = problem("forbidden", "scripts of this origin may not ask this")
            refused.headers["Vary"] = VARY_OF_PREFLIGHT
            return refused(environ, start_response)
        allowed = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": asked_method,
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": REMEMBER_S,
            "Vary": VARY_OF_PREFLIGHT,
        }
        start_response("204 No Content", list(allowed.items()))
        return []

    def _is_for_tokens(self, environ: "WSGIEnvironment", asked_method: str) -> bool:
        try:
            name, _ = self._app.url_map.bind_to_environ(environ).match(method=asked_method or "none")
        except HTTPException:  # no such route or method
            return False
        return _takes_tokens(name)


def readable(headers: Headers, origin: str, origins: Container[str]) -> Headers:
    """The headers of an answer to a script of this origin, which reads it if it is one of those."""
    varies = any(name == "Vary" and "Origin" in value for name, value in headers)
    vary = [] if varies else [("Vary", "Origin")]
    allowed = [("Access-Control-Allow-Origin", origin), EXPOSED] if origin in origins else []
    return [*headers, *vary, *allowed]


def _takes_tokens(name: str) -> bool:
    return ROUTES[name].customers is not Customers.NOTHING
