"""Puts consents in force that the shop's own table tells, of customers who said nothing by themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import sqlalchemy as sa

from storage.record.consent import SHOPS_TABLE, Consent
from storage.record.personal import erased_ms
from storage.record.record import Record
from storage.record.statements import consent_lock, next_change, parts, upsert
from storage.record.tables import CONSENTS, consent_log, customers

_BY_TABLE = consent_log.c.client == SHOPS_TABLE


def take_shop_consents(
    record: Record, told: Mapping[str, Mapping[str, bool]], default: Consent, *, now_ms: int
) -> int:
    """Put in force what a table tells; how many consents changed. Asked again it changes nothing more.

    A customer's own word goes before the table's, and whoever was erased isn't brought back by it.

    Args:
        told: by customer, what the table has; what it leaves open is the default, also where it said
            something once and leaves all of it open now.
    Raises:
        RecordUnavailableError: some may be in force: ask again.
    """
    changed = 0
    with record.reading() as connection:
        before = set(connection.execute(sa.select(consent_log.c.customer_id).where(_BY_TABLE)).scalars())
    for some in parts(one for one, said in told.items() if said or one in before):
        with record.reading() as connection:
            wanted = _wanted(connection, record, some, told, default)
        if not wanted:
            continue
        with record.writing() as connection:
            consent_lock(connection, exclusive=True)
            wanted = _wanted(connection, record, some, told, default)  # somebody may have spoken meanwhile
            changed += len(wanted)
            _put(connection, wanted, now_ms)
    return changed


def _wanted(
    connection: sa.Connection,
    record: Record,
    customer_ids: Sequence[str],
    told: Mapping[str, Mapping[str, bool]],
    default: Consent,
) -> dict[str, Consent]:
    """The consents that are to change."""
    columns = [customers.c[name] for name in CONSENTS]
    rows = sa.select(customers.c.customer_id, *columns).where(
        customers.c.customer_id.in_(customer_ids), customers.c.personalise.is_not(None)
    )
    now = {customer_id: Consent(*map(bool, said)) for customer_id, *said in connection.execute(rows)}
    own = _spoke_themselves(connection, list(now))
    erased = erased_ms(connection, record.key, customer_ids)
    wanted = {}
    for customer_id in customer_ids:
        consent = Consent(**asdict(default) | dict(told[customer_id]))
        if customer_id not in own | erased.keys() and consent != now.get(customer_id, default):
            wanted[customer_id] = consent
    return wanted


def _spoke_themselves(connection: sa.Connection, customer_ids: Sequence[str]) -> set[str]:
    """Those whose consent in force isn't the table's."""
    log = consent_log.c
    last = sa.select(sa.func.max(log.id)).where(log.customer_id.in_(customer_ids)).group_by(log.customer_id)
    by_table = sa.select(log.customer_id).where(log.id.in_(last), _BY_TABLE)
    return set(customer_ids).difference(connection.execute(by_table).scalars())


def _put(connection: sa.Connection, wanted: Mapping[str, Consent], now_ms: int) -> None:
    if not wanted:
        return
    log = [
        {"customer_id": customer_id, "at_ms": now_ms, "client": SHOPS_TABLE, **asdict(consent)}
        for customer_id, consent in wanted.items()
    ]
    connection.execute(sa.insert(consent_log), log)
    epoch = next_change(connection)
    rows = [
        {"customer_id": customer_id, "epoch": epoch, **asdict(consent)}
        for customer_id, consent in wanted.items()
    ]
    connection.execute(upsert(connection, customers, ["epoch", *CONSENTS]), rows)
