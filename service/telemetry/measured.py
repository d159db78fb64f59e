"""Counts and times every answer around the app; a slow one gets a log line, at most one a second.

Around it and not in Flask's hooks: those cost several times as much as the measuring.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from service.telemetry.logs import customer_hash
from service.telemetry.metrics import Metrics
from service.web.parameters import ID_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()


class Measured:
    """A WSGI app around Flask's, whose own request says which route it took."""

    def __init__(self, app: "WSGIApplication", metrics: Metrics, *, slow_ms: int, log_key: bytes) -> None:
        self._app, self._observe = app, metrics.request
        self._slow_s, self._log_key, self._next_line_s = slow_ms / 1000, log_key, 0.0

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_s = time.perf_counter()
        status, request = "500", None

        def started(line, headers, exc_info=None):  # type: ignore[no-untyped-def]  # as WSGI says
            nonlocal status, request
            status, request = line, environ.get("werkzeug.request")  # Flask takes it away when it is done
            return start_response(line, headers, exc_info)

        body = self._app(environ, started)
        rule = getattr(request, "url_rule", None)  # a preflight ends before Flask
        route = rule.endpoint if rule else "none"
        now_s = time.perf_counter()
        self._observe(route, int(status[:3]), now_s - start_s)
        if now_s - start_s > self._slow_s and now_s > self._next_line_s:
            self._next_line_s = now_s + 1
            customer_id = (getattr(request, "view_args", None) or {}).get("customer_id", "")[:ID_BYTES]
            who = customer_hash(self._log_key, customer_id) if customer_id else None
            log.warning("slow answer", route=route, elapsed_ms=round((now_s - start_s) * 1000), customer=who)
        return body
