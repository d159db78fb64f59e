"""Of which customers of a version personal lists may still be written to a file."""

from collections.abc import Sequence

import sqlalchemy as sa

from storage.record.record import Record
from storage.record.tables import customers, tombstones


def may_have_lists(
    record: Record, customer_ids: Sequence[str], *, tombstone: int, by_default: bool
) -> list[bool]:
    """For each customer, whether the consent `personalise` is given and no erasure came after the version.

    Args:
        tombstone: number of the latest erasure that the version knows; 0 for none.
        by_default: the consent of who said nothing.
    Raises:
        RecordUnavailableError: it can't be read.
    """
    consents = sa.select(customers.c.customer_id, customers.c.personalise).where(
        customers.c.personalise.is_not(None)
    )
    later = sa.select(tombstones.c.customer_hash).where(tombstones.c.number > tombstone)
    with record.reading() as connection:
        said = {customer_id: bool(allowed) for customer_id, allowed in connection.execute(consents)}
        erased = {bytes(hashed) for hashed in connection.execute(later).scalars()}
    return [
        said.get(customer_id, by_default) and not (erased and record.key.hash_of(customer_id) in erased)
        for customer_id in customer_ids
    ]
