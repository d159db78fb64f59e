"""A real service with two workers: a stock flip, rules that are put, each timed on all workers."""

import http.client
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from service.processes.private_folder import private_folder
from storage.versions.store import Store
from tests.data.running_service import Running, free_port, running_service
from tests.data.running_service import until as wait_until
from tests.data.tiny_version import publish

BLOCK = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["bread"]\n'
ASKED = 16  # new connections, so that each of two workers answers some of them
WITHIN_S = 1.0
PATIENCE_S = 10.0  # of a busy machine


def call(
    port: int, method: str, path: str, body: str | None = None, content_type: str = ""
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": content_type} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def firsts(port: int) -> set[str]:
    """What stands first in answers on many connections."""
    bodies = [json.loads(call(port, "GET", "/recommend/anna?n=1")[1]) for _ in range(ASKED)]
    return {body["recommendations"][0]["product_id"] for body in bodies}


def until(port: int, wanted: set[str]) -> float:
    """Seconds until every answer begins with what is wanted."""
    began_s = time.monotonic()
    while firsts(port) != wanted:
        assert time.monotonic() - began_s < PATIENCE_S, f"not {wanted} after {PATIENCE_S} s"
    return time.monotonic() - began_s


@pytest.fixture(scope="module")
def operator_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, operator_port: int) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("rules")
    publish(Store(root / "store"))
    settings = {"operator_port": str(operator_port), "record_timeout_ms": "5000"}
    with running_service(root / "store", root / "log", workers=2, **settings) as running:
        yield running


def test_a_stock_flip_and_rules_are_on_all_workers_soon(service: Running, operator_port: int) -> None:
    port = service.port
    assert firsts(port) == {"milk"}
    taken_s: dict[str, float] = {}

    def timed(name: str, do: Callable[[], tuple[int, bytes]], wanted: str) -> None:
        status, body = do()
        assert status == 200, body
        taken_s[name] = until(port, {wanted})

    timed(
        "out of stock",
        lambda: call(port, "PUT", "/products/milk", '{"stock": 0}', "application/json"),
        "bread",
    )
    timed("rules", lambda: call(operator_port, "PUT", "/rules", BLOCK, "application/toml"), "butter")
    timed(
        "no rules", lambda: call(operator_port, "PUT", "/rules", "schema = 1\n", "application/toml"), "bread"
    )
    timed("in stock", lambda: call(port, "PUT", "/products/milk", '{"stock": 3}', "application/json"), "milk")
    assert sorted(taken_s.values())[1] < WITHIN_S, taken_s  # two may have met a busy moment


def test_what_workers_keep_for_each_other_outlasts_whoever_clears_temporary_files(
    service: Running, operator_port: int
) -> None:
    assert call(operator_port, "PUT", "/rules", BLOCK, "application/toml")[0] == 200
    folder = private_folder(service.log.parent / "store")
    kept = folder / "rules.json"
    wait_until(lambda: "bread" in kept.read_text(), PATIENCE_S)
    shutil.rmtree(folder)
    wait_until(kept.exists, PATIENCE_S)
    assert "bread" in kept.read_text()
    os.utime(kept, (0, 0))
    service.workers()[0].kill()  # the next one doesn't let the file grow old
    wait_until(lambda: kept.stat().st_mtime > 0, PATIENCE_S)
