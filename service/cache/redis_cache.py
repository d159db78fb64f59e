"""Assembled lists in Redis. It may fail at any time: then the answer comes from the map, without an error."""

import queue
import random
import threading
from typing import Protocol

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.cache.breaker import Breaker
from service.cache.keys import list_key, list_life_s

WAITING_LISTS = 1000
BATCH = 50
log = structlog.get_logger()


class CacheCounters(Protocol):
    """Who counts what the cache does."""

    def cache(self, outcome: str) -> None: ...
    def redis_down(self, is_down: bool) -> None: ...


def redis_client(url: str, timeout_ms: int) -> redis.Redis:
    """A client that never waits long and never tries twice.

    redis-py's own defaults block a GET for a minute while Redis hangs. Protocol 2 and no driver info: nothing
    else is said when connecting, so that a Redis 6.2 understands all of it.
    """
    timeout_s = timeout_ms / 1000
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


def get_command(key: bytes) -> bytes:
    """GET as it goes over the wire."""
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)


class RedisCache:
    """Lists by (version, variant, customer, epoch). Made in the worker, never before a fork.

    `get` is the only round trip that a request makes: `put` leaves the list to a thread that stores it later.
    """

    def __init__(self, url: str, *, timeout_ms: int, ttl_s: int, counters: CacheCounters) -> None:
        self._ttl_s, self._counters = ttl_s, counters
        self._writer = redis_client(url, timeout_ms)
        # GET by hand on one connection: the client around it would double what Python does for it.
        self._reader, self._reading = self._writer.connection_pool.make_connection(), threading.Lock()
        self._breaker = Breaker()
        self._waiting: queue.Queue[tuple[str, bytes]] = queue.Queue(WAITING_LISTS)
        threading.Thread(target=self._write, name="cache-writer", daemon=True).start()

    @property
    def state(self) -> str:
        return "down" if self._breaker.is_open else "up"

    def get(self, version_id: str, variant: str, customer_id: str, epoch: int = 0) -> bytes | None:
        """The packed list, None if there is none or Redis doesn't say."""
        if not self._breaker.allows():
            self._counters.cache("skipped")
            return None
        key = list_key(version_id, variant, customer_id, epoch).encode()
        try:
            with self._reading:
                self._reader.send_packed_command([get_command(key)], check_health=False)  # type: ignore[no-untyped-call]
                # An error closes the connection: no reply is late.
                value: bytes | None = self._reader.read_response()
        except (redis.RedisError, OSError) as err:
            self._failed(err)
            return None
        self._succeeded()
        self._counters.cache("miss" if value is None else "hit")
        return value

    def put(self, version_id: str, variant: str, customer_id: str, value: bytes, epoch: int = 0) -> None:
        """Store a list soon. If too many wait or Redis is down it is dropped: it can be made again."""
        if self._breaker.is_open:
            return
        try:
            self._waiting.put_nowait((list_key(version_id, variant, customer_id, epoch), value))
        except queue.Full:
            self._counters.cache("dropped")

    def flush(self) -> None:
        """Wait until nothing is waiting to be stored."""
        self._waiting.join()

    def _write(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < BATCH and not self._waiting.empty():
                batch.append(self._waiting.get())
            try:
                with self._writer.pipeline(transaction=False) as pipeline:
                    for key, value in batch:
                        pipeline.set(key, value, ex=list_life_s(self._ttl_s, random.random()))
                    pipeline.execute()
            except (redis.RedisError, OSError) as err:
                self._failed(err)
            for _ in batch:
                self._waiting.task_done()

    def _failed(self, err: Exception) -> None:
        self._counters.cache("error")
        if self._breaker.failed():
            self._counters.redis_down(True)
            log.warning("redis does not answer, going on without it", why=type(err).__name__)

    def _succeeded(self) -> None:
        if self._breaker.succeeded():
            self._counters.redis_down(False)
            log.info("redis answers again")
