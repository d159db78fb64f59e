"""What an answer costs in process (a WSGI call, no network), beside a bare Flask route in the same run.

    python -m tests.benchmarks.bench_answer --store DIR

Every round times each route, in an order drawn anew, so that a busy machine slows all of them alike: in a
fixed order it takes the processor away from the same route each time. Ten calls are over before that. The
table has the median over the rounds, and ratios are medians of the ratios within a round. It is a part of
`bench_speed` too.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

import numpy as np
import structlog
from flask import Flask
from threadpoolctl import threadpool_limits

from experiments.assignment import Arm, Entry, Plan
from service.access.gate import Gate, Limits
from service.access.limits import Buckets
from service.access.new_keys import Labels, new_api_key, new_token_key
from service.access.routes import Scope
from service.access.tokens import mint, private_key
from service.answering.first_level import FirstLevel
from service.answering.own_list import WithOffers
from service.answering.showings import Showings
from service.app import create_app
from service.cache.redis_cache import RedisCache
from service.events.counters import EventCounters
from service.live.customers import LiveCustomers
from service.live.told import Told, told_of
from service.offers.desk import NO_OFFERS, OfferDesk
from service.recommender import ListCache, Recommender, nothing_new
from service.record import RecordDoor, prepare_now
from service.rules.book import RuleBook
from service.rules.reading import NO_RULES, Rules, parse_rules
from service.settings import Settings
from service.telemetry.metrics import Metrics, count_in_folder
from service.trials.desk import Trials
from service.trials.exposures import ExposureLog
from service.trials.spool import Spool
from service.trials.tally import Tally
from service.versions.champion import ChampionFollower
from service.versions.served import ServedVersion
from service.web.overload import Shedding
from storage.keyring import Keyring
from storage.record.changes import Tombstone
from storage.record.live import Trade
from storage.versions.store import Store
from tests.benchmarks.answer_parts import Part, parts_of
from tests.benchmarks.bare import TTL_S, bare_app
from tests.benchmarks.load_servers import own_redis
from tests.data.tiny_service import EVERYBODY, ISSUED, Known, known, plain_parts

BARE, BARE_GET = "bare Flask route", "bare Flask route, one Redis GET"
VARIED = 'schema = 1\n[[rules]]\nid = "varied"\nkind = "diversity"\nstrength = 0.5\n'
RULES, OFTEN = Path(__file__).parent / "rules.toml", Path(__file__).parent / "often.toml"
ROUNDS, CALLS = 1000, 10  # calls of each route in a round
CUSTOMERS = 2000  # that are asked for in turn: too many for the processor's caches, as in a shop


@dataclass
class Route:
    """One line of the table: an app and the path that each call asks it for."""

    name: str
    app: Flask
    path_of: Callable[[int], str]
    headers: dict[str, str] = field(default_factory=dict)
    afterwards: Callable[[], None] = lambda: None
    """What other threads do in a worker meanwhile: not a part of the answer, and not timed."""


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


def make_routes(
    store: Path, redis_url: str, follower: ChampionFollower, metrics: Metrics, kept: RedisCache, folder: Path
) -> list[Route]:
    """Args:
    kept: where lists lie, except of the routes that read none there, and showings.
    folder: for what would lie beside the record.
    """
    assert follower.current is not None
    ids = follower.current.served.customers
    drawn = np.random.default_rng(0).integers(0, len(ids), CUSTOMERS).tolist()
    customers = [ids[row] for row in drawn]
    shop, key, token = shop_with_credentials(customers[0])
    settings, events = Settings(store=store), EventCounters(metrics.registry)
    of_record = Settings(store=folder / "record")
    of_record.store.mkdir()
    prepare_now(of_record)
    record = RecordDoor(of_record, events)  # written between the rounds: by another thread in a worker
    log = ExposureLog(*(record, Spool(folder, ""), metrics), default=True, tally=Tally(folder / "tally"))

    def one_after_another(number: int) -> str:
        return f"/recommend/{customers[number % CUSTOMERS]}"

    def the_same(_: int) -> str:
        return f"/recommend/{customers[0]}"

    def unknown(number: int) -> str:
        return f"/recommend/unknown-{number}"

    def app(
        first_level_life_s: float,
        cache: ListCache | None,
        callers: Known = shop,
        limits: Limits | None = None,
        rules: Rules = NO_RULES,
        news_of: Callable[[str], Told | None] = nothing_new,
        plans: Running | None = None,
        has_offers: bool = False,
        follows: bool = False,
    ) -> Flask:
        door = RecordDoor(settings, events)  # that no route here goes through
        book = RuleBook(rules)
        customers = _customers(next(numbers))
        news_of = customers.of if follows else news_of
        showings = Showings(customers, kept)
        offers = (OfferDesk if has_offers else _NoOffers)(news_of, book, showings=showings)

        def new_recommender() -> Recommender:
            return Recommender(
                FirstLevel(2000, first_level_life_s), cache, news_of, book=book, showings=showings
            )

        recommender = new_recommender()
        trials = None
        if plans:
            trials = Trials(plans, customers, recommender, new_recommender, log.take, offers.with_products)
        gate = Gate(callers, limits or Limits(), (), metrics)
        others = {"redis_state": lambda: "up", "gate": gate, "offers": offers, "trials": trials}
        made = create_app(plain_parts(settings, follower, recommender, metrics, events, door, **others))
        made.wsgi_app = Shedding(made.wsgi_app, metrics, lambda: 0)  # type: ignore[method-assign]
        return made

    rules = parse_rules(RULES.read_text())
    varied, often = parse_rules(VARIED), parse_rules(f"schema = 1\n{OFTEN.read_text()}")
    all_rules = parse_rules(RULES.read_text() + OFTEN.read_text() + VARIED.partition("\n")[2])
    numbers = count()
    since = told_of(1, _basket_of_today(follower.current.served))

    def bought(_: str) -> Told:
        return since

    def bought_just_now(_: str) -> Told:
        return replace(since)  # so that the list is another one each time

    running = Running(Plan((one_experiment(),)))
    by_lot = Running(Plan((one_experiment(explore=3, rivals=("popular",)),)))
    plenty = Buckets(1e6, 1e7, 1000, time.monotonic)
    limits = Limits(plenty, plenty, plenty)
    everything: dict[str, Any] = {
        **{"rules": all_rules, "plans": running, "has_offers": True, "limits": limits, "follows": True}
    }

    def in_worker(**more: Any) -> tuple[Flask, Callable[[int], str]]:
        return app(1.0, None, **more), the_same

    def from_map(**more: Any) -> tuple[Flask, Callable[[int], str]]:
        return app(0, None, **more), one_after_another

    def from_redis(**more: Any) -> tuple[Flask, Callable[[int], str]]:
        return app(0, kept, **more), one_after_another

    return [
        Route(BARE, bare_app(None), one_after_another, key),
        Route(BARE_GET, bare_app(redis_url), one_after_another, key),
        Route("/recommend, list in the worker", *in_worker(), key),
        Route("- before a key is made", *in_worker(callers=EVERYBODY)),
        Route("- with a limit for each key", *in_worker(limits=limits), key),
        Route("- with a customer's token and all limits", *in_worker(limits=limits), token),
        Route("- events are followed", *in_worker(follows=True), key),
        Route("- with rules", *in_worker(rules=rules), key),
        Route("- with variety", *in_worker(rules=varied), key),
        Route("- with offers", *in_worker(has_offers=True), key),
        Route("- in an experiment", *in_worker(plans=running), key, log.write),
        Route("- with a place filled by lot", *in_worker(plans=by_lot), key, log.write),
        Route("- showings counted", *in_worker(rules=often), key),
        Route("- with all of these", *in_worker(**everything), key, log.write),
        Route("/recommend, list from the map", *from_map(), key),
        Route("- from the map, with rules", *from_map(rules=rules), key),
        Route("- from the map, with variety", *from_map(rules=varied), key),
        Route("- from the map, showings counted", *from_map(rules=often), key),
        Route("- from the map, with all of these", *from_map(**everything), key, log.write),
        Route("/recommend, list from Redis", *from_redis(), key),
        Route("- from Redis, with rules", *from_redis(rules=rules), key),
        Route("- from Redis, with variety", *from_redis(rules=varied), key),
        Route("- from Redis, with offers", *from_redis(has_offers=True), key),
        Route("- from Redis, in an experiment", *from_redis(plans=running), key, log.write),
        Route("- from Redis, showings counted", *from_redis(rules=often), key),
        Route("- from Redis, with all of these", *from_redis(**everything), key, log.write),
        Route("- from Redis, bought since the night", *from_redis(news_of=bought), key),
        Route("- the same, with rules", *from_redis(news_of=bought, rules=rules), key),
        Route("- assembled, bought since the night", *from_map(news_of=bought_just_now), key),
        Route("- assembled, never seen before", app(0, None, news_of=bought), unknown, key),
        Route("/recommend, unknown customer", app(0, None), unknown, key),
    ]


def _customers(number: int) -> LiveCustomers:
    """Nothing is new of any; what is counted of them is theirs by this number alone."""
    customers = LiveCustomers(most=1, clock=lambda: 0.0)
    customers.heard()
    customers.erase(
        [Tombstone(1, b"somebody", 1)], lambda one: blake2b(one.encode(), key=b"%d" % number).digest()
    )
    return customers


class _NoOffers(OfferDesk):
    """Of a shop that has none."""

    def with_products(self, *_: object) -> WithOffers:
        return NO_OFFERS


@dataclass(frozen=True)
class Running:
    """A plan that doesn't change."""

    current: Plan


def one_experiment(**policy: Any) -> Entry:
    """An experiment of all customers, whose arms both get the champion, by a policy."""
    arms = (Arm("control", 0.5, **policy), Arm("same", 0.5, **policy))
    return Entry("bench", 1, "0" * 16, "recommend", 0.0, 1.0, arms)


def _basket_of_today(served: ServedVersion) -> list[Trade]:
    """Ten products of one order."""
    now_ms = int(time.time() * 1000)
    return [Trade(served.products[row], False, now_ms, "today", 1.0) for row in served.popular[:10].tolist()]


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
