"""A span for each request, for shops that trace with OpenTelemetry: an extra, off by default.

Where spans go and which are kept is what OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_TRACES_SAMPLER). A span has the route's pattern, never the path: that has a customer's id.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from models.errors import NextbestError

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as err:
    packages = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
    raise NextbestError(f"NEXTBEST_TRACES wants packages that aren't here: pip install {packages}") from err

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CARRIED = {"traceparent": "HTTP_TRACEPARENT", "tracestate": "HTTP_TRACESTATE"}


def new_provider() -> TracerProvider:
    """Sends spans by OTLP over HTTP, in batches, in a thread of this process."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "nextbest"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Traced:
    """A WSGI app around Flask's."""

    def __init__(self, app: "WSGIApplication", provider: TracerProvider) -> None:
        self._app, self._tracer = app, provider.get_tracer("nextbest")
        self._context = TraceContextTextMapPropagator()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        carrier = {name: environ[key] for name, key in CARRIED.items() if key in environ}
        method = environ["REQUEST_METHOD"]
        with self._tracer.start_as_current_span(
            method, self._context.extract(carrier), SpanKind.SERVER, {"http.request.method": method}
        ) as span:

            def started(line, headers, exc_info=None):  # type: ignore[no-untyped-def]  # as WSGI says
                status = int(line[:3])
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
                if rule:
                    span.update_name(f"{method} {rule.rule}")
                    span.set_attribute("http.route", rule.rule)
                return start_response(line, headers, exc_info)

            return self._app(environ, started)
