"""The cache against a real redis-server that is killed, stopped and started again."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from service.answering.first_level import FirstLevel
from service.answering.packed import Columns, owner_of, pack
from service.cache import keys, redis_cache
from service.cache.keys import list_key, showings_key
from service.cache.redis_cache import RedisCache, redis_client
from service.cache.server import RedisKeeper, find_redis_server
from service.processes.private_folder import private_folder
from service.recommender import Recommender
from service.rules.placed import PlacedRules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.versions.store import Store
from tests.data.redis_server import RedisServer, redis_server
from tests.data.running_service import until
from tests.data.tiny_version import VARIANT, publish

KEY = ("20180101T000000Z-aa", "blend", "anna")
PATIENCE_S = 20.0  # of a busy machine


class Outcomes:
    """Counts what the cache tells."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def cache(self, outcome: str) -> None:
        self.counted[outcome] += 1

    def redis_down(self, is_down: bool) -> None:
        self.counted["down" if is_down else "up"] += 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def cache(server: RedisServer, outcomes: Outcomes) -> RedisCache:
    """One that waits for an answer on a busy machine too."""
    return RedisCache(server.url, timeout_ms=2000, ttl_s=600, counters=outcomes)


@pytest.fixture
def hasty(server: RedisServer, outcomes: Outcomes) -> RedisCache:
    """One with the limit of the service."""
    return RedisCache(server.url, timeout_ms=30, ttl_s=600, counters=outcomes)


def listed(cache: RedisCache, key: tuple[str, str, str] = KEY) -> bytes | None:
    return cache.ask(*key)()[0]


def has_own(cache: RedisCache, key: tuple[str, str, str]) -> bool:
    return listed(cache, key) == key[2].encode()


def test_a_list_is_read_back_and_every_key_has_a_life(cache: RedisCache, server: RedisServer) -> None:
    assert listed(cache) is None
    cache.put(*KEY, b"value")
    cache.flush()
    assert listed(cache) == b"value"
    client = redis_client(server.url, 500)
    assert client.keys() == [list_key(*KEY).encode()]
    assert 530 <= client.ttl(list_key(*KEY)) <= 600


def test_a_list_is_read_back_before_it_is_stored_and_nothing_is_left_over(
    cache: RedisCache, server: RedisServer
) -> None:
    for value in (b"first", b"second"):
        cache.put(*KEY, value)
        assert listed(cache) == value
        cache.flush()  # while the second one waits, the first one is there
    redis_client(server.url, 500).flushall()
    assert listed(cache) is None


@pytest.mark.timeout(20)  # who waits for a writer that ended waits for good
def test_a_fault_that_nobody_thought_of_ends_neither_the_writer_nor_who_waits_for_it(
    cache: RedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(cache._writer, "tell", lambda *_: {}["nobody thought of that"])
        cache.put(*KEY, b"lost")
        cache.flush()
    cache.put(*KEY, b"kept")
    cache.flush()
    assert cache._soon == {}
    assert listed(cache) == b"kept"


def test_what_was_shown_is_known_to_a_release_that_packs_lists_in_another_way(
    cache: RedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put(*KEY, b"list")
    cache.add_showings("somebody", b"[1],", 600, anew=True)
    cache.flush()
    monkeypatch.setattr(keys, "LIST_FORMAT", 99)
    assert listed(cache) is None
    assert cache.showings("somebody") == (True, b"[1],")


def test_showings_are_put_one_behind_the_other_and_live_on_with_each(
    cache: RedisCache, server: RedisServer, outcomes: Outcomes
) -> None:
    assert cache.showings("somebody") == (True, None)
    for value in (b"[1],", b"[2],"):
        cache.add_showings("somebody", value, 600, anew=False)
    cache.flush()
    assert cache.showings("somebody") == (True, b"[1],[2],")
    client = redis_client(server.url, 500)
    client.expire(showings_key("somebody"), 5)
    cache.add_showings("somebody", b"[3],", 600, anew=True)
    cache.add_showings("somebody", b"[4],", 700, anew=False)
    cache.flush()
    assert cache.showings("somebody") == (True, b"[3],[4],")
    assert 600 < client.ttl(showings_key("somebody")) <= 700
    assert cache.ask(*KEY, 0, "somebody")() == (None, True, b"[3],[4],")
    cache.put(*KEY, b"a list", 0)
    cache.flush()
    assert cache.ask(*KEY, 0, "somebody")() == (b"a list", True, b"[3],[4],")
    assert cache.ask(*KEY, 0, "nobody")() == (b"a list", True, None)
    cache.forget(*KEY, 0, "somebody")
    assert cache.ask(*KEY, 0, "somebody")() == (None, True, None)
    assert (outcomes.counted["hit"], outcomes.counted["miss"]) == (2, 2)
    server.kill()
    assert cache.ask(*KEY, 0, "somebody")() == (None, False, None)
    assert cache.showings("somebody") == (False, None)
    cache.add_showings("somebody", b"[5],", 600, anew=False)
    cache.forget(*KEY, 0, "somebody")
    cache.flush()


def test_a_killed_redis_costs_no_error_opens_the_breaker_and_is_found_again(
    cache: RedisCache, server: RedisServer, outcomes: Outcomes
) -> None:
    cache.put(*KEY, b"value")
    cache.flush()
    assert listed(cache) == b"value"
    server.kill()
    assert [listed(cache) for _ in range(20)] == [None] * 20
    assert cache.state == "down"
    assert outcomes.counted["error"] <= 6  # five in a row, and a probe at most
    assert outcomes.counted["down"] == 1
    server.start()
    until(lambda: listed(cache) is None and cache.state == "up", PATIENCE_S)
    cache.put(*KEY, b"value")
    cache.flush()
    assert listed(cache) == b"value"


def test_a_connection_that_is_lost_is_made_anew_however_often(cache: RedisCache, server: RedisServer) -> None:
    """In a year that is more than the 100 that a pool of redis-py makes in its life."""
    cache.put(*KEY, b"value")
    cache.flush()
    client = redis_client(server.url, 500)
    for _ in range(150):
        client.client_kill_filter(_type="normal", skipme=True)
        until(lambda: listed(cache) == b"value", PATIENCE_S, look_s=0.002)


def test_a_redis_that_nobody_asks_is_looked_at(
    server: RedisServer, outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "IDLE_S", 0.02)
    cache = RedisCache(server.url, timeout_ms=2000, ttl_s=600, counters=outcomes)
    server.kill()
    until(lambda: cache.state == "down", PATIENCE_S)
    assert outcomes.counted["down"] == 1
    server.start()
    until(lambda: cache.state == "up", PATIENCE_S)
    assert outcomes.counted["up"] == 1


def asked_while_it_hangs(cache: RedisCache, server: RedisServer) -> list[float]:
    """How long each of thirty who ask waits; afterwards it answers again."""
    until(lambda: listed(cache) is None and cache.state == "up", PATIENCE_S)
    server.stop()
    took_s = []
    for _ in range(30):
        start_s = time.perf_counter()
        assert listed(cache) is None
        took_s.append(time.perf_counter() - start_s)
    assert cache.state == "down"
    server.go_on()
    until(lambda: listed(cache) is None and cache.state == "up", PATIENCE_S)
    return took_s


def test_a_hanging_redis_costs_its_time_limit_twice_and_then_nothing(
    hasty: RedisCache, server: RedisServer
) -> None:
    tries: list[list[float]] = []  # a busy machine has three
    while len(tries) < 3 and not (tries and sum(tries[-1]) < 0.4):
        tries.append(asked_while_it_hangs(hasty, server))
    assert sum(tries[-1]) < 0.4, tries  # 60 ms; without a breaker it would be at least 0.9 s
    assert sorted(tries[-1])[15] < 0.005


def test_who_has_time_goes_on_asking_a_redis_that_was_slow_once(
    server: RedisServer, outcomes: Outcomes
) -> None:
    """As a campaign: what isn't asked is shown too often."""
    cache = RedisCache(server.url, timeout_ms=2000, ttl_s=600, counters=outcomes, lost_s=10)
    listed(cache)
    server.stop()
    wakes = threading.Timer(0.5, server.go_on)
    wakes.start()
    assert cache.showings("somebody") == (True, None)
    wakes.join()
    assert cache.state == "up"


def test_a_reply_that_comes_late_never_answers_another_request(
    cache: RedisCache, hasty: RedisCache, server: RedisServer
) -> None:
    others = [(*KEY[:2], f"customer {number}") for number in range(20)]
    for other in others:
        cache.put(*other, other[2].encode())
    cache.flush()
    for number, other in enumerate(others):
        server.stop()
        assert listed(hasty, other) is None
        server.go_on()
        following = others[(number + 1) % len(others)]
        until(partial(has_own, hasty, following), PATIENCE_S)


def test_what_the_caller_does_until_the_reply_is_read_is_no_delay_of_redis(
    server: RedisServer, outcomes: Outcomes
) -> None:
    cache = RedisCache(server.url, timeout_ms=300, ttl_s=600, counters=outcomes, lost_s=0.5)
    cache.put(*KEY, b"a list", 0)
    cache.flush()
    for _ in range(3):
        wait = cache.ask(*KEY, 0)
        time.sleep(0.4)  # with three of them more than the breaker bears, and each more than the limit
        assert wait() == (b"a list", True, None)
    assert cache.state == "up"
    assert outcomes.counted["hit"] == 3


@pytest.mark.timeout(20)  # whoever never reads the reply keeps all others waiting
def test_an_error_while_redis_is_asked_leaves_no_reply_to_the_next_customer(
    tmp_path: Path, cache: RedisCache, outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    store.root.mkdir()
    served = ServedVersion(store.open(publish(store)), VARIANT)
    recommender = Recommender(FirstLevel(10, 0), cache)
    right = {name: recommender.recommend(served, name, Query()).picks for name in ("anna", "ben")}
    cache.flush()
    with monkeypatch.context() as broken:
        broken.setattr(PlacedRules, "of_customer", lambda *_: {}["nobody thought of that"])
        with pytest.raises(KeyError):
            recommender.recommend(served, "anna", Query())
    answer = recommender.recommend(served, "ben", Query())
    assert (answer.level, answer.picks) == ("redis", right["ben"])
    assert outcomes.counted["error"] == 0


def test_another_customers_list_in_redis_or_a_forged_one_is_a_miss(
    tmp_path: Path, cache: RedisCache, server: RedisServer
) -> None:
    store = Store(tmp_path / "store")
    store.root.mkdir()
    served = ServedVersion(store.open(publish(store)), VARIANT)
    recommender = Recommender(FirstLevel(10, 0), cache)
    right = recommender.recommend(served, "anna", Query()).picks
    recommender.recommend(served, "ben", Query())
    cache.flush()
    client = redis_client(server.url, 500)
    bens = client.get(list_key(served.version_id, VARIANT, "ben"))
    client.set(list_key(served.version_id, VARIANT, "anna"), bens)
    answer = recommender.recommend(served, "anna", Query())
    assert (answer.level, answer.picks) == ("map", right)
    owner = owner_of(served.version_id, VARIANT, "anna", 0)
    for row, evidence in ((10**6, 0), (0, 100)):  # no product's; a place in somebody else's history
        forged = pack(owner, Columns.of([(row, evidence, 0.5)]), b"whoever writes to this Redis too")
        cache.flush()  # what was made anew would wait, and be answered
        client.set(list_key(served.version_id, VARIANT, "anna"), forged)
        answer = recommender.recommend(served, "anna", Query())
        assert (answer.level, answer.picks) == ("map", right)
    cache.flush()
    client.flushall()
    assert recommender.recommend(served, "anna", Query()).picks == right
    cache.flush()
    assert recommender.recommend(served, "anna", Query()).level == "redis"


@pytest.fixture
def keepers(tmp_path: Path) -> Iterator[list[RedisKeeper]]:
    binary = find_redis_server()
    assert binary
    both = [RedisKeeper(binary, tmp_path, 32) for _ in range(2)]
    for keeper in both:
        keeper.LOOK_S = 0.1
        keeper.start(wait_s=PATIENCE_S)
    yield both
    for keeper in both:
        keeper.stop()


def server_pid(keeper: RedisKeeper) -> int:
    return int(redis_client(keeper.url, 500).info("server")["process_id"])


def pid_or_none(keeper: RedisKeeper) -> int | None:
    try:
        return server_pid(keeper)
    except Exception:
        return None


def test_two_services_on_one_store_share_one_redis_and_the_second_takes_over(
    keepers: list[RedisKeeper],
) -> None:
    first, second = keepers
    pid = server_pid(first)
    assert server_pid(second) == pid
    assert [keeper._server is not None for keeper in keepers] == [True, False]
    first.stop()
    until(lambda: pid_or_none(second) not in (None, pid), PATIENCE_S)


def test_a_killed_redis_is_started_again_and_persists_nothing(
    keepers: list[RedisKeeper], tmp_path: Path
) -> None:
    pid = server_pid(keepers[0])
    client = redis_client(keepers[0].url, 500)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    client.set("a", "b")
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid_or_none(keepers[0]) not in (None, pid), PATIENCE_S)
    assert redis_client(keepers[0].url, 500).get("a") is None
    assert {file.name for file in tmp_path.iterdir()} <= {"redis.sock", "redis.lock", "redis.log"}


def test_a_redis_whose_files_were_cleared_away_is_neither_doubled_nor_lost(
    keepers: list[RedisKeeper], tmp_path: Path
) -> None:
    pid, server = server_pid(keepers[0]), keepers[0]._server
    assert server is not None
    (tmp_path / "redis.lock").unlink()
    time.sleep(0.5)  # five looks of each
    assert server_pid(keepers[0]) == pid
    assert [keeper._server for keeper in keepers] == [server, None]
    (tmp_path / "redis.sock").unlink()
    until(lambda: pid_or_none(keepers[0]) not in (None, pid), PATIENCE_S)
    until(lambda: server.poll() is not None, PATIENCE_S)
    until(lambda: sum(keeper._server is not None for keeper in keepers) == 1, PATIENCE_S)


def test_a_keeper_that_could_not_start_its_redis_tries_again(tmp_path: Path) -> None:
    binary = find_redis_server()
    assert binary
    away = tmp_path / "away"
    keeper = RedisKeeper(binary, away / "folder", 32)
    keeper.LOOK_S = 0.1
    keeper.start(wait_s=1)
    away.mkdir()
    try:
        until(lambda: pid_or_none(keeper) is not None, PATIENCE_S)
    finally:
        keeper.stop()


def test_the_folder_of_a_store_is_private(tmp_path: Path) -> None:
    folder = private_folder(tmp_path)
    try:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert private_folder(tmp_path) == folder
        assert len(str(folder / "redis.sock")) < 100
    finally:
        folder.rmdir()
