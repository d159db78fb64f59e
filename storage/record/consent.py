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


def set_consent(
    connection: sa.Connection, customer_id: str, consent: Consent, *, now_ms: int, client: str
) -> int:
    """Put a consent in force and write it down, within a transaction that writes. Returns the new epoch."""
    consent_lock(connection, exclusive=True)
    epoch = next_change(connection)
    allowed = asdict(consent)
    statement = upsert(connection, customers, ["epoch", *CONSENTS])
    connection.execute(statement, {"customer_id": customer_id, "epoch": epoch} | allowed)
    connection.execute(
        sa.insert(consent_log),
        {"customer_id": customer_id, "at_ms": now_ms, "client": client} | allowed,
    )
    return epoch


def consent_of(connection: sa.Connection, customer_id: str, default: Consent) -> Consent:
    """What a customer allows; the shop's default until there was a word of the customer's own."""
    columns = [customers.c[name] for name in CONSENTS]
    row = connection.execute(sa.select(*columns).where(customers.c.customer_id == customer_id)).first()
    if row is None or row[0] is None:
        return default
    return Consent(*map(bool, row))
