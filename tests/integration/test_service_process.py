"""The service as it really runs: workers, signals, new champions, and nothing left behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from click.testing import CliRunner

from models.errors import NextbestError
from service.cli import main
from service.processes.private_folder import private_folder
from service.processes.server import _addresses
from service.settings import Settings
from storage.versions.store import Store
from tests.data.redis_server import silent_redis
from tests.data.running_service import START_S, Running, free_port, is_live, running_service, runs, until
from tests.data.thread_heaps import thread_heaps
from tests.data.tiny_version import AS_OF, new_store, publish

PATIENCE_S = 20  # of a busy machine, for what isn't promised within a time


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "store")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that its tests only ask; its hosts are given by name, and lists are kept as by default."""
    root = tmp_path_factory.mktemp("untouched")
    named = {"host": "localhost", "operator_host": "localhost", "operator_port": str(free_port())}
    kept = {"redis_lists": "changed", "first_level_life_s": "0"}
    with running_service(new_store(root / "store").root, root / "log", **named, **kept) as running:
        yield running


class Load:
    """Clients that ask one after another on one connection each, until stopped; every answer is kept."""

    def __init__(self, running: Running, clients: int) -> None:
        self._running, self._stop = running, threading.Event()
        self.versions: list[list[str]] = [[] for _ in range(clients)]
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(seen,)) for seen in self.versions]
        for thread in self._threads:
            thread.start()

    def _ask(self, seen: list[str]) -> None:
        with requests.Session() as session:
            while not self._stop.is_set():
                try:
                    response = session.get(self._running.url + "/recommend/anna", timeout=5)
                    response.raise_for_status()
                    seen.append(response.json()["version"])
                except requests.RequestException as err:
                    self.failed.append(repr(err))
                time.sleep(0.002)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


def test_new_champions_and_rollbacks_are_taken_within_5_s_under_load_without_a_failed_request(
    store: Store, tmp_path: Path
) -> None:
    with running_service(store.root, tmp_path / "log", workers=2, poll_s="0.2") as running:
        load = Load(running, clients=4)
        order = [str(running.get("/health/ready").json()["version"])]
        for day in range(1, 4):
            order.append(publish(store, now=AS_OF + timedelta(days=day)))
            until(lambda: all(seen and seen[-1] == order[-1] for seen in load.versions), 5)
        store.rollback(now=AS_OF)
        order.append(order[-2])
        until(lambda: all(seen[-1] == order[-1] for seen in load.versions), 5)
        load.stop()
    assert load.failed == []
    for seen in load.versions:  # each connection saw the champions in the order they were made
        steps = [version for place, version in enumerate(seen) if place == 0 or version != seen[place - 1]]
        assert steps == order


def warnings(running: Running) -> list[dict[str, Any]]:
    """Lines of this level, but for a Redis that a busy machine let wait."""
    lines = [line for line in running.lines() if line["level"] == "warning"]
    return [line for line in lines if not line["event"].startswith("redis does not answer")]


def test_the_first_champion_is_taken_without_a_restart(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir()
    with running_service(root, tmp_path / "log") as running:
        assert running.get("/health/ready").status_code == 503
        assert running.get("/recommend/anna").status_code == 503
        publish(Store(root))
        until(lambda: running.get("/health/ready").ok, PATIENCE_S)
        assert running.get("/recommend/anna").json()["source"] == "personal"
        assert [line["event"] for line in warnings(running)] == [
            "no key was made yet: whoever reaches this address gets every answer, without limits",
            "no champion in the store, answering 503 until a night publishes one",
        ]


def test_a_store_folder_that_is_not_there_is_warned_of_and_followed_once_it_is(tmp_path: Path) -> None:
    root = tmp_path / "nope"
    with running_service(root, tmp_path / "log") as running:
        assert running.get("/health/ready").status_code == 503
        _, warning = warnings(running)
        assert warning["event"] == "there is no such store folder, answering 503 until a night makes it"
        assert warning["store"] == str(root)
        root.mkdir()
        publish(Store(root))
        until(lambda: running.get("/health/ready").ok, PATIENCE_S)


def test_sigterm_finishes_the_request_in_flight_and_leaves_nothing_running(
    store: Store, tmp_path: Path
) -> None:
    with (
        silent_redis() as (url, asked),
        running_service(
            store.root, tmp_path / "log", workers=2, redis_url=url, redis_timeout_ms="1000"
        ) as running,
    ):
        processes = running.processes()
        answers: list[requests.Response] = []
        client = threading.Thread(target=lambda: answers.append(running.get("/recommend/anna")))
        client.start()
        assert asked.wait(20)
        start_s = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert time.monotonic() - start_s < 8  # in flight for one second; it would be cut off after ten
        client.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["source"] == "personal"
    until(lambda: not any(map(runs, processes)), PATIENCE_S)
    events = [line["event"] for line in running.lines()]
    assert events[-1] == "service stopped"
    slow = next(line for line in running.lines() if line["event"] == "slow answer")
    assert slow["elapsed_ms"] >= 900
    assert re.fullmatch("[0-9a-f]{12}", slow["customer"])
    assert "anna" not in running.log.read_text()


def test_a_worker_told_to_stop_many_times_answers_what_it_began_and_one_that_starts_ends_at_once(
    store: Store, tmp_path: Path
) -> None:
    with (
        silent_redis() as (url, asked),
        running_service(store.root, tmp_path / "log", redis_url=url, redis_timeout_ms="1000") as running,
    ):
        (told,) = running.workers()
        answers: list[requests.Response] = []
        client = threading.Thread(target=lambda: answers.append(running.get("/recommend/anna")))
        client.start()
        assert asked.wait(20)
        for _ in range(5):
            told.terminate()
            time.sleep(0.05)
        client.join()
        until(lambda: not runs(told), PATIENCE_S)
        until(lambda: len(running.workers()) == 1, PATIENCE_S)
        start_s = time.monotonic()  # this one has hardly begun
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert time.monotonic() - start_s < 8
    assert [answer.status_code for answer in answers] == [200]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_or_a_closed_terminal_which_all_processes_get_ends_them_in_order(
    store: Store, tmp_path: Path, told: signal.Signals
) -> None:
    with running_service(store.root, tmp_path / "log", workers=2, operator_port=str(free_port())) as running:
        processes = running.processes()
        start_s = time.monotonic()
        for process in [*processes, running.process]:
            process.send_signal(told)
        assert running.process.wait(20) == 0
        assert time.monotonic() - start_s < 8  # they would be killed after ten
    until(lambda: not any(map(runs, processes)), PATIENCE_S)


def test_a_folder_for_what_is_passing_that_was_cleared_away_is_made_again(
    store: Store, tmp_path: Path
) -> None:
    with running_service(store.root, tmp_path / "log") as running:
        until(lambda: comes_to(running, "nextbest_workers_ready", 1), START_S)
        shutil.rmtree(private_folder(store.root))
        assert running.get("/metrics").status_code == 200
        until(lambda: comes_to(running, "nextbest_workers_ready", 1), PATIENCE_S)
        shutil.rmtree(private_folder(store.root))
        (worker,) = running.workers()  # while its Redis is started anew
        worker.kill()
        until(lambda: not runs(worker), PATIENCE_S)
        until(lambda: is_live(running), PATIENCE_S)
        until(lambda: comes_to(running, "nextbest_workers_ready", 1), PATIENCE_S)


def test_a_killed_parent_leaves_neither_workers_nor_redis(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log", workers=2, stop_timeout_s="3") as running:
        until(lambda: comes_to(running, "nextbest_workers_ready", 2), START_S)
        until(lambda: running.get("/health/ready").json()["redis"] == "up", START_S)
        until(lambda: (len(running.workers()), len(running.redis())) == (2, 1), START_S)
        processes = running.processes()
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        until(lambda: not any(map(runs, processes)), PATIENCE_S)


def metric(running: Running, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", running.get("/metrics").text, re.M)
    return float(found[1]) if found else 0.0


def comes_to(running: Running, line: str, value: float) -> bool:
    try:
        return metric(running, line) == value
    except requests.ConnectionError:  # a connection that was to one that ended
        return False


def test_metrics_are_summed_over_workers_ended_ones_among_them_without_the_gauges_of_those(
    store: Store, tmp_path: Path
) -> None:
    with running_service(store.root, tmp_path / "log", workers=2) as running:
        until(lambda: comes_to(running, "nextbest_workers_ready", 2), PATIENCE_S)
        for _ in range(60):  # a connection each, so that both workers get some
            assert running.get("/recommend/anna").ok
        count = 'nextbest_requests_total{route="recommend",status="200"}'
        until(lambda: metric(running, count) == 60, PATIENCE_S)  # each writes what it noted twice a second
        assert {metric(running, count) for _ in range(10)} == {60.0}
        assert metric(running, "nextbest_workers_ready") == 2
        assert metric(running, "nextbest_version_swaps_total") == 2
        killed = running.workers()[0]
        killed.kill()
        until(lambda: len(running.workers()) == 2 and killed not in running.workers(), PATIENCE_S)

        until(lambda: comes_to(running, "nextbest_version_swaps_total", 3), PATIENCE_S)
        assert metric(running, "nextbest_workers_ready") == 2
        for _ in range(20):
            assert running.get("/recommend/anna").ok
        asked = running.workers()[0]
        asked.terminate()  # at once: it writes what it noted when it ends
        until(lambda: asked not in running.workers(), PATIENCE_S)
        until(lambda: comes_to(running, count, 80), PATIENCE_S)


def test_answers_go_on_while_the_stores_redis_is_stopped_and_use_it_again(
    store: Store, tmp_path: Path
) -> None:
    with running_service(store.root, tmp_path / "log", first_level_life_s="0") as running:
        redis = running.redis()[0]
        until(lambda: running.get("/recommend/anna").ok and metric(running, hits) > 0, PATIENCE_S)
        redis.suspend()
        start_s = time.monotonic()
        for _ in range(50):
            assert running.get("/recommend/anna").json()["source"] == "personal"
        assert time.monotonic() - start_s < 10  # each would wait for seconds
        assert running.get("/health/ready").json()["redis"] == "down"
        assert metric(running, "nextbest_workers_without_redis") == 1
        redis.resume()
        until(lambda: running.get("/recommend/anna").ok and metric(running, down) == 0, PATIENCE_S)


hits = 'nextbest_cache_total{outcome="hit"}'
down = "nextbest_workers_without_redis"


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-c", "from service.cli import main; main()"]
        command += ["run", "--store", str(tmp_path), "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"nbo-serve: can't listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_port_for_both_listeners_and_what_is_no_host_are_named(tmp_path: Path) -> None:
    port = free_port()
    why = f"^the operator's listener needs another port than {port}, the public one$"
    with pytest.raises(NextbestError, match=why):
        _addresses(Settings(store=tmp_path, port=port, operator_port=port))
    with pytest.raises(NextbestError, match=r"that is no name of a host$"):
        _addresses(Settings(store=tmp_path, port=port, host="ü" * 80))


def test_bad_settings_are_told_in_one_line(tmp_path: Path) -> None:
    def told(*words: str, **environment: str | None) -> str:
        ended = CliRunner().invoke(main, ["run", *words], env=environment)
        assert ended.exit_code == 2
        assert ended.stderr.count("\n") == 1
        return ended.stderr

    none = {"NEXTBEST_STORE": None}
    assert told("--store", str(tmp_path), "--workers", "0").startswith("--workers or NEXTBEST_WORKERS: ")
    no_option = {"NEXTBEST_POLL_S": "often", "NEXTBEST_STORE": str(tmp_path)}
    assert told(**no_option).startswith("NEXTBEST_POLL_S: ")  # there is no such option
    assert told(**none).startswith("--store or NEXTBEST_STORE: ")


def test_workers_share_the_pages_of_what_their_parent_imported_and_their_threads_a_heap(
    untouched: Running,
) -> None:
    workers = untouched.workers()
    assert len(workers) == 2  # the operator's too
    for worker in workers:
        assert thread_heaps(worker.pid) == 0
        heap = [part for part in worker.memory_maps() if part.path in ("[anon]", "[heap]")]
        assert sum(part.shared_dirty for part in heap) > sum(part.private_dirty for part in heap)


def test_ids_of_any_bytes_travel_through_the_server_unchanged(untouched: Running) -> None:
    for path, customer in {
        "k%C3%A4the%2F1": "käthe/1",
        "a//b/": "a//b/",
        "%0A%01": "\n\1",
        "%2E%2E": "..",
    }.items():
        head, _, body = raw(untouched, f"/recommend/{path}").partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 ")
        assert json.loads(body)["customer_id"] == customer
    for refused in ("%FF%C3", "a%00"):
        assert '"field": "customer_id"' in raw(untouched, f"/recommend/{refused}")
    assert '"status": 404' in raw(untouched, "/docs/%2E%2E/__init__.py")


def test_parameters_at_their_limits_are_answered_and_a_larger_head_is_refused(untouched: Running) -> None:
    ids = ["milk", *(f"{number:02}" + "ü" * 81 for number in range(99))]  # with commas 16,339 bytes
    ids[-1] += "!" * (16_384 - 16_339)
    asked = {"n": "3", "category": "dairy", "exclude": ",".join(ids)}
    assert len(asked["exclude"].encode()) == 16_384
    headers = {"Cookie": "c" * 16_000}
    url = f"{untouched.url}/recommend/{'%C3%BC' * 128}?{urlencode(asked)}"
    answer = requests.get(url, headers=headers, timeout=5)
    assert answer.status_code == 200, answer.text
    assert [found["product_id"] for found in answer.json()["recommendations"]] == [
        *("butter", "cheese", "yoghurt")
    ]
    assert untouched.get("/popular?exclude=" + "a" * 66_000).status_code == 414
    for size, kind in ((16_400, "application/problem+json"), (260_000, None)):
        refused = requests.get(f"{untouched.url}/popular", headers={"Cookie": "c" * size}, timeout=5)
        assert (refused.status_code, refused.headers.get("Content-Type")) == (431, kind)
    assert untouched.get("/popular").ok


def raw(running: Running, path: str) -> str:
    """The answer to a path that no client library tidied up."""
    port = running.port
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def test_by_default_lists_of_customers_who_did_nothing_since_the_night_come_from_the_map(
    untouched: Running,
) -> None:
    def counted() -> list[float]:
        names = (from_map, hits, 'nextbest_cache_total{outcome="miss"}')
        return [metric(untouched, name) for name in names]

    from_map = 'nextbest_recommendations_total{level="map",placement=""}'
    before = counted()[0]
    for _ in range(3):
        assert untouched.get("/recommend/anna").json()["source"] == "personal"
    assert counted() == [before + 3, 0, 0]


def test_a_host_is_taken_by_its_name_too(untouched: Running) -> None:
    assert untouched.get("/recommend/anna").status_code == 200
