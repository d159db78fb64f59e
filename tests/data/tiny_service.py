"""The service's app over a store, in this process: for tests that need no server."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask import Flask

from service.access.callers import Callers
from service.access.gate import Gate, Limits
from service.access.tokens import Issued
from service.answering.first_level import FirstLevel
from service.app import Parts, create_app
from service.events.counters import EventCounters
from service.events.desk import EventDesk
from service.live.customers import LiveCustomers
from service.live.products import LiveProducts
from service.offers.desk import OfferDesk
from service.recommender import ListCache, Recommender, nothing_new
from service.record import RecordDoor
from service.routes.customer_desk import CustomerDesk
from service.routes.operator_app import create_operator_app
from service.routes.products import ProductDesk
from service.rules.book import RuleBook
from service.rules.desk import RulesDesk
from service.rules.kept import KeptRules
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower
from service.versions.opened import StoreChampion
from service.versions.served import ServedVersion
from storage.keyring import Keyring
from storage.record.consent import PRESETS
from storage.versions.store import Store
from tests.data.tiny_version import AS_OF, VARIANT, TinyShop, write_version

PATIENT_MS = 5000  # other tests keep the machine busy


def tiny_served(root: Path, shop: TinyShop | None = None) -> ServedVersion:
    """The version of a tiny shop, written to a store and opened as the day does."""
    store = Store(root)
    return ServedVersion(store.open(write_version(store, shop or TinyShop(), now=AS_OF)), VARIANT)


class DictCache:
    """A cache for tests of what is around it."""

    def __init__(self) -> None:
        self.lists: dict[tuple[str, str, str, int], bytes] = {}

    def ask(
        self, version_id: str, variant: str, customer_id: str, epoch: int, name: str | None
    ) -> Callable[[], tuple[bytes | None, bool, bytes | None]]:
        return lambda: (self.lists.get((version_id, variant, customer_id, epoch)), False, None)

    def put(self, version_id: str, variant: str, customer_id: str, value: bytes, epoch: int) -> None:
        self.lists[version_id, variant, customer_id, epoch] = value


@dataclass
class Known:
    """Callers that don't change."""

    current: Callers


ISSUED = Issued("shop", "nextbest")
EVERYBODY = Known(Callers(Keyring(), ISSUED, is_open=True))


def known(keyring: Keyring) -> Known:
    """Those who have a key of this keyring, and nobody else."""
    return Known(Callers(keyring, ISSUED, is_open=False))


def plain_parts(
    settings: Settings,
    follower: ChampionFollower,
    recommender: Recommender,
    metrics: Metrics,
    events: EventCounters,
    door: RecordDoor,
    **others: Any,
) -> Parts:
    """What an app works with where everybody may ask, nobody bought since the night and no rules hold.

    Args:
        others: other parts, by the names of Parts.
    """
    plain = Parts(
        settings=settings,
        follower=follower,
        recommender=recommender,
        metrics=metrics,
        redis_state=lambda: "none",
        gate=Gate(EVERYBODY, Limits(), (), metrics),
        desk=EventDesk(settings, door, events, follower.knows_product, follower.knows_offer),
        products=ProductDesk(door, LiveProducts(), follower.has_product),
        customers=CustomerDesk(door, default=PRESETS["all"], live=LiveCustomers(most=100)),
        offers=OfferDesk(nothing_new, RuleBook()),
        log_key=b"key",
    )
    return replace(plain, **others)


def tiny_app(
    store: Path,
    cache: ListCache | None = None,
    *,
    first_level_life_s: float = 0,
    slow_ms: int = 10_000,
    callers: Known = EVERYBODY,
    limits: Limits | None = None,
    origins: tuple[str, ...] = (),
    book: RuleBook | None = None,
    live: LiveProducts | None = None,
) -> Flask:
    """An app that took the store's champion and doesn't follow it."""
    metrics, live = Metrics(None), live or LiveProducts()
    follower = ChampionFollower(Store(store), metrics, 1, live)
    follower.look()
    recommender = Recommender(FirstLevel(10, first_level_life_s), cache, book=book)
    settings = Settings(store=store, slow_ms=slow_ms, origins=origins, record_timeout_ms=PATIENT_MS)
    events = EventCounters(metrics.registry)
    door = RecordDoor(settings, events)
    return create_app(
        plain_parts(
            settings,
            follower,
            recommender,
            metrics,
            events,
            door,
            gate=Gate(callers, limits or Limits(), (), metrics, origins=origins),
            products=ProductDesk(door, live, follower.has_product),
            offers=OfferDesk(nothing_new, book or RuleBook()),
        )
    )


def tiny_operator_app(store: Path, callers: Known, rules: Path | None = None) -> Flask:
    """The app of the operator's listener."""
    metrics, settings = Metrics(None), Settings(store=store, rules=rules, record_timeout_ms=PATIENT_MS)
    gate = Gate(callers, Limits(), (), metrics, is_operators=True)
    door = RecordDoor(settings, EventCounters(metrics.registry))
    desk = RulesDesk(door, rules, StoreChampion(Store(store)), KeptRules(store / "rules.json"))
    return create_operator_app(settings, metrics, gate, desk, b"key")


def get(app: Flask, url: str) -> Any:
    """The JSON of a 200 answer."""
    response = app.test_client().get(url)
    assert response.status_code == 200, response.text
    return json.loads(response.data)
