"""What any Flask service pays at least: a route with a short text, alone or after one GET of a list's size.

As a process it serves behind the same server with the same settings as nextbest:

    python -m tests.benchmarks.bare --port P [--redis-url URL]
"""

import argparse
from functools import partial
from pathlib import Path

from flask import Flask

from service.cache.redis_cache import redis_client
from service.processes.server import _server
from service.settings import Settings

TTL_S = 600
VALUE_BYTES = 450  # about what a list takes
BODY = '{"recommendations": []}'


def bare_app(redis_url: str | None) -> Flask:
    """The app; with a URL it gets a value for each call."""
    app = Flask("bare", static_folder=None)
    client = redis_client(redis_url, timeout_ms=2000) if redis_url else None
    if client:
        client.set("bench:value", bytes(VALUE_BYTES), ex=TTL_S)

    @app.get("/recommend/<path:customer_id>")
    def bare(customer_id: str) -> str:
        if client:
            client.get("bench:value")
        return BODY

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-url")
    given = parser.parse_args()
    settings = Settings(store=Path(), port=given.port)
    server = _server(settings, settings.host, settings.port, workers=1)
    server.serve(target_loader=partial(bare_app, given.redis_url), wrap_loader=False)


if __name__ == "__main__":
    main()
