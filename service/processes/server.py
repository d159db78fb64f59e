"""From the command to running workers: the parent keeps Redis, the operator's listener and the workers."""

import os
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from models.errors import NextbestError
from service.access.start import may_be_open, say_what_is_missing
from service.cache.server import RedisKeeper, find_redis_server
from service.processes.die_with_parent import die_with_parent
from service.processes.operator_process import OperatorKeeper
from service.processes.private_folder import private_folder
from service.processes.shared_heap import share_one_heap
from service.processes.stops import Stops
from service.processes.worker import WorkerPlan, leave_to_themselves, operator_app, worker_app
from service.processes.workers import Workers
from service.record import prepare_record
from service.rules.watch import read_rules_file
from service.settings import Settings
from service.telemetry.logs import configure_logs, server_log_config
from service.versions.opened import store_of
from service.web.overload import BACKLOG
from storage.keyring import read_keyring
from storage.versions.store import CHAMPION

MAX_HEAD_BYTES = 128 * 1024  # a URL at its limits has 51 KB; the rest is for cookies
log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let requests in flight finish.

    Raises:
        BadRulesError, OSError: there is a file of rules, and it can't be used.
        NextbestError: an address can't be used, a key can't be read, or there is none and there must be, or
            what traces want isn't installed.
    """
    share_one_heap()  # for the threads to come
    configure_logs(settings.log_level)
    address, operators_address = _addresses(settings)
    keyring = read_keyring(settings.store)
    reachable = [each for each in (address, operators_address) if each and not ip_address(each).is_loopback]
    is_open = may_be_open(keyring, reachable)
    if not is_open:
        say_what_is_missing(keyring, settings)
    if settings.rules:
        read_rules_file(settings.rules)
    store_of(settings)
    if settings.traces:
        import_module("service.telemetry.tracing")
    folder = private_folder(settings.store)
    metrics_folder = folder / f"metrics-{os.getpid()}"
    shutil.rmtree(metrics_folder, ignore_errors=True)
    metrics_folder.mkdir()
    _remove_left_over(folder)
    stops = Stops()  # before there are threads
    try:
        with _redis(settings, folder) as redis_url:
            log_key = secrets.token_bytes(16)
            plan = WorkerPlan(settings, os.getpid(), redis_url, metrics_folder, log_key, is_open)
            log.info(
                "service starts", store=str(settings.store), workers=settings.workers, port=settings.port
            )
            _warn_of_no_champion(settings.store)
            prepare_record(settings)
            leave_to_themselves()
            with _operators_listener(plan, operators_address):
                server = _server(settings, address, settings.port, settings.workers)
                stops.call(server.signal_handler_interrupt)
                server.serve(target_loader=partial(worker_app, plan), wrap_loader=False)
    finally:
        shutil.rmtree(metrics_folder, ignore_errors=True)
        log.info("service stopped")


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


@contextmanager
def _operators_listener(plan: WorkerPlan, address: str | None) -> Iterator[None]:
    """A process with the operator's listener, as long as this block lasts; none without an address for it."""
    if address is None:
        yield
        return
    keeper = OperatorKeeper(partial(_serve_operator, plan, address))
    keeper.start()
    try:
        yield
    finally:
        keeper.stop(plan.settings.stop_timeout_s)


def _serve_operator(plan: WorkerPlan, address: str) -> None:
    """Serve the operator, as the main thread of a process of its own."""
    stops = Stops(is_child=True)
    die_with_parent(plan.parent_pid, signal.SIGTERM)
    settings, here = plan.settings, replace(plan, parent_pid=os.getpid())
    assert settings.operator_port is not None
    server = _server(settings, address, settings.operator_port, workers=1)
    stops.call(server.signal_handler_interrupt)
    server.serve(target_loader=partial(operator_app, here), wrap_loader=False)


def _server(settings: Settings, address: str, port: int, workers: int) -> Workers:
    return Workers(
        "service",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=1,  # two were slower: they fight for the interpreter
        backlog=BACKLOG,
        backpressure=settings.backpressure,
        # Where HTTP/2 is spoken too, who says nothing at all, or begins that, has no time limit.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            max_buffer_size=MAX_HEAD_BYTES, header_read_timeout=int(settings.idle_timeout_s * 1000)
        ),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.stop_timeout_s,
        log_level=LogLevels.warning if settings.log_level == "info" else LogLevels(settings.log_level),
        log_dictconfig=server_log_config(),
    )


def _addresses(settings: Settings) -> tuple[str, str | None]:
    """The addresses of the public listener and of the operator's, in numbers, which are what Granian takes.

    Raises:
        NextbestError: one can't be used, or both are the same: callers would come to either by chance.
    """
    address = _address(settings.host, settings.port)
    if settings.operator_port is None:
        return address, None
    operators = _address(settings.operator_host, settings.operator_port)
    shares = address == operators or any(ip_address(each).is_unspecified for each in (address, operators))
    if settings.port == settings.operator_port and shares:
        raise NextbestError(
            f"the operator's listener needs another port than {settings.port}, the public one"
        )
    return address, operators


def _address(host: str, port: int) -> str:
    """What a host's name stands for. Says in one line what Granian would say in a traceback."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, TypeError) as err:  # the second of letters that no name has
            why = err.strerror if isinstance(err, OSError) else "that is no name of a host"
            raise NextbestError(f"can't listen on {host}:{port}: {why}") from err
        address: str = probe.getsockname()[0]
        return address


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
