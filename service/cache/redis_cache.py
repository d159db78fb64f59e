"""Lists and showings in Redis. It may fail at any time: then answers go on without it, and without errors."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import redis
import structlog
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.retry import Retry

from service.cache.breaker import LOST_S, Breaker
from service.cache.keys import list_key, list_life_s, showings_key
from service.cache.reading import Wire, command
from service.processes.background import Outlived

MOST_WAITING = 4000  # a request for 1,000 customers leaves up to three for each
BATCH = 50
PAUSE_S = 0.01  # in which more comes: written one by one they slowed answers from 0.34 to 0.52 ms
IDLE_S = 1.0
PATIENCE = 10  # times the limit of a `get` for a batch, which nobody waits for
SLOW = 1 / 6  # of the time limit: an answer that takes longer is of less use than none
log = structlog.get_logger()


class CacheCounters(Protocol):
    """Who counts what the cache does."""

    def cache(self, outcome: str) -> None: ...
    def redis_down(self, is_down: bool) -> None: ...


class _Waiting(NamedTuple):
    """A value that is to be stored, or put behind the one that is there."""

    key: str
    value: bytes
    life_s: int
    is_more: bool = False

    def commands(self) -> tuple[bytes, int]:
        """As they go over the wire, and how many they are."""
        key, life_s = self.key.encode(), b"%d" % self.life_s
        if not self.is_more:
            return command(b"SET", key, self.value, b"EX", life_s), 1
        return command(b"APPEND", key, self.value) + command(b"EXPIRE", key, life_s), 2


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


def connections_of(client: redis.Redis) -> Callable[[], ConnectionInterface]:
    """Makes a connection as the client does, as often as one is lost: its pool makes 100 in its life."""
    pool = client.connection_pool
    return lambda: pool.connection_class(**pool.connection_kwargs)


type Found = tuple[bytes | None, bool, bytes | None]
"""A list; whether Redis answers; and if so what is kept of showings."""


class RedisCache:
    """Lists by (version, variant, customer, epoch). Made in the worker, never before a fork.

    To `ask` is the only round trip that a request makes: `put` leaves the list to a thread that stores it
    later. While there is nothing to store, that thread looks now and then whether Redis is there: so `state`
    is true also if nobody asks, and Redis doesn't close its connection as idle.

    Args:
        lost_s: as in `Breaker`.
    """

    def __init__(
        self, url: str, *, timeout_ms: int, ttl_s: int, counters: CacheCounters, lost_s: float = LOST_S
    ) -> None:
        self._ttl_s, self._counters, self._slow_s = ttl_s, counters, timeout_ms / 1000 * SLOW
        self._client = redis_client(url, timeout_ms)
        # By hand, each on one connection: the client around it would double what Python does for a GET.
        connection = connections_of(self._client)
        self._reader = Wire(connection, timeout_ms / 1000)
        self._writer = Wire(connection, timeout_ms / 1000 * PATIENCE)
        self._reading = threading.Lock()
        self._breaker = Breaker(lost_s=lost_s)
        # No queue: each put would wake the writer, which then takes the interpreter away from the request.
        self._waiting: deque[_Waiting | threading.Event] = deque()
        self._is_waiting = threading.Event()
        self._soon: dict[str, bytes] = {}  # lists that wait, so that none is made twice
        threading.Thread(target=self._write, name="cache-writer", daemon=True).start()

    @property
    def state(self) -> str:
        return "down" if self._breaker.is_open else "up"

    def ask(
        self, version_id: str, variant: str, customer_id: str, epoch: int = 0, name: str | None = None
    ) -> Callable[[], Found]:
        """Ask for a list and, unless the name is None, for showings, in one round trip.

        Returns:
            waits for the answer. It must be called once, before anything else is asked.
        """
        key = list_key(version_id, variant, customer_id, epoch)
        soon = self._soon.get(key)  # before Redis is asked, which may have it a moment later
        took_s = self._ask([key] if name is None else [key, showings_key(name)])
        return partial(self._found, took_s, soon)

    def _found(self, took_s: float | None, soon: bytes | None) -> Found:
        values = self._read(took_s)
        if values is None:
            return soon, False, None
        value = values[0] if soon is None else soon  # what waits is the newer one
        self._counters.cache("miss" if value is None else "hit")
        return value, True, values[1] if len(values) > 1 else None

    def showings(self, name: str) -> tuple[bool, bytes | None]:
        """Whether Redis answers, and if so what is kept of a customer's showings."""
        values = self._read(self._ask([showings_key(name)]))
        return (False, None) if values is None else (True, values[0])

    def _ask(self, keys: Sequence[str]) -> float | None:
        """Ask for the values of these keys, which `_read` waits for: until then nobody else can ask.

        Returns:
            seconds that it took; None: Redis is down, and nothing was asked.
        """
        if not self._breaker.allows():
            self._counters.cache("skipped")
            return None
        self._reading.acquire()
        start_s = time.perf_counter()
        try:
            self._reader.ask([key.encode() for key in keys])
        except (redis.RedisError, OSError) as err:
            self._reading.release()
            self._failed(err, time.perf_counter() - start_s)
            return None
        except BaseException:
            self._reading.release()
            raise
        return time.perf_counter() - start_s

    def _read(self, took_s: float | None) -> Sequence[bytes | None] | None:
        """The values that were asked for; None: there was no answer.

        Args:
            took_s: as `_ask` returned it. What the caller did since then isn't Redis' delay.
        """
        if took_s is None:
            return None
        start_s = time.perf_counter() - took_s
        try:
            values = self._reader.values()
        except (redis.RedisError, OSError) as err:
            self._failed(err, time.perf_counter() - start_s)
            return None
        finally:
            self._reading.release()
        self._answered(time.perf_counter() - start_s)
        return values

    def put(self, version_id: str, variant: str, customer_id: str, value: bytes, epoch: int = 0) -> None:
        """Store a list soon. If too many wait or Redis is down it is dropped: it can be made again."""
        if self._takes_more():
            key = list_key(version_id, variant, customer_id, epoch)
            self._soon[key] = value
            self._put(_Waiting(key, value, list_life_s(self._ttl_s, random.random())))

    def add_showings(self, name: str, value: bytes, life_s: int, *, anew: bool) -> None:
        """Keep more of a customer's showings soon, or these alone. Dropped as lists are."""
        if self._takes_more():
            self._put(_Waiting(showings_key(name), value, life_s, is_more=not anew))

    def _takes_more(self) -> bool:
        if self._breaker.is_open:
            return False
        if len(self._waiting) < MOST_WAITING:
            return True
        self._counters.cache("dropped")
        return False

    def forget(self, version_id: str, variant: str, customer_id: str, epoch: int, name: str) -> None:
        """Delete a customer's list and showings, if Redis answers now: else they end with their lives, and
        meanwhile nobody is answered from them, since the customer's epoch and name are others."""
        self._soon.pop(list_key(version_id, variant, customer_id, epoch), None)
        if self._breaker.is_open:
            return
        try:
            self._client.delete(list_key(version_id, variant, customer_id, epoch), showings_key(name))
        except (redis.RedisError, OSError) as err:
            self._failed(err)

    def flush(self) -> None:
        """Wait until nothing is waiting to be stored."""
        is_done = threading.Event()
        self._put(is_done)
        is_done.wait()

    def _put(self, one: _Waiting | threading.Event) -> None:
        self._waiting.append(one)
        if not self._is_waiting.is_set():  # soon said; mostly the writer rests, and will look by itself
            self._is_waiting.set()

    def _write(self) -> None:
        outlived = Outlived("cache-writer")
        while True:
            outlived.take(self._take_turn)

    def _take_turn(self) -> None:
        if not self._is_waiting.wait(IDLE_S):
            self._look()
            return
        if len(self._waiting) < BATCH:
            time.sleep(PAUSE_S)
        self._is_waiting.clear()  # first: what comes from here on is seen now or sets it again
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if self._waiting:
            self._is_waiting.set()
        try:
            self._store([one for one in batch if isinstance(one, _Waiting)])
        finally:
            for one in batch:
                if isinstance(one, threading.Event):
                    one.set()

    def _store(self, batch: list[_Waiting]) -> None:
        """Store these; of several values for one key the last, and what comes behind it."""
        if not batch:
            return
        last = {waiting.key: place for place, waiting in enumerate(batch) if not waiting.is_more}
        kept = [one for place, one in enumerate(batch) if last.get(one.key, place) <= place]
        try:
            parts, numbers = zip(*(waiting.commands() for waiting in kept), strict=True)
            self._writer.tell(b"".join(parts), sum(numbers))
        except (redis.RedisError, OSError) as err:
            self._failed(err)
        except Exception as err:  # whatever it is, it is counted, and not tried for each batch
            self._failed(err)
            raise
        finally:
            for waiting in kept:
                if self._soon.get(waiting.key) is waiting.value:  # else there is a newer one
                    self._soon.pop(waiting.key, None)

    def _look(self) -> None:
        start_s = time.perf_counter()
        try:
            self._writer.tell(command(b"PING"), 1)
        except (redis.RedisError, OSError) as err:
            self._failed(err)
        else:
            self._answered(time.perf_counter() - start_s)

    def _failed(self, err: Exception, took_s: float = 0.0) -> None:
        self._counters.cache("error")
        if self._breaker.failed(took_s):
            self._went_down(type(err).__name__)

    def _went_down(self, why: str) -> None:
        self._counters.redis_down(True)
        log.warning("redis does not answer soon enough, going on without it", why=why)

    def _answered(self, took_s: float) -> None:
        if took_s >= self._slow_s:
            if self._breaker.slow(took_s):
                self._went_down("slow answers")
        elif self._breaker.succeeded():
            self._counters.redis_down(False)
            log.info("redis answers again")
