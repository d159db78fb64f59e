"""From the command to running workers: the parent keeps Redis and the workers, each worker makes its app."""

import os
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import structlog
from flask import Flask
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from models.errors import NextbestError
from service.app import Parts, create_app
from service.cache.redis_cache import RedisCache
from service.cache.server import RedisKeeper, find_redis_server, private_folder
from service.champion import ChampionFollower
from service.die_with_parent import die_with_parent
from service.logs import configure_logs, server_log_config
from service.metrics import Metrics, count_in_folder
from service.recommender import FirstLevel, Recommender
from service.settings import Settings
from storage.store import CHAMPION, Store

MAX_HEAD_BYTES = 128 * 1024  # a URL at its limits has 51 KB; the rest is for cookies
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What the parent tells its workers; it can be pickled."""

    settings: Settings
    parent_pid: int
    redis_url: str | None
    metrics_folder: Path
    log_key: bytes


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let requests in flight finish.

    Raises:
        NextbestError: the address can't be used.
    """
    configure_logs(settings.log_level)
    _check_address(settings)
    folder = private_folder(settings.store)
    metrics_folder = folder / f"metrics-{os.getpid()}"
    shutil.rmtree(metrics_folder, ignore_errors=True)
    metrics_folder.mkdir()
    _remove_left_over(folder)
    try:
        with _redis(settings, folder) as redis_url:
            plan = WorkerPlan(settings, os.getpid(), redis_url, metrics_folder, secrets.token_bytes(16))
            log.info(
                "service starts", store=str(settings.store), workers=settings.workers, port=settings.port
            )
            _warn_of_no_champion(settings.store)
            _server(settings).serve(target_loader=partial(worker_app, plan), wrap_loader=False)
    finally:
        shutil.rmtree(metrics_folder, ignore_errors=True)
        log.info("service stopped")


def worker_app(plan: WorkerPlan) -> Flask:
    """The app of one worker, made in the worker's own process."""
    die_with_parent(plan.parent_pid, signal.SIGTERM)
    settings = plan.settings
    configure_logs(settings.log_level)
    count_in_folder(plan.metrics_folder)
    metrics = Metrics(plan.metrics_folder)
    follower = ChampionFollower(Store(settings.store), metrics, settings.poll_s)
    cache = None
    if plan.redis_url:
        cache = RedisCache(
            plan.redis_url, timeout_ms=settings.redis_timeout_ms, ttl_s=settings.list_ttl_s, counters=metrics
        )
    first_level = FirstLevel(settings.first_level_lists, settings.first_level_life_s)
    follower.start()
    return create_app(
        Parts(
            settings=settings,
            follower=follower,
            recommender=Recommender(first_level, cache),
            metrics=metrics,
            redis_state=lambda: cache.state if cache else "none",
            log_key=plan.log_key,
        )
    )


@contextmanager
def _redis(settings: Settings, folder: Path) -> Iterator[str | None]:
    """The URL of the Redis to use: the shop's own, or one that lives as long as this block."""
    if settings.redis_url:
        yield settings.redis_url.get_secret_value()
        return
    binary = find_redis_server()
    if binary is None:
        log.error("no redis-server found, lists are not cached: install one or set NEXTBEST_REDIS_URL")
        yield None
        return
    keeper = RedisKeeper(binary, folder, settings.redis_memory_mb)
    keeper.start()
    try:
        yield keeper.url
    finally:
        keeper.stop()


def _server(settings: Settings) -> MPServer:
    return MPServer(
        "service",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=1,  # two were slower: they fight for the interpreter
        backpressure=settings.backpressure,
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEAD_BYTES),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.stop_timeout_s,
        log_level=LogLevels.warning if settings.log_level == "info" else LogLevels(settings.log_level),
        log_dictconfig=server_log_config(),
    )


def _check_address(settings: Settings) -> None:
    """Say in one line what Granian would say in a traceback, and warn of an address that others reach."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as err:
            raise NextbestError(f"can't listen on {settings.host}:{settings.port}: {err.strerror}") from err
        host = probe.getsockname()[0]
    if not ip_address(host).is_loopback:
        log.warning("no access control yet: whoever reaches this address gets answers", host=settings.host)


def _warn_of_no_champion(store: Path) -> None:
    """A wrong folder and one before its first night look alike: answers are 503 until there is a champion."""
    if not store.is_dir():
        log.warning("there is no such store folder, answering 503 until a night makes it", store=str(store))
    elif not (store / CHAMPION).exists():
        log.warning("no champion in the store, answering 503 until a night publishes one", store=str(store))


def _remove_left_over(folder: Path) -> None:
    """Counts of services that were killed."""
    for old in folder.glob("metrics-*"):
        if not Path(f"/proc/{old.name.partition('-')[2]}").exists():
            shutil.rmtree(old, ignore_errors=True)
