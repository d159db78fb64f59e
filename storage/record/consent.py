"""What a customer allows: the four consents in force, and a log of every change to them."""

from dataclasses import asdict, dataclass, fields

import sqlalchemy as sa

from storage.record.statements import consent_lock, next_change, upsert
from storage.record.tables import CONSENTS, consent_log, customers


@dataclass(frozen=True, slots=True)
class Consent:
    """What is allowed.

    Attributes:
        personalise: the own history may be the reason of a recommendation.
        train: the night may learn from the purchases.
        experiment: the customer may take part in A/B tests.
        store: events may be kept.
    """

    personalise: bool
    train: bool
    experiment: bool
    store: bool


PRESETS = {
    "all": Consent(True, True, True, True),
    "no_personalisation": Consent(False, True, False, True),
    "nothing": Consent(False, False, False, False),
}

assert tuple(field.name for field in fields(Consent)) == CONSENTS

SHOPS_TABLE = "the shop's table"
"""Who changed a consent, where the log has this; no key is called so. It isn't the customer's own word."""


def set_consent(
    connection: sa.Connection, customer_id: str, consent: Consent, *, now_ms: int, client: str
) -> int:
    """Put a consent in force and write it down, within a transaction that writes. Returns the epoch of it.

    Where it is the customer's own word already, nothing is written.
    """
    consent_lock(connection, exclusive=True)
    known = _own_word(connection, customer_id)
    if known is not None and known[0] == consent:
        return known[1]
    epoch = next_change(connection)
    allowed = asdict(consent)
    statement = upsert(connection, customers, ["epoch", *CONSENTS])
    connection.execute(statement, {"customer_id": customer_id, "epoch": epoch} | allowed)
    connection.execute(
        sa.insert(consent_log), {"customer_id": customer_id, "at_ms": now_ms, "client": client} | allowed
    )
    return epoch


def _own_word(connection: sa.Connection, customer_id: str) -> tuple[Consent, int] | None:
    """What a customer said themselves, and their epoch; None where the default or the table speaks."""
    mine = customers.c.customer_id == customer_id, customers.c.personalise.is_not(None)
    row = connection.execute(
        sa.select(customers.c.epoch, *(customers.c[name] for name in CONSENTS)).where(*mine)
    ).first()
    log = sa.select(consent_log.c.client).where(consent_log.c.customer_id == customer_id)
    if row is None or connection.scalar(log.order_by(consent_log.c.id.desc()).limit(1)) == SHOPS_TABLE:
        return None
    return Consent(*map(bool, row[1:])), int(row[0])


def consent_of(connection: sa.Connection, customer_id: str, default: Consent) -> Consent:
    """What a customer allows; the shop's default until there was a word of the customer's own."""
    columns = [customers.c[name] for name in CONSENTS]
    row = connection.execute(sa.select(*columns).where(customers.c.customer_id == customer_id)).first()
    if row is None or row[0] is None:
        return default
    return Consent(*map(bool, row))
