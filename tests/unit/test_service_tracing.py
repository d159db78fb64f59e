"""A request is one span, named by its route and below its caller's; no customer's id is in it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from flask import Flask
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from service.telemetry.tracing import Traced, new_provider
from storage.versions.store import Store
from tests.data.tiny_service import tiny_app
from tests.data.tiny_version import publish

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def app(tmp_path: Path, spans: InMemorySpanExporter) -> Flask:
    publish(Store(tmp_path))
    app = tiny_app(tmp_path)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app.wsgi_app = Traced(app.wsgi_app, provider)  # type: ignore[method-assign]
    return app


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def test_a_span_has_the_route_and_no_customer(app: Flask, spans: InMemorySpanExporter) -> None:
    assert app.test_client().get("/recommend/secret-customer?n=3").status_code == 200
    span = only(spans)
    assert span.name == "GET /recommend/<id:customer_id>"
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/recommend/<id:customer_id>",
    }
    assert "secret-customer" not in span.to_json()


def test_it_is_below_the_callers_span(app: Flask, spans: InMemorySpanExporter) -> None:
    app.test_client().get("/popular", headers={"traceparent": PARENT})
    span = only(spans)
    assert span.parent
    assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{span.parent.span_id:016x}" == PARENT.split("-")[2]


@pytest.mark.parametrize("header", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_parent_that_makes_no_sense_is_none(app: Flask, spans: InMemorySpanExporter, header: str) -> None:
    assert app.test_client().get("/popular", headers={"traceparent": header}).status_code == 200
    assert only(spans).parent is None


def test_a_refusal_is_no_error_of_ours_and_503_is(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    app = tiny_app(tmp_path / "empty")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app.wsgi_app = Traced(app.wsgi_app, provider)  # type: ignore[method-assign]
    app.test_client().get("/recommend/1?n=0")
    app.test_client().get("/recommend/1")
    refused, failed = spans.get_finished_spans()
    assert (refused.status.status_code, failed.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


def test_spans_go_by_otlp_to_where_the_variable_says(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        provider = new_provider()
        traced = Traced(app.wsgi_app, provider)
        app.wsgi_app = traced  # type: ignore[method-assign]
        assert json.loads(app.test_client().get("/popular?n=1").data)["recommendations"]
        provider.shutdown()
    finally:
        server.shutdown()
        server.server_close()
    assert got[0][0] == "/v1/traces"
    assert b"GET /popular" in got[0][1]
