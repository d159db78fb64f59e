"""A worker's app whose clock stands where a replay wants it: real routes, a real record, one process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.answering.first_level import FirstLevel
from service.app import create_app
from service.events.counters import EventCounters
from service.events.desk import EventDesk
from service.live.customers import LiveCustomers
from service.live.follower import LiveFollower
from service.live.products import LiveProducts
from service.live.reader import LiveReader
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.record import RecordDoor
from service.routes.products import ProductDesk
from service.rules.book import RuleBook
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.tiny_service import plain_parts

PATIENT_MS = 10_000
ATTEMPTS = 10  # a busy machine's disk may take longer than the record waits
BATCH = 500  # events of one request


class Clock:
    """Unix seconds, set by hand."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class ReplayShop:
    """The service over a store's champion.

    Args:
        folder: for its own record, so that the store has nothing of it.
    """

    def __init__(self, store: Path, folder: Path, clock: Clock) -> None:
        url = f"sqlite:///{folder / 'record.db'}"
        settings = Settings(store=store, record_url=url, record_timeout_ms=PATIENT_MS)
        prepare(record_url(store, url))
        metrics, live = Metrics(None), LiveProducts()
        champion = ChampionFollower(Store(store), metrics, 1, live)
        champion.look()
        assert champion.current is not None
        since = champion.current.served.since
        events = EventCounters(metrics.registry)
        door = RecordDoor(settings, events)
        known = LiveCustomers(most=settings.live_customers)
        reader = LiveReader(door, known, lambda: since)
        reader.look()
        news = self._news = LiveFollower(reader, poll_s=1, wait_s=PATIENT_MS / 1000)
        book = RuleBook(clock=clock)
        recommender = Recommender(FirstLevel(1, 0), None, known.of, book=book, clock=clock)
        desk = EventDesk(
            settings, door, events, champion.knows_product, champion.knows_offer, news.catch_up, clock
        )
        products = ProductDesk(door, live, champion.has_product)
        offers = OfferDesk(known.of, book)
        others = {"desk": desk, "products": products, "offers": offers}
        parts = plain_parts(settings, champion, recommender, metrics, events, door, **others)
        self._client = create_app(parts).test_client()

    def recommend(self, customer_id: str, n: int) -> list[str]:
        """The products of GET /recommend."""
        self._news.catch_up()  # as a worker does all the time: else nobody is personal after 300 s
        answer = self._client.get(f"/recommend/{customer_id}?n={n}")
        assert answer.status_code == 200, answer.text
        return [item["product_id"] for item in answer.json["recommendations"]]  # type: ignore[index]

    def send(self, events: Sequence[dict[str, Any]]) -> int:
        """Send events; how many were recorded."""
        recorded = 0
        for start in range(0, len(events), BATCH):
            for _ in range(ATTEMPTS):  # an event that was kept all the same is known by its id
                answer = self._client.post("/events", json={"events": list(events[start : start + BATCH])})
                if answer.status_code != 503:
                    break
            assert answer.status_code == 200, answer.text
            recorded += answer.json["recorded"]  # type: ignore[index]
        return recorded
