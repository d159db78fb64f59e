"""What an answer costs in process (a WSGI call, no network), beside a bare Flask route in the same run.

    python -m tests.benchmarks.bench_answer --store DIR

Every round times each route in turn, so that a busy machine slows all of them alike; the table has the median
over the rounds, and ratios are medians of the ratios within a round.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import numpy as np
from flask import Flask

from service.access.gate import Gate, Limits
from service.access.limits import Buckets
from service.access.new_keys import Labels, new_api_key, new_token_key
from service.access.routes import Scope
from service.access.tokens import mint, private_key
from service.app import Parts, create_app
from service.cache.redis_cache import RedisCache, redis_client
from service.cache.server import RedisKeeper, find_redis_server
from service.champion import ChampionFollower
from service.metrics import Metrics, count_in_folder
from service.recommender import FirstLevel, ListCache, Recommender
from service.settings import Settings
from storage.keyring import Keyring
from storage.store import Store
from tests.data.tiny_service import EVERYBODY, ISSUED, Known, known

TTL_S = 600


@dataclass
class Route:
    """One line of the table: an app and the path that each call asks it for."""

    name: str
    app: Flask
    path_of: Callable[[int], str]
    headers: dict[str, str] = field(default_factory=dict)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--store", type=Path, required=True)
    arguments.add_argument("--rounds", type=int, default=40)
    arguments.add_argument("--calls", type=int, default=250, help="of each route in a round")
    given = arguments.parse_args()
    binary = find_redis_server()
    if binary is None:
        raise SystemExit("no redis-server found")
    with tempfile.TemporaryDirectory() as folder:
        keeper = RedisKeeper(binary, Path(folder), 256)
        keeper.start()
        try:
            measure(given.store, keeper.url, given.rounds, given.calls)
        finally:
            keeper.stop()


def measure(store: Path, redis_url: str, rounds: int, calls: int) -> None:
    routes = make_routes(store, redis_url)
    for route in routes:  # warm: lists in Redis, products written, maps read
        call(route, range(1000))
    times_us: dict[str, list[float]] = {route.name: [] for route in routes}
    for number in range(rounds):
        for route in routes:
            start = number * calls
            call(route, range(5))
            began_s = time.perf_counter()
            call(route, range(start, start + calls))
            times_us[route.name].append((time.perf_counter() - began_s) / calls * 1e6)
    bare, with_get = times_us["bare Flask route"], times_us["bare route, one Redis GET"]
    print(f"{'answer of 10 products':<34}{'median us':>10}{'p90 us':>9}{'x bare':>8}{'x bare+GET':>12}")
    for name, times in times_us.items():
        ratios = [median(a / b for a, b in zip(times, base, strict=True)) for base in (bare, with_get)]
        p90 = quantiles(times, n=10)[8]
        print(f"{name:<34}{median(times):>10.1f}{p90:>9.1f}{ratios[0]:>8.2f}{ratios[1]:>12.2f}")


def make_routes(store: Path, redis_url: str) -> list[Route]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    count_in_folder(folder)
    metrics = Metrics(folder)
    cache = RedisCache(redis_url, timeout_ms=200, ttl_s=TTL_S, counters=metrics)
    follower = ChampionFollower(Store(store), metrics, poll_s=1)
    follower.look()
    if follower.current is None:
        raise SystemExit(f"{store} has no champion: run a night first")
    ids = follower.current.served.customers
    drawn = np.random.default_rng(0).integers(0, len(ids), 500).tolist()
    customers = [ids[row] for row in drawn]

    def one_after_another(number: int) -> str:
        return f"/recommend/{customers[number % len(customers)]}"

    def the_same(_: int) -> str:
        return f"/recommend/{customers[0]}"

    shop, key, token = shop_with_credentials(customers[0])

    def app(
        first_level_life_s: float,
        cache: ListCache | None,
        callers: Known = shop,
        limits: Limits | None = None,
    ) -> Flask:
        settings = Settings(store=store)
        first_level = FirstLevel(2000, first_level_life_s)
        recommender = Recommender(first_level, cache)
        gate = Gate(callers, limits or Limits(), (), metrics)
        return create_app(Parts(settings, follower, recommender, metrics, lambda: "up", gate, b"bench"))

    def unknown(number: int) -> str:
        return f"/recommend/unknown-{number}"

    plenty = Buckets(1e6, 1e7, 1000, time.monotonic)
    limits = Limits(plenty, plenty, plenty)
    return [
        Route("bare Flask route", bare_app(None), one_after_another, key),
        Route("bare route, one Redis GET", bare_app(redis_url), one_after_another, key),
        Route("/recommend, from the worker", app(1.0, None), the_same, key),
        Route("- before a key is made", app(1.0, None, EVERYBODY), the_same),
        Route("- with a limit for each key", app(1.0, None, limits=limits), the_same, key),
        Route("- with a token and limits", app(1.0, None, limits=limits), the_same, token),
        Route("/recommend, from Redis", app(0, cache), one_after_another, key),
        Route("/recommend, from the map", app(0, None), one_after_another, key),
        Route("/recommend, unknown customer", app(0, None), unknown, key),
    ]


def shop_with_credentials(customer_id: str) -> tuple[Known, dict[str, str], dict[str, str]]:
    """Callers, and the headers of one with an API key and of one with a token of the customer."""
    labels = Labels("bench", "active", datetime.now(UTC), None)
    api_key, key_text = new_api_key(labels, frozenset({Scope.RECOMMEND}), os.urandom)
    token_key, signing = new_token_key(labels, "EdDSA", os.urandom)
    now_s = int(time.time())
    token = mint(
        *(customer_id, token_key.key_id, "EdDSA", private_key(signing.encode()), ISSUED),
        begins_s=now_s,
        expires_s=now_s + 900,
    )
    callers = known(Keyring(api_keys=(api_key,), token_keys=(token_key,)))
    return callers, {"HTTP_AUTHORIZATION": f"Bearer {key_text}"}, {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def bare_app(redis_url: str | None) -> Flask:
    """What any Flask service pays at least; with a URL, it gets a value of a list's size for each call."""
    app = Flask("bare", static_folder=None)
    client = redis_client(redis_url, timeout_ms=200) if redis_url else None
    if client:
        client.set("bench:value", bytes(700), ex=TTL_S)

    @app.get("/recommend/<path:customer_id>")
    def bare(customer_id: str) -> str:
        if client:
            client.get("bench:value")
        return '{"recommendations": []}'

    return app


def call(route: Route, numbers: range) -> None:
    statuses: list[str] = []
    for number in numbers:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": route.path_of(number).encode().decode("latin-1"),
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            **route.headers,
        }
        body = b"".join(route.app(environ, lambda status, *_: statuses.append(status)))  # type: ignore[arg-type,func-returns-value]
        if statuses.pop() != "200 OK":
            raise SystemExit(f"{route.name}: {body!r}")


if __name__ == "__main__":
    main()
