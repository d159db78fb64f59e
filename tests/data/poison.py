"""An attacker with one API key of a shop's back end: what they can send, and how far lists move by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product as product_of
from pathlib import Path

from models.arrays import DAY_MS
from service.answering.first_level import FirstLevel
from service.events.schemas import check_event
from service.recommender import Recommender
from service.settings import Settings
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.erasure_key import load_erasure_key
from storage.record.events import DailyCaps, Event, Outcome, Sending
from storage.record.intake import Intake
from storage.record.record import Record, record_url
from storage.record.schema import prepare
from tests.data.nights import champion

HONEST, STOLEN = "k-shop", "k-stolen"
CAPS = DailyCaps(
    Settings.model_fields["trade_per_customer_day"].default,
    Settings.model_fields["events_per_customer_day"].default,
)
K = 10


@dataclass(frozen=True)
class Shop:
    """A store's record, and what a worker would let in at a fixed moment."""

    store: Path
    products: frozenset[str]
    now_ms: int
    caps: DailyCaps = CAPS

    def open(self) -> Record:
        self.store.mkdir(exist_ok=True)
        where = record_url(self.store, None)
        prepare(where)
        return Record(where, load_erasure_key(self.store, None), lock_ms=10_000)

    def send(self, events: Sequence[Event], client: str) -> list[Outcome]:
        """What becomes of events, in batches as the route takes them."""
        outcomes: list[Outcome] = []
        record = self.open()
        taking = Intake(record.key, self.caps, True, self.products.__contains__)
        for start in range(0, len(events), 1000):
            with record.writing() as connection:
                sending = Sending("", client, self.now_ms)
                outcomes += taking.take(connection, sending, events[start : start + 1000])
        record.close()
        return outcomes


def sent(
    event_id: str, customer: str, product: str, at_ms: int, *, kind: str = "purchase", order: str = ""
) -> Event:
    """An event as the service takes it from a request."""
    said = {"type": kind, "event_id": event_id, "customer_id": customer, "product_id": product}
    said |= {"occurred_at": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()}
    return check_event(said | ({"order_id": order} if order else {}), at_ms)


def pairs(
    customers: Sequence[str], products: tuple[str, str], *, orders: int, days: int, now_ms: int
) -> list[Event]:
    """So many orders of two products by each of these customers on each of the last days."""
    found = []
    for customer, day, number in product_of(customers, range(1, days + 1), range(orders)):
        order, at_ms = f"x-{customer}-{day}-{number}", now_ms - day * DAY_MS
        found += [sent(f"{order}/{one}", customer, one, at_ms, order=order) for one in products]
    return found


def returns(customers: Sequence[str], product: str, at_ms: int) -> list[Event]:
    """Returns of a product by customers who never sent it back."""
    return [sent(f"r-{one}", one, product, at_ms, kind="return") for one in customers]


@dataclass(frozen=True)
class Lists:
    """The first ten products of each honest customer, and of all lists that are for everybody.

    Attributes:
        of_all: `popular`, `similar` to a product, what goes with it in a `basket`, and what is popular in
            each category, by name.
    """

    by_customer: dict[str, list[str]]
    of_all: dict[str, list[str]]

    @classmethod
    def of(cls, store: Path, customers: Sequence[str], about: str) -> "Lists":
        version = champion(store)
        served = ServedVersion(version, version.manifest.default_variant)
        recommender, query = Recommender(FirstLevel(1, 0), None), Query(K)

        def names(answer: object) -> list[str]:
            return [served.products[pick[0]] for pick in answer.picks]  # type: ignore[attr-defined]

        row = served.products.find(about)
        cart = Query(K, exclude=(about,))
        of_all = {
            "popular": names(recommender.popular(served, query)),
            "similar": names(recommender.similar(served, row, query)),
            "basket": names(recommender.complements(served, [row], None, cart)),
        }
        for category in served.categories:
            of_all[category] = names(recommender.popular(served, Query(K, category=category)))
        return cls({one: names(recommender.recommend(served, one, query)) for one in customers}, of_all)

    def share_with(self, product: str) -> float:
        """Of the customers, those who are shown a product."""
        return sum(product in listed for listed in self.by_customer.values()) / len(self.by_customer)

    def moved_from(self, before: "Lists") -> float:
        """Of all products shown, those that weren't before."""
        new = sum(len(set(listed) - set(before.by_customer[one])) for one, listed in self.by_customer.items())
        return new / sum(map(len, self.by_customer.values()))


def place_of(product: str, listed: Sequence[str]) -> int | None:
    """From 1; None if it isn't among them."""
    return listed.index(product) + 1 if product in listed else None


def utc_second(ms: int) -> str:
    """A moment as `record purge --since` takes it, rounded down."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
