"""The routes that `bench_answer` times: each an app as a worker makes it, some with more than others."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask

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
from service.telemetry.metrics import Metrics
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
from tests.benchmarks.bare import bare_app
from tests.data.tiny_service import EVERYBODY, ISSUED, Known, known, plain_parts

BARE, BARE_GET = "bare Flask route", "bare Flask route, one Redis GET"
VARIED = 'schema = 1\n[[rules]]\nid = "varied"\nkind = "diversity"\nstrength = 0.5\n'
RULES, OFTEN = Path(__file__).parent / "rules.toml", Path(__file__).parent / "often.toml"
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


@dataclass(frozen=True)
class Running:
    """A plan that doesn't change."""

    current: Plan


def make_routes(
    store: Path, redis_url: str, follower: ChampionFollower, metrics: Metrics, kept: RedisCache, folder: Path
) -> list[Route]:
    """Args:
    kept: where lists lie, except of the routes that read none there, and showings.
    folder: for what would lie beside the record.
    """
    assert follower.current is not None
    paths = _Paths(follower.current.served)
    shop, key, token = shop_with_credentials(paths.customers[0])
    apps = _Apps(store, follower, metrics, kept, folder, shop)
    write = apps.log.write
    rules, varied = parse_rules(RULES.read_text()), parse_rules(VARIED)
    often = parse_rules(f"schema = 1\n{OFTEN.read_text()}")
    all_rules = parse_rules(RULES.read_text() + OFTEN.read_text() + VARIED.partition("\n")[2])
    since = told_of(1, _basket_of_today(follower.current.served))
    running = Running(Plan((one_experiment(),)))
    by_lot = Running(Plan((one_experiment(explore=3, rivals=("popular",)),)))
    plenty = Buckets(1e6, 1e7, 1000, time.monotonic)
    limits = Limits(plenty, plenty, plenty)
    everything: dict[str, Any] = {
        **{"rules": all_rules, "plans": running, "has_offers": True, "limits": limits, "follows": True}
    }

    def bought(_: str) -> Told:
        return since

    def bought_just_now(_: str) -> Told:
        return replace(since)  # so that the list is another one each time

    def in_worker(**more: Any) -> tuple[Flask, Callable[[int], str]]:
        return apps.made(1.0, None, **more), paths.the_same

    def from_map(**more: Any) -> tuple[Flask, Callable[[int], str]]:
        return apps.made(0, None, **more), paths.in_turn

    def from_redis(**more: Any) -> tuple[Flask, Callable[[int], str]]:
        return apps.made(0, kept, **more), paths.in_turn

    return [
        Route(BARE, bare_app(None), paths.in_turn, key),
        Route(BARE_GET, bare_app(redis_url), paths.in_turn, key),
        Route("/recommend, list in the worker", *in_worker(), key),
        Route("- before a key is made", *in_worker(callers=EVERYBODY)),
        Route("- with a limit for each key", *in_worker(limits=limits), key),
        Route("- with a customer's token and all limits", *in_worker(limits=limits), token),
        Route("- events are followed", *in_worker(follows=True), key),
        Route("- with rules", *in_worker(rules=rules), key),
        Route("- with variety", *in_worker(rules=varied), key),
        Route("- with offers", *in_worker(has_offers=True), key),
        Route("- in an experiment", *in_worker(plans=running), key, write),
        Route("- with a place filled by lot", *in_worker(plans=by_lot), key, write),
        Route("- showings counted", *in_worker(rules=often), key),
        Route("- with all of these", *in_worker(**everything), key, write),
        Route("/recommend, list from the map", *from_map(), key),
        Route("- from the map, with rules", *from_map(rules=rules), key),
        Route("- from the map, with variety", *from_map(rules=varied), key),
        Route("- from the map, showings counted", *from_map(rules=often), key),
        Route("- from the map, with all of these", *from_map(**everything), key, write),
        Route("/recommend, list from Redis", *from_redis(), key),
        Route("- from Redis, with rules", *from_redis(rules=rules), key),
        Route("- from Redis, with variety", *from_redis(rules=varied), key),
        Route("- from Redis, with offers", *from_redis(has_offers=True), key),
        Route("- from Redis, in an experiment", *from_redis(plans=running), key, write),
        Route("- from Redis, showings counted", *from_redis(rules=often), key),
        Route("- from Redis, with all of these", *from_redis(**everything), key, write),
        Route("- from Redis, bought since the night", *from_redis(news_of=bought), key),
        Route("- the same, with rules", *from_redis(news_of=bought, rules=rules), key),
        Route("- assembled, bought since the night", *from_map(news_of=bought_just_now), key),
        Route("- assembled, never seen before", apps.made(0, None, news_of=bought), paths.unknown, key),
        Route("/recommend, unknown customer", apps.made(0, None), paths.unknown, key),
        Route("- who looks at three products", apps.made(0, None), paths.looking, key),
    ]


class _Paths:
    """What is asked for by the number of a call."""

    def __init__(self, served: ServedVersion) -> None:
        drawn = np.random.default_rng(0).integers(0, len(served.customers), CUSTOMERS).tolist()
        self.customers = [served.customers[row] for row in drawn]
        self._products, self._n_products = served.products, len(served.products)

    def in_turn(self, number: int) -> str:
        return f"/recommend/{self.customers[number % CUSTOMERS]}"

    def the_same(self, _: int) -> str:
        return f"/recommend/{self.customers[0]}"

    def unknown(self, number: int) -> str:
        return f"/recommend/unknown-{number}"

    def looking(self, number: int) -> str:
        viewed = (self._products[(3 * number + more) % self._n_products] for more in range(3))
        return f"{self.unknown(number)}?viewed={','.join(viewed)}"


class _Apps:
    """Makes apps of one store, whose exposures go to one log.

    Args:
        kept, folder: as of `make_routes`.
        shop: who may call, where nothing else is said.
    Attributes:
        log: of exposures, written between the rounds: by another thread in a worker.
    """

    def __init__(
        self,
        store: Path,
        follower: ChampionFollower,
        metrics: Metrics,
        kept: RedisCache,
        folder: Path,
        shop: Known,
    ) -> None:
        self._settings, self._events = Settings(store=store), EventCounters(metrics.registry)
        self._follower, self._metrics, self._kept, self._shop = follower, metrics, kept, shop
        self._numbers = count()
        of_record = Settings(store=folder / "record")
        of_record.store.mkdir()
        prepare_now(of_record)
        record, tally = RecordDoor(of_record, self._events), Tally(folder / "tally")
        self.log = ExposureLog(record, Spool(folder, ""), metrics, default=True, tally=tally)

    def made(
        self,
        first_level_life_s: float,
        cache: ListCache | None,
        *,
        callers: Known | None = None,
        limits: Limits | None = None,
        rules: Rules = NO_RULES,
        news_of: Callable[[str], Told | None] = nothing_new,
        plans: Running | None = None,
        has_offers: bool = False,
        follows: bool = False,
    ) -> Flask:
        book, customers = RuleBook(rules), _customers(next(self._numbers))
        news_of = customers.of if follows else news_of
        showings = Showings(customers, self._kept)
        offers = (OfferDesk if has_offers else _NoOffers)(news_of, book, showings=showings)

        def new_recommender() -> Recommender:
            first_level = FirstLevel(2000, first_level_life_s)
            return Recommender(first_level, cache, news_of, book=book, showings=showings)

        recommender, trials = new_recommender(), None
        if plans:
            take, with_products = self.log.take, offers.with_products
            trials = Trials(plans, customers, recommender, new_recommender, take, with_products)
        made = create_app(
            plain_parts(
                self._settings,
                self._follower,
                recommender,
                self._metrics,
                self._events,
                RecordDoor(self._settings, self._events),  # that no route here goes through
                redis_state=lambda: "up",
                gate=Gate(callers or self._shop, limits or Limits(), (), self._metrics),
                offers=offers,
                trials=trials,
            )
        )
        made.wsgi_app = Shedding(made.wsgi_app, self._metrics, lambda: 0)  # type: ignore[method-assign]
        return made


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
