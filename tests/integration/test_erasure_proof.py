"""Erased means gone: the next model is that of a shop that never had the customer, and the id is nowhere."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
import requests

from storage.record.erasure import erase
from storage.record.erasure_key import load_erasure_key
from storage.record.record import FILE, Record, record_url
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.nights import champion, quick_night, run
from tests.data.redis_server import redis_server
from tests.data.running_service import Running, running_service, until
from tests.data.tiny_version import Bought, TinyOffer, TinyShop, publish
from tests.data.webshop import habits, write_shop

MARKER = "marker-4711"


def files_of_night(folder: Path, shop: Path, erased: str | None) -> dict[str, str]:
    """The hash of every file of the version that a night makes, by name."""
    folder.mkdir()
    store = folder / "store"
    store.mkdir()
    if erased is not None:
        prepare(record_url(store, None))
        record = Record(record_url(store, None), load_erasure_key(store, None), lock_ms=20_000)
        erase(record, erased, now_ms=int(datetime.now(UTC).timestamp() * 1000), client="")
        record.close()
    quick_night(shop, folder)
    return {name: entry.sha256 for name, entry in champion(store).manifest.files.items()}


def test_the_model_is_the_one_of_a_shop_that_never_had_the_customer(tmp_path: Path) -> None:
    lines = habits(customers=60, products=40, days=60)
    everybody = write_shop(tmp_path / "everybody", lines)
    others = write_shop(tmp_path / "others", [line for line in lines if line.customer != 7], unsold=range(40))
    known = files_of_night(tmp_path / "known", everybody, None)
    erased = files_of_night(tmp_path / "erased", everybody, "c7")
    never = files_of_night(tmp_path / "never", others, None)
    assert erased == never
    assert {name for name in known if known[name] != erased.get(name)} > {"purchases.parquet"}


def shop() -> TinyShop:
    """Where the marker bought milk often, is due for it, and likes an offer of butter."""
    plain = TinyShop()
    bought = [Bought("milk", times=5, interval_days=6.1)]
    return TinyShop(
        history=plain.history | {MARKER: bought},
        candidates=plain.candidates | {MARKER: [("pear", "milk"), ("plum", "milk")]},
        offers=[TinyOffer("o1", ["butter"], {"": (0.1, 0.1), MARKER: (0.9, 0.01)})],
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Running, Path, redis.Redis]]:
    """A worker with a Redis of the test's own; two versions know the marker."""
    store = tmp_path / "store"
    publish(Store(store), shop(), now=datetime(2018, 1, 1, tzinfo=UTC))
    publish(Store(store), shop(), now=datetime(2018, 1, 2, tzinfo=UTC))
    (tmp_path / "redis").mkdir()
    patient = {"redis_timeout_ms": "1000", "record_timeout_ms": "5000"}  # other tests keep the machine busy
    with (
        redis_server(tmp_path / "redis") as server,
        running_service(store, tmp_path / "log", redis_url=server.url, slow_ms="1", **patient) as service,
    ):
        yield service, store, redis.Redis(unix_socket_path=str(server.socket))


def told(service: Running, path: str) -> object:
    answer = service.get(path).json()
    return {key: value for key, value in answer.items() if key not in ("request_id", "customer_id")}


def in_redis(server: redis.Redis) -> int:
    return sum(MARKER.encode() in key + (server.dump(key) or b"") for key in server.scan_iter())


def in_record(store: Path) -> int:
    return sum(file.read_bytes().count(MARKER.encode()) for file in (store / FILE).parent.iterdir())


def shown(service: Running, store: Path, server: redis.Redis) -> dict[str, bool]:
    return {
        "redis": in_redis(server) > 0,
        "record": in_record(store) > 0,
        "log": MARKER in service.log.read_text(),
    }


ROUTES = ("/recommend/{}?n=5", "/recommend/{}?n=5&objective=reorder", "/offers/{}", "/reorder/{}")


def test_an_erased_id_is_nowhere_and_no_answer_is_made_of_it_also_after_a_rollback(
    running: tuple[Running, Path, redis.Redis],
) -> None:
    service, store, server = running
    event = {"event_id": "e1", "type": "view", "customer_id": MARKER, "product_id": "milk"}
    requests.post(f"{service.url}/events", json=event, timeout=5).raise_for_status()
    customer = f"{service.url}/customers/{MARKER}"
    requests.put(customer, json={"consent": "all"}, timeout=5).raise_for_status()
    before = {route: told(service, route.format(MARKER)) for route in ROUTES}
    strangers = {route: told(service, route.format("stranger")) for route in ROUTES}
    assert not any(before[route] == strangers[route] for route in ROUTES)
    until(lambda: in_redis(server) > 0, 20)
    assert shown(service, store, server) == {"redis": True, "record": True, "log": False}
    requests.delete(customer, timeout=5).raise_for_status()
    for route in ROUTES:
        assert told(service, route.format(MARKER)) == told(service, route.format("stranger")), route
    held = service.get(f"/customers/{MARKER}").json()
    assert (held["events"], held["consents"], held["night"]) == ([], [], None)
    ran = run("rollback", "--store", store)
    assert ran.code == 0, ran.err
    current = Store(store).champion()
    assert current
    until(lambda: service.get("/recommend/stranger").json()["version"] == current.current.version_id, 10)
    for route in ROUTES:
        assert told(service, route.format(MARKER)) == told(service, route.format("stranger")), route
    assert service.get(f"/customers/{MARKER}").json()["night"] is None
    assert shown(service, store, server) == {"redis": False, "record": False, "log": False}
