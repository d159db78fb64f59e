"""Lets go of the ids of customers who allowed or forbade nothing and of whose purchases none is left."""

import time

import sqlalchemy as sa

from storage.record.changes import clock_now
from storage.record.live import IS_TRADE
from storage.record.record import Record
from storage.record.statements import upsert
from storage.record.tables import customers, events, record_facts

HEARD_MS = 60_000  # by then workers that reach the record have heard of a change
LOOK = 1_000  # ids of one transaction
PAUSE_S = 0.05  # between two of them, in which others write
_FACT = "bare ids were looked for"
_HAS_TRADE = sa.exists().where(events.c.customer_id == customers.c.customer_id, IS_TRADE)


def forget_bare_ids(record: Record) -> int:
    """Delete those that have been bare since this was asked for last, a while ago; how many.

    That the last purchase went workers hear by the customer's epoch, and they look for it once a second: so
    what became bare since the last time stays until the next.
    """
    with record.writing() as connection:
        known = sa.select(record_facts.c.value).where(record_facts.c.name == _FACT)
        last, _, at_ms = (connection.scalar(known) or "0 0").partition(" ")
        now_ms = int(time.time() * 1000)
        if 0 <= now_ms - int(at_ms) < HEARD_MS:  # on another machine, or twice by hand
            return 0
        fact = {"name": _FACT, "value": f"{clock_now(connection)} {now_ms}"}
        connection.execute(upsert(connection, record_facts, ["value"]), fact)
    one, forgotten, after = customers.c.customer_id, 0, ""
    bare = (customers.c.epoch <= int(last)) & customers.c.personalise.is_(None) & sa.not_(_HAS_TRADE)
    while True:
        some = sa.select(one).where(one > after).order_by(one).limit(LOOK)
        with record.reading() as connection:
            looked_at = connection.execute(some).scalars().all()
            if not looked_at:
                return forgotten
            stretch, after = one.between(looked_at[0], looked_at[-1]), looked_at[-1]
            found = connection.execute(sa.select(one).where(stretch, bare)).scalars().all()
        if found:
            with record.writing() as connection:  # where somebody bought meanwhile the epoch is another one
                locked = sa.select(one).where(one.in_(found), bare).order_by(one).with_for_update()
                ids = connection.execute(locked).scalars().all()  # in the order in which others lock them
                connection.execute(sa.delete(customers).where(one.in_(ids)))
            forgotten += len(ids)
        time.sleep(PAUSE_S)
