"""What one worker process is made of: each makes its own app, with all that the app works with."""

import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from multiprocessing.util import Finalize
from pathlib import Path

from flask import Flask
from threadpoolctl import threadpool_limits

from models.arrays import DAY_S
from service.access.start import start_gate
from service.answering.first_level import FirstLevel
from service.answering.showings import Showings
from service.app import Parts, create_app
from service.cache.redis_cache import RedisCache
from service.events.counters import EventCounters
from service.events.desk import EventDesk
from service.live.changes import ChangesFollower
from service.live.customers import LiveCustomers
from service.live.follower import LiveFollower
from service.live.products import LiveProducts
from service.live.reader import LiveReader
from service.offers.desk import OfferDesk
from service.offers.promises import Promises
from service.processes.background import every, now_and_every
from service.processes.die_with_parent import die_with_parent, watch_parent
from service.processes.private_folder import keep_young
from service.processes.stops import Stops
from service.processes.workers import listen_with
from service.recommender import Recommender
from service.record import RecordCounters, RecordDoor
from service.routes.customer_desk import CustomerDesk
from service.routes.operator_app import create_operator_app
from service.routes.products import ProductDesk
from service.rules.book import RuleBook
from service.rules.desk import RulesDesk
from service.rules.kept import KeptRules
from service.rules.lacks import LacksTeller
from service.rules.watch import RulesFileFollower
from service.settings import Settings
from service.telemetry.logs import configure_logs, write_as_json
from service.telemetry.metrics import Metrics, count_in_folder
from service.trials.desk import Trials
from service.trials.exposures import ExposureLog
from service.trials.plan import PlanFollower
from service.trials.spool import Spool, hold, left_over
from service.trials.tally import killed, tally_at
from service.versions.champion import ChampionFollower
from service.versions.opened import StoreChampion, store_of
from service.versions.warm_up import warm_up
from service.web.overload import AcceptQueue, Shedding
from service.web.slow_bodies import NAME, SlowBodies
from storage.files.shop_files import shop_files
from storage.record.budgets import Budget
from storage.record.consent import PRESETS
from storage.record.live import Since
from storage.record.record import FILE as RECORD_FILE

TOUCH_S = 3600.0


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What the parent tells its workers; it can be pickled."""

    settings: Settings
    parent_pid: int
    redis_url: str | None
    metrics_folder: Path
    log_key: bytes
    is_open: bool


def worker_app(plan: WorkerPlan) -> Flask:
    """The app of one worker, made in the worker's own process."""
    metrics = _begin(plan)
    settings = plan.settings
    live, book = LiveProducts(), RuleBook()
    follower = ChampionFollower(store_of(settings), metrics, settings.poll_s, live)
    cache = None
    if plan.redis_url:
        cache = RedisCache(
            plan.redis_url, timeout_ms=settings.redis_timeout_ms, ttl_s=settings.list_ttl_s, counters=metrics
        )
    events = EventCounters(metrics.registry)
    door = RecordDoor(settings, events)
    door.connect_soon()
    changes = _follow_rules_and_products(plan, events, live, book)
    customers, news = _follow_customers(settings, events, follower, changes.look)
    only_changed = settings.redis_lists == "changed"
    showings = Showings(customers, cache, metrics)

    offers = _offer_desk(settings, events, metrics, follower, customers, book, showings)

    def new_recommender() -> Recommender:
        return Recommender(
            FirstLevel(settings.first_level_lists, settings.first_level_life_s),
            cache,
            customers.of,
            only_changed=only_changed,
            book=book,
            showings=showings,
            costs_of=offers.costs,
        )

    recommender = new_recommender()
    leave_to_themselves()
    follower.start(partial(warm_up, recommender))
    LacksTeller(book, follower.served, metrics.rules_lacking).start(settings.poll_s)
    news.start()
    if offers.promises is not None:
        offers.promises.start()
        Finalize(None, offers.promises.end_soon, exitpriority=2)  # before exposures, which may last
    app = create_app(
        Parts(
            settings=settings,
            follower=follower,
            recommender=recommender,
            metrics=metrics,
            redis_state=lambda: cache.state if cache else "none",
            gate=start_gate(settings, metrics, is_open=plan.is_open),
            desk=EventDesk(
                settings, door, events, follower.knows_product, follower.knows_offer, news.catch_up
            ),
            products=ProductDesk(door, live, follower.has_product),
            customers=_customer_desk(settings, door, follower, customers, news, cache),
            offers=offers,
            log_key=plan.log_key,
            trials=_trials(plan, events, metrics, customers, recommender, new_recommender, offers),
        )
    )
    _end_slow_bodies(app, settings.port, settings)
    if settings.traces:
        write_as_json("opentelemetry")
        tracing = import_module("service.telemetry.tracing")
        app.wsgi_app = tracing.Traced(app.wsgi_app, tracing.new_provider())  # type: ignore[method-assign]
    app.wsgi_app = Shedding(  # type: ignore[method-assign]
        app.wsgi_app, metrics, AcceptQueue(settings.port), origins=frozenset(settings.origins)
    )
    return app


def _offer_desk(
    settings: Settings,
    counters: RecordCounters,
    metrics: Metrics,
    champion: ChampionFollower,
    customers: LiveCustomers,
    book: RuleBook,
    showings: Showings,
) -> OfferDesk:
    """Who answers with offers, and promises them."""
    desk = OfferDesk(customers.of, book, showings=showings)

    def budgets() -> list[Budget]:
        return desk.book_of(champion.current.served).budgets if champion.current else []

    worker = f"{socket.gethostname()}-{os.getpid()}"
    life_s = settings.promise_days * DAY_S
    door = RecordDoor(settings, counters)
    stores = PRESETS[settings.consent_default].store
    desk.promises = Promises(
        *(door, budgets, worker),
        life_s=life_s,
        stores_by_default=stores,
        erased=customers.erased,
        counters=metrics,
    )
    return desk


def _trials(
    plan: WorkerPlan,
    counters: RecordCounters,
    metrics: Metrics,
    customers: LiveCustomers,
    recommender: Recommender,
    new_recommender: Callable[[], Recommender],
    offers: OfferDesk,
) -> Trials:
    """Who answers customers in experiments, and keeps what they were shown."""
    settings, name = plan.settings, f"{socket.gethostname()}-{os.getpid()}"
    plans = PlanFollower(RecordDoor(settings, counters))
    folder = settings.store / RECORD_FILE.parent
    with suppress(OSError):  # it is said where something can't be kept there
        name = hold(folder, name)
    spool = Spool(folder, name)
    spool.take_over(left_over(folder))
    counts = folder / f"exposures-{name}.count"
    gone = list(killed([counts, *left_over(folder, "count")]))  # in a container process ids come again
    default = PRESETS[settings.consent_default].experiment
    door = RecordDoor(settings, counters)
    log_of_exposures = ExposureLog(door, spool, metrics, default=default, tally=tally_at(counts))
    log_of_exposures.note_killed(gone)
    plans.start()
    log_of_exposures.start()
    Finalize(None, log_of_exposures.write_waiting, exitpriority=1)
    return Trials(
        *(plans, customers, recommender, new_recommender),
        shown=log_of_exposures.take,
        offers=offers.with_products,
        held_out=metrics.held_out,
    )


def _follow_rules_and_products(
    plan: WorkerPlan, counters: RecordCounters, live: LiveProducts, book: RuleBook
) -> ChangesFollower:
    """Begin with what is known of rules and products; and who takes in what changes of it in the record."""
    settings, kept = plan.settings, _kept_rules(plan)
    if settings.rules:
        RulesFileFollower(settings.rules, book, kept, settings.poll_s).start()
    of_record = None if settings.rules else book
    door = RecordDoor(settings, counters)  # of its own: events don't wait for it
    changes = ChangesFollower(door, live, of_record, kept)
    changes.start()
    every(settings.poll_s, kept.stay, "keeping rules")
    return changes


def _follow_customers(
    settings: Settings, counters: RecordCounters, champion: ChampionFollower, of_shop: Callable[[], None]
) -> tuple[LiveCustomers, LiveFollower]:
    """What is new of customers, and who keeps it up to date once it is started."""
    customers = LiveCustomers(PRESETS[settings.consent_default], most=settings.live_customers)
    door = RecordDoor(settings, counters)  # of its own: events don't wait for it

    def since() -> Since | None:
        serving = champion.current
        return serving.served.since if serving else None

    reader = LiveReader(door, customers, since)
    wait_s = settings.record_timeout_ms / 1000
    return customers, LiveFollower(reader, poll_s=settings.changes_poll_s, wait_s=wait_s, of_shop=of_shop)


def _customer_desk(
    settings: Settings,
    door: RecordDoor,
    champion: ChampionFollower,
    customers: LiveCustomers,
    news: LiveFollower,
    cache: RedisCache | None,
) -> CustomerDesk:
    """Who takes consents and erasures."""

    def forget(customer_id: str) -> None:
        version, told = champion.served(), customers.of(customer_id)
        if cache is not None and version is not None:
            epoch, name = told.epoch if told else 0, customers.showings_name(customer_id)
            cache.forget(version.version_id, version.variant, customer_id, epoch, name)

    return CustomerDesk(
        door,
        default=PRESETS[settings.consent_default],
        told=news.catch_up,
        live=customers,
        served=champion.served,
        forget=forget,
        files=lambda: shop_files(settings.store, now=datetime.now(UTC)),
    )


def _kept_rules(plan: WorkerPlan) -> KeptRules:
    return KeptRules(plan.metrics_folder.parent / "rules.json")


def leave_to_themselves() -> None:
    """Take what is there now, modules above all, out of the garbage collector's sight.

    It would look through 80,000 objects now and then, and an answer would wait 30 ms for it. What it looks at
    it marks, too: a worker is a fork of its parent, and gets a copy of its own of each page that is marked.
    Not later: a version that is no longer used has to be found.
    """
    gc.collect()
    gc.freeze()


def operator_app(plan: WorkerPlan) -> Flask:
    """The app of the operator's listener, made in its own worker process."""
    metrics = _begin(plan)
    settings = plan.settings
    gate = start_gate(settings, metrics, is_open=plan.is_open, is_operators=True)
    door = RecordDoor(settings, EventCounters(metrics.registry))
    default = PRESETS[settings.consent_default]
    champion = StoreChampion(store_of(settings))
    desk = RulesDesk(door, settings.rules, champion, _kept_rules(plan), default=default)
    app = create_operator_app(settings, metrics, gate, desk, plan.log_key)
    if settings.operator_port is not None:
        _end_slow_bodies(app, settings.operator_port, settings)
    return app


def _end_slow_bodies(app: Flask, port: int, settings: Settings) -> None:
    """End connections to a port whose bodies don't come, from now on."""
    slow_bodies = app.extensions[NAME] = SlowBodies(port, settings.idle_timeout_s)
    slow_bodies.start()


def _begin(plan: WorkerPlan) -> Metrics:
    """What every worker process does first."""
    listen_with(Stops(is_child=True))
    die_with_parent(plan.parent_pid, signal.SIGTERM)
    watch_parent(plan.parent_pid, plan.settings.stop_timeout_s)
    for name in [name for name in os.environ if name.startswith("HTTP_")]:
        del os.environ[name]  # the server shows the environment to WSGI, where this would be a header
    configure_logs(plan.settings.log_level)
    threadpool_limits(1, "blas")  # its threads would wait for each other on a busy machine
    count_in_folder(plan.metrics_folder)
    now_and_every(TOUCH_S, partial(keep_young, plan.metrics_folder.parent), "keeping temporary files")
    metrics = Metrics(plan.metrics_folder)
    Finalize(None, metrics.write, exitpriority=0)  # a worker's process runs no atexit
    return metrics
