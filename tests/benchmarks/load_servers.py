"""The servers that are asked: nextbest as it is run, and bare Flask routes behind the same server."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import numpy as np
import requests

from models.errors import DamagedVersionError
from service.access.new_keys import Labels, new_api_key
from service.access.routes import Scope
from service.cache.server import RedisKeeper, find_redis_server
from service.versions.served import ServedVersion
from storage.keyring import Keyring, change_keyring
from storage.versions.store import Store
from storage.versions.strings import IdIndex
from tests.benchmarks.big_shop import Size, write
from tests.benchmarks.load import Asked, get
from tests.data.running_service import Running, free_port, running_service, until

DRAWN_FROM, ZIPF = 20_000, 1.0  # customers, and the exponent of how often each of them comes
DRAWS = 200_000  # then they come again

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs, and the questions that it is asked one after another.

    Attributes:
        key: of this line in tables.
    """

    key: str
    port: int
    questions: Iterator[Asked]


def shop(folder: Path, size: Size, say: Say) -> Path:
    """The store of a shop of this size, written if there is none that this release can answer from."""
    offers = f"-{size.offers}" if size.offers else ""
    root = folder / f"shop-{size.customers}-{size.products}{offers}"
    if not _can_answer(Store(root)):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        say(f"writing a shop of {size.customers:,} customers")
        write(root, size)
    return root


def _can_answer(store: Store) -> bool:
    try:
        champion = store.champion()
        if champion is not None:
            ServedVersion(store.open(champion.current.version_id), champion.current.variant)
    except DamagedVersionError:  # of another release
        return False
    return champion is not None


@contextmanager
def servers(root: Path) -> Iterator[dict[str, Server]]:
    """Bare routes, and nextbest with its defaults and with everybody's list in Redis, all running at once."""
    headers = [f"Authorization: Bearer {shops_key(root)}"]
    with ExitStack() as stack:
        redis_url = stack.enter_context(own_redis())
        default = stack.enter_context(nextbest(root, redis_url=redis_url, redis_lists="changed"))
        in_redis = stack.enter_context(nextbest(root, redis_url=redis_url, redis_lists="all"))
        bare, bare_get = stack.enter_context(_bare(None)), stack.enter_context(_bare(redis_url))
        ids = served_of(root).customers
        found = [
            Server("bare", bare, cycle([get("/recommend/0000001", headers)])),
            Server("bare_get", bare_get, cycle([get("/recommend/0000001", headers)])),
            Server("zipf", default.port, _drawn(ids, headers)),
            Server("once", default.port, once(ids, headers)),
            Server("zipf_redis", in_redis.port, _drawn(ids, headers)),
            Server("once_redis", in_redis.port, once(ids, headers)),
        ]
        yield {server.key: server for server in found}


def shops_key(root: Path) -> str:
    """A new API key, the only one of the store."""
    labels = Labels("bench", "active", datetime.now(UTC), None)
    key, text = new_api_key(labels, frozenset({Scope.RECOMMEND}), os.urandom)
    change_keyring(root, lambda _: Keyring(api_keys=(key,)))
    return text


def _drawn(ids: IdIndex, headers: list[str]) -> Iterator[Asked]:
    """Customers drawn by Zipf: the k-th of them comes 1/k times as often as the first."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, DRAWN_FROM + 1) ** ZIPF
    rows = rng.permutation(len(ids))[rng.choice(DRAWN_FROM, DRAWS, p=weights / weights.sum())]
    return (_question(ids[row], headers) for row in cycle(rows.tolist()))


def once(ids: IdIndex, headers: list[str]) -> Iterator[Asked]:
    """Every customer once, and once more when that is through."""
    rows = np.random.default_rng(1).permutation(len(ids)).tolist()
    return (_question(ids[row], headers) for row in cycle(rows))


def _question(customer_id: str, headers: list[str]) -> Asked:
    return get(f"/recommend/{customer_id}", headers, f'{{"customer_id": "{customer_id}"')


def served_of(root: Path, *, verify: bool = False) -> ServedVersion:
    """The champion of a store, as a worker reads it."""
    store = Store(root)
    champion = store.champion()
    assert champion is not None
    now = champion.current
    return ServedVersion(store.open(now.version_id, verify=verify), now.variant)


@contextmanager
def own_redis(memory_mb: int = 256) -> Iterator[str]:
    """The URL of a Redis of our own, as the service would start it."""
    binary = find_redis_server()
    if binary is None:
        raise SystemExit("no redis-server found")
    with tempfile.TemporaryDirectory() as folder:
        keeper = RedisKeeper(binary, Path(folder), memory_mb)
        keeper.start()
        try:
            yield keeper.url
        finally:
            keeper.stop()


@contextmanager
def nextbest(root: Path, workers: int = 1, **environment: str) -> Iterator[Running]:
    """The service, once it is ready."""
    with (
        tempfile.NamedTemporaryFile() as log,
        running_service(root, Path(log.name), workers=workers, log_level="warning", **environment) as running,
    ):
        until(lambda: running.get("/health/ready").ok, 60)
        yield running


@contextmanager
def _bare(redis_url: str | None) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.bare", "--port", str(port)]
    process = subprocess.Popen([*command, *(["--redis-url", redis_url] if redis_url else [])])
    try:
        until(lambda: _answers(port), 20)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/recommend/x", timeout=5).ok
    except requests.ConnectionError:
        return False
