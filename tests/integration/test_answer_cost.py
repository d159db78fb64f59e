"""What an answer costs beside a bare Flask route, with a real Redis: no change may make it dear unseen.

The whole is measured by `make bench`. Here others work on the machine meanwhile, other tests for a start: so
the interpreter's instructions are counted, which are nearly the same each time, and of times the least of
many rounds counts, of the processor for the thread that answers. To wait for Redis takes as long in both
routes and isn't in it: with it the ratios would be smaller.
"""

import sys
import time
from collections.abc import Iterator
from statistics import median
from threading import get_ident
from types import CodeType

import pytest

from service.cache.redis_cache import RedisCache
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower
from storage.versions.store import Store
from tests.benchmarks.answer_routes import BARE, BARE_GET, Route, make_routes
from tests.benchmarks.bench_answer import call
from tests.benchmarks.big_shop import Size, write
from tests.data.redis_server import redis_server

WORKER, REDIS = "/recommend, list in the worker", "/recommend, list from Redis"
MORE = ("with rules", "with variety", "with offers", "in an experiment", "showings counted")
WORKER_ALL, REDIS_ALL = "- with all of these", "- from Redis, with all of these"
ROUNDS, CALLS, ATTEMPTS = 60, 20, 3


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Route]]:
    root = tmp_path_factory.mktemp("store")
    write(root, Size(customers=300, products=1000, candidates=60, offers=20))
    metrics = Metrics(None)
    follower = ChampionFollower(Store(root), metrics, poll_s=1)
    follower.look()
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        cache = RedisCache(server.url, timeout_ms=1000, ttl_s=600, counters=metrics)
        made = {route.name: route for route in make_routes(root, server.url, follower, metrics, cache, root)}
        for route in made.values():
            call(route, range(CALLS))
        cache.flush()
        yield made


def instructions(route: Route) -> int:
    """Instructions of the interpreter in a hundred answers, in the thread that answers."""
    counted, monitoring, answering = 0, sys.monitoring, get_ident()

    def count(_code: CodeType, _offset: int) -> None:
        nonlocal counted
        counted += get_ident() == answering

    call(route, range(100))
    monitoring.use_tool_id(monitoring.PROFILER_ID, "instructions")
    try:
        monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION, count)
        monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION)
        call(route, range(100))
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.NO_EVENTS)
        monitoring.free_tool_id(monitoring.PROFILER_ID)
    return counted


def median_ratio(route: Route, bare: Route) -> float:
    """What some answers take of what the same number of a bare route's do right before or after; the median
    over the rounds. Where others work on the machine, both have what that costs."""
    ratios = []
    for number in range(ROUNDS):
        took_s = {}
        for each in (route, bare) if number % 2 else (bare, route):
            began_s = time.thread_time()
            call(each, range(CALLS))
            took_s[each.name] = time.thread_time() - began_s
            each.afterwards()
        ratios.append(took_s[route.name] / took_s[bare.name])
    return median(ratios)


def least_s(routes: list[Route]) -> list[float]:
    """The least time of some answers of each route, in rounds over all of them."""
    found = [float("inf")] * len(routes)
    for _ in range(ROUNDS):
        for place, route in enumerate(routes):
            began_s = time.thread_time()
            call(route, range(CALLS))
            found[place] = min(found[place], time.thread_time() - began_s)
            route.afterwards()
    return found


@pytest.mark.parametrize(
    ("name", "bare", "most"),
    [
        (WORKER, BARE, 0.4),  # measured: 0.37
        (REDIS, BARE_GET, 0.9),  # 0.83
        (WORKER_ALL, BARE, 1.15),  # 0.95 to 1.04
        # 1.87, and about .08 more where Redis is asked for showings each time. Of time it is less
        (REDIS_ALL, BARE_GET, 2.0),
    ],
)
def test_an_answer_makes_few_steps_more_than_a_bare_route(
    routes: dict[str, Route], name: str, bare: str, most: float
) -> None:
    ratio = instructions(routes[name]) / instructions(routes[bare])
    print(f"{name}: {ratio:.2f} x {bare}")  # seen with pytest -s
    assert ratio <= most


@pytest.mark.parametrize(
    ("name", "bare", "most"),
    [
        (WORKER, BARE, 2.0),
        (REDIS, BARE_GET, 1.5),
        *((f"- {more}", BARE, 2.0) for more in MORE),
        *((f"- from Redis, {more}", BARE_GET, 1.5) for more in MORE),
        (WORKER_ALL, BARE, 2.0),
    ],
)
def test_an_answer_takes_little_longer_than_a_bare_route(
    routes: dict[str, Route], name: str, bare: str, most: float
) -> None:
    ratios = []
    for _ in range(ATTEMPTS):
        ours_s, bare_s = least_s([routes[name], routes[bare]])
        ratios.append(ours_s / bare_s)
        print(f"{name}: {ratios[-1]:.2f} x {bare}")  # seen with pytest -s
        if ratios[-1] <= most:
            return
    raise AssertionError(f"{name} takes {ratios} times as long as a {bare}")


def test_an_answer_from_redis_with_everything_on_takes_little_longer_in_pairs(
    routes: dict[str, Route],
) -> None:
    # is to stay below 1.5 on cores that nobody else uses: 1.40 to 1.57 were seen where others worked
    ratios = []
    while len(ratios) < 2 * ATTEMPTS and (not ratios or ratios[-1] > 1.8):
        if ratios:
            time.sleep(2)  # others on this machine have their turns
        ratios.append(median_ratio(routes[REDIS_ALL], routes[BARE_GET]))
        print(f"{REDIS_ALL}: {ratios[-1]:.2f} x {BARE_GET}")
    assert ratios[-1] <= 1.8, ratios


def test_what_was_measured_came_from_where_it_should(routes: dict[str, Route]) -> None:
    text = routes["- before a key is made"].app.test_client().get("/metrics").text
    for level in ("worker", "redis", "map", "popular"):
        assert f'nextbest_recommendations_total{{level="{level}",placement=""}} 0.0' not in text
        assert f'nextbest_recommendations_total{{level="{level}",placement=""}}' in text
    assert 'nextbest_cache_total{outcome="error"}' not in text
