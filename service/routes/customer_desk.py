"""What customers allow, what is held of them, and their erasure: in the record first, then in answers."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

import structlog

from models.arrays import NONE
from service.live.customers import LiveCustomers
from service.record import ERASE_AGAIN, SEND_AGAIN, RecordDoor
from service.versions.served import EPOCH, ServedVersion
from storage.files.shop_files import ShopFile
from storage.record.changes import Tombstone
from storage.record.consent import Consent, set_consent
from storage.record.erasure import Erasure, allowed_by, erase
from storage.record.erasure_key import ErasureKey
from storage.record.holdings import Holdings, holdings_of
from storage.record.record import Record
from storage.record.statements import consent_lock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OfTheNight:
    """What the version that answers has of a customer: the shop's own columns and segments, products bought,
    and products and offers that are listed, best first."""

    version_id: str
    columns: dict[str, str]
    segments: list[str]
    bought: tuple[dict[str, object], ...] = ()
    listed: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """All that is held of a customer. `night` is None of somebody whom the version doesn't know."""

    consent: Consent
    record: Holdings
    night: OfTheNight | None


class CustomerDesk:
    """The use cases behind /customers.

    Args:
        default: what is allowed by those who said nothing.
        live: what this worker obeys; it is told of refusals and erasures as soon as they are committed.
        told: makes this worker read what else was committed, before it is acknowledged; it may fail.
        served: the version that answers; None before there is one.
        forget: lets go of a customer's lists outside this process, as far as that is possible now.
        files: those with customers' ids that were written for the shop.
    """

    def __init__(
        self,
        door: RecordDoor,
        *,
        default: Consent,
        live: LiveCustomers,
        told: Callable[[], None] = lambda: None,
        served: Callable[[], ServedVersion | None] = lambda: None,
        forget: Callable[[str], None] = lambda customer_id: None,
        files: Callable[[], list[ShopFile]] = list,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._door, self._default = door, default
        self._told, self._live, self._served, self._forget = told, live, served, forget
        self._files, self._clock = files, clock

    def consent(self, customer_id: str) -> Consent:
        """What a customer allows.

        Raises:
            RefusedError: the record can't be used now.
        """

        def read(record: Record) -> Consent:
            with record.reading() as connection:
                return allowed_by(connection, record.key, customer_id, self._default)

        return self._door.do(read)

    def change(self, customer_id: str, wanted: dict[str, bool], client: str) -> Consent:
        """Put a consent in force; what `wanted` doesn't name stays. Durable and obeyed here at its end. What
        the customer said already adds nothing to the record.

        Raises:
            RefusedError: the record can't be used now; it may be in force or not.
        """

        def write(record: Record) -> tuple[Consent, int]:
            with record.writing() as connection:
                consent_lock(connection, exclusive=True)  # first: else of two at once one is lost
                before = allowed_by(connection, record.key, customer_id, self._default)
                consent = Consent(**asdict(before) | wanted)
                now_ms = self._now_ms()
                return consent, set_consent(connection, customer_id, consent, now_ms=now_ms, client=client)

        consent, epoch = self._door.do(write, SEND_AGAIN)
        allowed = {"personalise": consent.personalise, "experiment": consent.experiment}
        self._live.said(customer_id, epoch, **allowed)  # at once: the record may be away by now
        self._told()
        return consent

    def held(self, customer_id: str) -> Held:
        """All that is held of a customer. Raises as `consent`."""
        consent = self.consent(customer_id)
        return Held(consent, holdings_of(self._door.do, customer_id), self._of_the_night(customer_id))

    def erase(self, customer_id: str, client: str) -> Erasure:
        """Delete all that is held of a customer. It is done, and obeyed here, when this returns.

        Raises:
            RefusedError: the record can't be used now: it must be asked again.
        """

        def write(record: Record) -> tuple[Erasure, ErasureKey]:
            return erase(record, customer_id, now_ms=self._now_ms(), client=client), record.key

        erasure, key = self._door.do(write, ERASE_AGAIN)
        self._forget(customer_id)  # while this worker still knows under which epoch they lie
        stone = Tombstone(erasure.number, key.hash_of(customer_id), erasure.epoch)
        self._live.erase([stone], key.hash_of)  # at once: the record may be away by now
        self._told()
        return erasure

    def files(self) -> list[ShopFile] | None:
        """Files for the shop in which an erased customer may still be; None if that can't be told now."""
        try:
            return self._files()
        except OSError as err:  # what was erased stays erased
            log.error("the files written for the shop can't be told", why=str(err))
            return None

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _of_the_night(self, customer_id: str) -> OfTheNight | None:
        served = self._served()
        if served is None:
            return None
        if self._live.erased(customer_id) > served.tombstone:
            return None  # it didn't know of the erasure: what it has is void
        customer_row = served.customers.find(customer_id)
        if customer_row == NONE:
            person_row = served.people.find_other(customer_id)
            return (
                None
                if person_row == NONE
                else OfTheNight(served.version_id, *served.people.told_of(person_row))
            )
        start, stop = served.history_of(customer_row)
        bought = (
            {
                "product_id": served.products[served.histories.product[place]],
                "orders": served.histories.times[place],
                "last_on": (EPOCH + timedelta(days=served.histories.last_day[place])).isoformat(),
            }
            for place in range(start, stop)
        )
        listed = (served.products[row] for row in served.candidate_rows[customer_row] if row != NONE)
        offers = (served.offers.ids[row] for row in served.offers.listed(customer_row)[0] if row != NONE)
        return OfTheNight(
            served.version_id,
            *served.people.told_of(customer_row),
            bought=tuple(bought),
            listed=tuple(listed),
            offers=tuple(offers),
        )
