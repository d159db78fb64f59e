"""What an answer costs in process (a WSGI call, no network), beside a bare Flask route in the same run.

    python -m tests.benchmarks.bench_answer --store DIR

Every round times each route, in an order drawn anew, so that a busy machine slows all of them alike: in a
fixed order it takes the processor away from the same route each time. Ten calls are over before that. The
table has the median over the rounds, and ratios are medians of the ratios within a round. It is a part of
`bench_speed` too.
"""

import argparse
import tempfile
import time
from itertools import count
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

import structlog
from threadpoolctl import threadpool_limits

from service.cache.redis_cache import RedisCache
from service.telemetry.metrics import Metrics, count_in_folder
from service.versions.champion import ChampionFollower
from storage.versions.store import Store
from tests.benchmarks.answer_parts import Part, parts_of
from tests.benchmarks.answer_routes import (
    BARE,
    BARE_GET,
    CUSTOMERS,
    Route,
    make_routes,
    shop_with_credentials,
)
from tests.benchmarks.bare import TTL_S
from tests.benchmarks.load_servers import own_redis

ROUNDS, CALLS = 1000, 10  # calls of each route in a round


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--store", type=Path, required=True)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    given = arguments.parse_args()
    show(measure(given.store, given.rounds))


def measure(store: Path, rounds: int) -> dict[str, Any]:
    """Microseconds and ratios of each route, and microseconds of each part of an answer, as JSON."""
    threadpool_limits(1, "blas")  # as a worker does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with own_redis() as redis_url, tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts")
        count_in_folder(counts)
        metrics = Metrics(counts)
        follower = ChampionFollower(Store(store), metrics, poll_s=1)
        follower.look()
        if follower.current is None:
            raise SystemExit(f"{store} has no champion: run a night first")
        cache = RedisCache(redis_url, timeout_ms=2000, ttl_s=TTL_S, counters=metrics)
        routes = make_routes(store, redis_url, follower, metrics, cache, Path(folder))
        parts = parts_of(follower.current, metrics, cache, shop_with_credentials("0")[:2])
        return {"routes": _routes(routes, rounds), "parts": _parts(parts, rounds)}


def show(found: dict[str, Any]) -> None:
    """The tables of a terminal."""
    print(f"{'answer of 10 products':<40}{'median us':>10}{'p90 us':>9}{'x bare':>8}{'x bare+GET':>12}")
    for name, row in found["routes"].items():
        print(
            f"{name:<40}{row['us']:>10.1f}{row['p90_us']:>9.1f}{row['x_bare']:>8.2f}{row['x_bare_get']:>12.2f}"
        )
    print(f"\n{'part of it, by itself':<40}{'median us':>10}")
    for name, us in found["parts"].items():
        print(f"{name:<40}{us:>10.1f}")


def _routes(routes: list[Route], rounds: int) -> dict[str, Any]:
    for route in routes:  # warm: lists in Redis, products written, maps read
        call(route, range(CUSTOMERS))
        route.afterwards()
    times_us: dict[str, list[float]] = {route.name: [] for route in routes}
    customers, shuffled = count(step=CALLS), Random(0)
    for _ in range(rounds):
        for route in shuffled.sample(routes, len(routes)):
            start = next(customers)  # not those of the route before, which the processor's caches still have
            call(route, range(start - 2, start))
            began_s = time.perf_counter()
            call(route, range(start, start + CALLS))
            times_us[route.name].append((time.perf_counter() - began_s) / CALLS * 1e6)
            route.afterwards()

    def ratio(name: str, to: str) -> float:
        return median(a / b for a, b in zip(times_us[name], times_us[to], strict=True))

    return {
        name: {
            "us": median(times),
            "p90_us": quantiles(times, n=10)[8],
            "x_bare": ratio(name, BARE),
            "x_bare_get": ratio(name, BARE_GET),
        }
        for name, times in times_us.items()
    }


def _parts(parts: list[Part], rounds: int) -> dict[str, float]:
    times_us: dict[str, list[float]] = {part.name: [] for part in parts}
    for number in range(rounds):
        for part in parts:
            began_s = time.perf_counter()
            for place in range(number * CALLS, (number + 1) * CALLS):
                part.do(place)
            times_us[part.name].append((time.perf_counter() - began_s) / CALLS * 1e6)
    return {name: median(times) for name, times in times_us.items()}


def call(route: Route, numbers: range) -> None:
    statuses: list[str] = []
    for number in numbers:
        path, _, query = route.path_of(number).encode().decode("latin-1").partition("?")
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": query,
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
