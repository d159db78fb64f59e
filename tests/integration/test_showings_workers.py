"""How often a product was shown counts on all workers of a real service, and answers go on without Redis."""

import time
from collections import Counter
from pathlib import Path

import requests

from service.answering.showings import FRESH_S
from storage.versions.store import Store
from tests.data.running_service import Running, free_port, running_service
from tests.data.tiny_version import publish

TWICE = 'schema = 1\n[[rules]]\nid = "a"\nkind = "frequency"\nat_most = 2\ndays = 7\nplacements = ["home"]\n'
ASKED = 16  # new connections, so that each of two workers answers some of them
PATIENCE_S = 10.0  # of a busy machine


def put_rules(operator_port: int, rules: str) -> None:
    put = requests.put(
        f"http://127.0.0.1:{operator_port}/rules",
        data=rules,
        headers={"Content-Type": "application/toml"},
        timeout=10,
    )
    assert put.status_code == 200, put.text


def test_what_one_worker_showed_often_enough_no_other_shows_and_without_redis_answers_go_on(
    tmp_path: Path,
) -> None:
    publish(Store(tmp_path / "store"))
    operator_port = free_port()
    settings = {"operator_port": str(operator_port), "record_timeout_ms": "5000"}
    settings["redis_timeout_ms"] = "1000"  # who counts without it counts for one worker alone
    with running_service(tmp_path / "store", tmp_path / "log", workers=2, **settings) as service:
        put_rules(operator_port, TWICE)
        until_home(service, "probe", "milk", "bread")
        shown = [home(service, "ben") for _ in range(6)]
        assert Counter(shown) == {"apple": 2, "pear": 2, "plum": 2}
        for redis in service.redis():
            redis.kill()
        assert all(home(service, "anna", pause_s=0) for _ in range(ASKED))  # each worker counts by itself
        page = requests.get(f"http://127.0.0.1:{operator_port}/metrics", timeout=10).text
        held_back = [line for line in page.splitlines() if line.startswith("nextbest_held_back_total")]
        assert held_back[0].startswith('nextbest_held_back_total{what="products"}')


def home(service: Running, customer: str, pause_s: float = FRESH_S + 0.2) -> str:
    """What stands first at home, for whoever asks on a new connection; then a pause, as a person makes."""
    answer = service.get(f"/recommend/{customer}?n=1&placement=home")
    assert answer.status_code == 200, answer.text
    time.sleep(pause_s)
    return str(answer.json()["recommendations"][0]["product_id"])


def until_home(service: Running, customer: str, *products: str) -> None:
    """Wait until both workers count showings: each of these products is first in turn."""
    for product in products:
        began_s = time.monotonic()
        while home(service, customer) != product:
            assert time.monotonic() - began_s < PATIENCE_S
