"""What customers allow, and who was erased: which of them may somebody still do something with?"""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from storage.record.consent import Consent
from storage.record.erasure_key import ErasureKey
from storage.record.record import Record
from storage.record.statements import among, parts
from storage.record.tables import customers, tombstones


def allowing(
    record: Record, customer_ids: Sequence[str], consents: Sequence[str], *, tombstone: int, default: Consent
) -> list[bool]:
    """For each customer, whether all of these consents are given and no erasure came after the version.

    Args:
        consents: of the fields of `Consent`.
        tombstone: number of the latest erasure that the version knows; 0 for none.
        default: of those who said nothing.
    Raises:
        RecordUnavailableError: it can't be read.
    """
    columns = [customers.c[name] for name in consents]
    told = sa.select(customers.c.customer_id, *columns).where(customers.c.personalise.is_not(None))
    later = sa.select(tombstones.c.customer_hash).where(tombstones.c.number > tombstone)
    with record.reading() as connection:
        said = {customer_id: all(words) for customer_id, *words in connection.execute(told)}
        erased = {bytes(hashed) for hashed in connection.execute(later).scalars()}
    by_default = all(getattr(default, name) for name in consents)
    return [
        said.get(customer_id, by_default) and not (erased and record.key.hash_of(customer_id) in erased)
        for customer_id in customer_ids
    ]


def may_be_named(
    connection: sa.Connection, key: ErasureKey, seen_ms: Mapping[str, int], *, stores_by_default: bool
) -> set[str]:
    """Those customers of whom it may be stored what they did at these times; under a `consent_lock`.

    Not those who don't allow it, nor those who were erased, but for what they did after a new consent.
    """
    said = what_they_say(connection, seen_ms, "store")
    erased = erased_ms(connection, key, seen_ms)
    return {
        customer_id
        for customer_id, at_ms in seen_ms.items()
        if (stores_by_default if (store := said.get(customer_id)) is None else store)
        and (customer_id not in erased or (customer_id in said and at_ms > erased[customer_id]))
    }


def what_they_say(
    connection: sa.Connection, customer_ids: Iterable[str], consent: str
) -> dict[str, bool | None]:
    """One of the consents of each customer who is known here; None for those who said nothing.

    Args:
        consent: of the fields of `Consent`.
    """
    found: dict[str, bool | None] = {}
    for some in parts(customer_ids):
        rows = sa.select(customers.c.customer_id, customers.c[consent])
        theirs = rows.where(among(connection, customers.c.customer_id, some))
        found.update((customer_id, said) for customer_id, said in connection.execute(theirs))
    return found


def erased_ms(connection: sa.Connection, key: ErasureKey, customer_ids: Iterable[str]) -> dict[str, int]:
    """When each customer was erased who was, in Unix milliseconds."""
    by_hash = {key.hash_of(customer_id): customer_id for customer_id in customer_ids}
    found: dict[str, int] = {}
    for some in parts(by_hash):
        rows = sa.select(tombstones.c.customer_hash, tombstones.c.erased_ms)
        stones = connection.execute(rows.where(among(connection, tombstones.c.customer_hash, some)))
        found.update((by_hash[bytes(hashed)], ms) for hashed, ms in stones)
    return found
