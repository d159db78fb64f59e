"""What a shop's size costs: files that all workers share, memory of each, lists in Redis, time to start.

It is a part of `bench_speed`.
"""

import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from service.answering.packed import owner_of, pack
from service.cache.keys import list_key, list_life_s
from service.cache.redis_cache import redis_client
from service.versions.served import ServedVersion
from storage.versions.store import Store
from tests.benchmarks.big_shop import Size
from tests.benchmarks.load import closed_loop
from tests.benchmarks.load_servers import Say, nextbest, once, own_redis, served_of, shop, shops_key
from tests.benchmarks.quiet import Patience, others

SIZES = (Size(100_000, 100_000), Size(1_000_000, 100_000))
QUICK_SIZES = (Size(20_000, 100_000),)
LISTS = 400_000
ASKED_S = 10.0  # of different customers, before a worker's memory is read
WORKERS = 2
STARTS = 5


def measure(folder: Path, sizes: tuple[Size, ...], patience_s: float, say: Say) -> list[dict[str, Any]]:
    """Each size's figures, as JSON; memory in bytes."""
    patience = Patience(patience_s)
    found = []
    for size in sizes:
        root = shop(folder, size, say)
        say(f"sizes with {size.customers:,} customers")
        patience.wait()
        served_of(root, verify=True)  # so that its files are in memory, as after the night that wrote them
        with others() as seen:
            starts_s = [_start_s(root) for _ in range(STARTS)]
        lists = min(LISTS, size.customers)
        found.append(
            {
                "customers": size.customers,
                "products": size.products,
                "candidates": size.candidates,
                "bought": size.bought,
                "files": _files(root),
                "worker_bytes": _worker_bytes(root),
                "redis_lists": lists,
                "redis_bytes": _redis_bytes(served_of(root), lists),
                "ready_s": median(starts_s),
                "others": seen.cores,
            }
        )
    return found


def _files(root: Path) -> dict[str, int]:
    """Bytes of a version's files by what they are for, of those that the day maps."""
    groups = {"order": 0, "evidence": 0, "histories": 0, "ids": 0, "products": 0}
    for name, entry in Store(root).manifests()[0].files.items():
        groups[_group(name)] += entry.size_bytes
    return groups


def _group(name: str) -> str:
    match name.split("/"):
        case ["candidates", _, "evidence.npy"]:
            return "evidence"
        case ["candidates", *_]:
            return "order"
        case ["history", *_]:
            return "histories"
        case ["customers", *_]:
            return "ids"
    return "products"


def _start_s(root: Path) -> float:
    """From the command to the first answer that says ready; one worker."""
    start_s = time.perf_counter()
    with nextbest(root):
        return time.perf_counter() - start_s


def _worker_bytes(root: Path) -> float:
    """Mean memory of a worker besides the version's files, after answers to many customers."""
    headers = [f"Authorization: Bearer {shops_key(root)}"]
    with nextbest(root, WORKERS, redis_lists="changed") as running:
        asked = once(served_of(root).customers, headers)
        if closed_loop(running.port, asked, ASKED_S, connections=16).wrong:
            raise SystemExit("a wrong answer")
        own = [_own_bytes(worker, root) for worker in running.workers()]
        return sum(own) / len(own)


def _own_bytes(worker: psutil.Process, root: Path) -> int:
    """What only this process has in memory, but for pages of the version that no other worker read yet."""
    maps = worker.memory_maps(grouped=True)
    own = [part for part in maps if not part.path.startswith(str(root.resolve()))]
    return sum(part.private_clean + part.private_dirty for part in own)


def _redis_bytes(served: ServedVersion, lists: int) -> int:
    """What so many lists take of a Redis, keys and all."""
    with own_redis(memory_mb=4096) as url:
        client = redis_client(url, timeout_ms=5000)
        empty = client.info("memory")["used_memory"]
        rows = iter(range(lists))
        while batch := list(islice(rows, 1000)):
            with client.pipeline(transaction=False) as pipeline:
                for row in batch:
                    customer_id = served.customers[row]
                    owner = owner_of(served.version_id, served.variant, customer_id, 1)
                    value = pack(owner, served.candidates(row), served.key)
                    key = list_key(served.version_id, served.variant, customer_id, 1)
                    pipeline.set(key, value, ex=list_life_s(3600, 0.5))
                pipeline.execute()
        return int(client.info("memory")["used_memory"] - empty)
