"""What is new of a few customers, read from the record once: for whom lists are tried."""

from collections.abc import Callable, Sequence

from service.live.customers import LiveCustomers
from service.live.told import Told
from service.versions.served import ServedVersion
from storage.record.consent import Consent
from storage.record.live import customers_now, tombstones_after
from storage.record.record import Record


def news_of(
    record: Record, served: ServedVersion, customer_ids: Sequence[str], default: Consent
) -> Callable[[str], Told | None]:
    """As a worker knows it of these customers: consents, erasures, and what was bought since the night.

    Args:
        default: what holds for those who said nothing.
    Raises:
        NextbestError: the record can't be read.
    """
    live = LiveCustomers(default, most=len(customer_ids), clock=lambda: 0.0)
    with record.reading() as connection:
        live.erase(tombstones_after(connection, 0), record.key.hash_of)
        for one in customers_now(connection, customer_ids, served.since):
            live.take(one)
    live.heard()
    return live.of
