"""How many promises of each offer weren't redeemed: a number that is kept, since counting takes too long.

It counts the rows of `offer_promises` that aren't marked as redeemed. Whoever adds, deletes or marks one
changes it in the same transaction, behind the lock of the budgets. Redemptions come in without that lock:
each count looks for those of the last minutes, and a lease marks the promises of those before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from storage.record.events import EventType
from storage.record.live import CLOCKS_DIFFER_MS
from storage.record.statements import insert_sum, parts, take_time
from storage.record.tables import events, offer_counts, offer_leases, offer_promises

_BUDGET_LOCK = 0x6E6262756467  # of Postgres' advisory locks
MOST_FORGOTTEN = 200
"""Ended promises that are deleted in one go: on SQLite nobody else writes meanwhile."""
_MOST_ENDED = 1000  # that a count looks at: what else has ended counts until it is deleted
_MOST_NEW = 20_000  # redemptions that a count looks at: others count twice until they are marked
_MOST_MARKED = 2000  # redemptions whose promises one lease marks: 20,000 took longer than a worker waits
_RECOUNT_MS = 60_000  # of one statement
_MARK_EACH_MS = 60_000
NEVER_MS = 2**62
IS_REDEMPTION = sa.and_(events.c.type == EventType.PURCHASE.value, events.c.offer_id.is_not(None))


def lock_budgets(connection: sa.Connection) -> None:
    """One at a time, after a `consent_lock` if there is one: on SQLite every writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_BUDGET_LOCK)))


class Kept(NamedTuple):
    """What is kept of an offer.

    Attributes:
        promised: how many of its promises aren't marked as redeemed.
        marked_ms: of all redemptions that were received before this, the promises are marked.
    """

    promised: int
    marked_ms: int


def kept_of(connection: sa.Connection, offer_id: str) -> Kept:
    found = sa.select(offer_counts.c.promised, offer_counts.c.marked_ms)
    row = connection.execute(found.where(offer_counts.c.offer_id == offer_id)).first()
    return Kept(*row) if row else Kept(0, NEVER_MS)


def add(connection: sa.Connection, offer_id: str, promised: int, since_ms: int) -> Kept:
    """Count more promises of an offer, the first of them made at this time; what is kept then."""
    more = {"offer_id": offer_id, "promised": promised, "marked_ms": since_ms}
    told = offer_counts.c.promised, offer_counts.c.marked_ms
    summed = insert_sum(connection, offer_counts, "promised").returning(*told)
    return Kept(*connection.execute(summed, more).one())


def _subtract(connection: sa.Connection, fewer: Mapping[str, int]) -> None:
    promised = offer_counts.c.promised
    for offer_id, n in sorted(fewer.items()):
        if n:
            mine = sa.update(offer_counts).where(offer_counts.c.offer_id == offer_id)
            connection.execute(mine.values(promised=promised - n))


def no_longer(offer_id: str, kept: Kept, now_ms: int) -> sa.ScalarSelect[int]:
    """How many of those that are kept count no more: they ended, or were redeemed lately."""
    promised = offer_promises.c
    first = sa.select(promised.offer_id, promised.is_redeemed).where(promised.ends_ms <= now_ms)
    ended = first.order_by(promised.ends_ms).limit(_MOST_ENDED).subquery()
    n_ended = sa.select(sa.func.count()).select_from(ended)
    n_ended = n_ended.where(ended.c.offer_id == offer_id, ended.c.is_redeemed.is_(False))
    new = sa.select(events.c.customer_id, events.c.received_ms).where(*_since(offer_id, kept))
    new_ones = new.order_by(events.c.received_ms).limit(_MOST_NEW).subquery()
    by_them = new_ones.c.customer_id == promised.customer_id
    since_then = new_ones.c.received_ms >= promised.promised_ms
    n_redeemed = (
        sa.select(sa.func.count(promised.id.distinct()))
        .select_from(new_ones.join(offer_promises, by_them & since_then))
        .where(promised.offer_id == offer_id, promised.ends_ms > now_ms, promised.is_redeemed.is_(False))
    )
    return sa.select(n_ended.scalar_subquery() + n_redeemed.scalar_subquery()).scalar_subquery()


def _since(offer_id: str, kept: Kept) -> tuple[sa.ColumnElement[bool], ...]:
    """Of an event: whether it is a redemption whose promise needn't be marked yet."""
    return (events.c.offer_id == offer_id, events.c.received_ms >= kept.marked_ms, IS_REDEMPTION)


def was_redeemed() -> sa.Exists:
    """Of a promise: whether a redemption came in since it was made."""
    return sa.exists().where(
        events.c.offer_id == offer_promises.c.offer_id,
        events.c.customer_id == offer_promises.c.customer_id,
        events.c.received_ms >= offer_promises.c.promised_ms,
        IS_REDEMPTION,
    )


def mark_before(connection: sa.Connection, offer_id: str, kept: Kept, now_ms: int) -> None:
    """Mark the promises of redemptions that no worker still writes, behind the lock; of many the first."""
    before_ms = now_ms - CLOCKS_DIFFER_MS
    if before_ms < kept.marked_ms + _MARK_EACH_MS:
        return
    lately = (*_since(offer_id, kept), events.c.received_ms < before_ms)
    in_order = sa.select(events.c.received_ms).where(*lately).order_by(events.c.received_ms)
    too_many_ms = connection.scalar(in_order.offset(_MOST_MARKED).limit(1))
    if too_many_ms is not None:  # but all that came in one batch, which have one time
        before_ms = max(int(too_many_ms), kept.marked_ms + 1)
    redeemers = sa.select(events.c.customer_id).where(*lately, events.c.received_ms < before_ms)
    theirs = (offer_promises.c.offer_id == offer_id, offer_promises.c.customer_id.in_(redeemers))
    marked = _mark(connection, theirs)
    promised = offer_counts.c.promised - marked
    mine = sa.update(offer_counts).where(offer_counts.c.offer_id == offer_id)
    connection.execute(mine.values(promised=promised, marked_ms=before_ms))


def mark_again(connection: sa.Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Mark promises anew, by offer and customer, whose redemptions came, went or came earlier than they
    did; behind the lock."""
    customers = defaultdict(set)
    for offer_id, customer_id in pairs:
        customers[offer_id].add(customer_id)
    fewer = Counter[str]()
    for offer_id, names in customers.items():
        for some in parts(names):
            theirs = (offer_promises.c.offer_id == offer_id, offer_promises.c.customer_id.in_(some))
            not_any_more = (*theirs, offer_promises.c.is_redeemed.is_(True), sa.not_(was_redeemed()))
            undone = sa.update(offer_promises).where(*not_any_more).values(is_redeemed=False)
            fewer[offer_id] += _mark(connection, theirs) - connection.execute(undone).rowcount
    _subtract(connection, fewer)


def _mark(connection: sa.Connection, which: Iterable[sa.ColumnElement[bool]]) -> int:
    open_ones = sa.update(offer_promises).where(*which, offer_promises.c.is_redeemed.is_(False))
    return connection.execute(open_ones.where(was_redeemed()).values(is_redeemed=True)).rowcount


def delete(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> int:
    """Delete promises, behind the lock; how many."""
    gone = sa.delete(offer_promises).where(*which)
    told = connection.execute(gone.returning(offer_promises.c.offer_id, offer_promises.c.is_redeemed)).all()
    _subtract(connection, Counter(offer_id for offer_id, is_redeemed in told if not is_redeemed))
    return len(told)


def wrong_by(connection: sa.Connection) -> dict[str, int]:
    """How many are kept too few, by offer; reads all promises. A service of a release that didn't keep them
    may have written after the record was brought up to date."""
    take_time(connection, _RECOUNT_MS)
    open_ones = sa.select(offer_promises.c.offer_id, sa.literal(1).label("n"))
    of_kept = sa.select(offer_counts.c.offer_id, -offer_counts.c.promised)
    each = sa.union_all(open_ones.where(offer_promises.c.is_redeemed.is_(False)), of_kept).subquery()
    more = sa.func.sum(each.c.n)
    rows = sa.select(each.c.offer_id, more).group_by(each.c.offer_id).having(more != 0)
    return {offer_id: int(n) for offer_id, n in connection.execute(rows)}


def put_right(connection: sa.Connection) -> None:
    """Keep what a count of all promises says, within a transaction that writes."""
    lock_budgets(connection)
    for offer_id, n in sorted(wrong_by(connection).items()):
        add(connection, offer_id, n, 0)


def forget_old(connection: sa.Connection, now_ms: int, most: int = MOST_FORGOTTEN) -> int:
    """Delete leases and some promises that count no more, within a transaction that writes; how many
    promises.

    Args:
        most: promises.
    """
    lock_budgets(connection)
    connection.execute(sa.delete(offer_leases).where(offer_leases.c.counts_until_ms <= now_ms))
    ended = sa.select(offer_promises.c.id).where(offer_promises.c.ends_ms <= now_ms)
    first = ended.order_by(offer_promises.c.ends_ms).limit(most)
    return delete(connection, offer_promises.c.id.in_(first))
