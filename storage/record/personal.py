"""Which customers of a version still allow what somebody is about to do with them."""

from collections.abc import Sequence

import sqlalchemy as sa

from storage.record.consent import Consent
from storage.record.record import Record
from storage.record.tables import customers, tombstones


def allowing(
    record: Record, customer_ids: Sequence[str], consents: Sequence[str], *, tombstone: int, default: Consent
) -> list[bool]:
    """For each customer, whether all of these consents are given and no erasure came after the version.

    Args:
        consents: of the fields of `Consent`.
        tombstone: number of the latest erasure that the version knows; 0 for none.
        default: of who said nothing.
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
