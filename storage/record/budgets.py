"""Budgets of offers: workers lease parts of them and tell whom they promised, so that no budget is exceeded.

Whatever a worker was granted counts as spent until it tells what became of it. One that died without a word
may have promised all of it: its part counts for as long as such a promise would.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import Any, NamedTuple

import sqlalchemy as sa

from storage.record.erasure_key import ErasureKey
from storage.record.live import Since, ids_of_new, is_new
from storage.record.personal import may_be_named
from storage.record.promised import (
    IS_REDEMPTION,
    NEVER_MS,
    Kept,
    add,
    delete,
    kept_of,
    lock_budgets,
    mark_again,
    mark_before,
    no_longer,
    was_redeemed,
)
from storage.record.statements import consent_lock, insert_new_rows, parts
from storage.record.tables import events, offer_leases, offer_promises

SHARE = 8  # of what is left of a budget, one part at most goes to one worker


@dataclass(frozen=True, slots=True)
class Budget:
    """An offer of which only so many may be redeemed.

    Attributes:
        redeemed: as a night counted them, in the shop's own history and in the record.
        since: which redemptions it doesn't know.
    """

    offer_id: str
    redemptions: int
    redeemed: int
    since: Since


@dataclass(frozen=True, slots=True)
class Lease:
    """What a worker may promise."""

    lease_id: int
    offer_id: str
    granted: int


@dataclass(frozen=True, slots=True)
class Promise:
    """An offer that was shown to a customer, who may redeem it until it ends.

    Attributes:
        nameless: what stands for the customer where no name may be kept; by lot, so that it says nothing.
    """

    offer_id: str
    customer_id: str
    promised_ms: int
    ends_ms: int
    nameless: str = field(default_factory=partial(token_hex, 16), compare=False)


def left_of(connection: sa.Connection, budget: Budget, kept: Kept, now_ms: int) -> int:
    """How many may still be promised: less what was redeemed, is promised, or is leased; never below 0.

    Exact behind the lock of the budgets. One statement sees one state: what is redeemed or erased meanwhile
    is never left out.

    Args:
        kept: of the offer, as `kept_of` says.
    """
    redeemed = _redeemed(budget)
    gone = no_longer(budget.offer_id, kept, now_ms)
    counts = connection.execute(sa.select(gone, redeemed, _leased(budget.offer_id, now_ms))).one()
    no_more, new, leased = (int(n or 0) for n in counts)
    spent = budget.redeemed + new + kept.promised - no_more + leased
    return max(0, budget.redemptions - spent)


def lease(
    connection: sa.Connection, budgets: Iterable[Budget], worker: str, *, now_ms: int, counts_until_ms: int
) -> list[Lease]:
    """Take a part of each budget of which something is left, within a transaction that writes.

    Args:
        worker: who asks, by a name for this asking alone. Asked again by it, since nobody knows whether the
            first time was committed, what it took then is taken back.
        counts_until_ms: when the last promise from it would have ended, if nothing is heard of the worker.
    """
    lock_budgets(connection)
    connection.execute(sa.delete(offer_leases).where(offer_leases.c.worker == worker))
    leases = []
    for budget in budgets:
        kept = kept_of(connection, budget.offer_id)
        left = left_of(connection, budget, kept, now_ms)
        mark_before(connection, budget.offer_id, kept, now_ms)
        if not left:
            continue
        granted = -(-left // SHARE)
        row = {"offer_id": budget.offer_id, "worker": worker, "granted": granted, "used": 0}
        insert = sa.insert(offer_leases).returning(offer_leases.c.id)
        number = connection.execute(insert, row | {"counts_until_ms": counts_until_ms}).scalar_one()
        leases.append(Lease(int(number), budget.offer_id, granted))
    return leases


def tell(
    connection: sa.Connection,
    of: Lease,
    promises: Sequence[Promise],
    now_ms: int,
    *,
    key: ErasureKey,
    stores_by_default: bool,
) -> int:
    """Note promises that were made from a lease, within a transaction that writes.

    One that somebody else made before is the same promise: it takes nothing from this lease, and holds until
    the later of their ends. Told again, since nobody knows whether the first time was committed, nothing
    changes. For a customer who was erased, or allows nothing to be stored, it counts without the name.

    Args:
        stores_by_default: the shop's default of the consent `store`.
    Returns:
        how many somebody else had made: so many of the lease are left to its worker again.
    """
    consent_lock(connection, exclusive=False)
    lock_budgets(connection)
    latest = {promise.customer_id: promise for promise in promises}
    known = _known(connection, of.offer_id, latest, now_ms)
    new_ms = {name: promise.promised_ms for name, promise in latest.items() if name not in known}
    named = may_be_named(connection, key, new_ms, stores_by_default=stores_by_default)
    rows = [
        {
            "offer_id": promise.offer_id,
            "customer_id": customer_id if customer_id in named else promise.nameless,
            "promised_ms": promise.promised_ms,
            "ends_ms": promise.ends_ms,
        }
        for customer_id, promise in ((name, latest[name]) for name in sorted(new_ms))
    ]
    new = _insert(connection, of.offer_id, rows) if rows else 0
    used = sa.update(offer_leases).where(offer_leases.c.id == of.lease_id)
    connection.execute(used.values(used=offer_leases.c.used + new))
    return sum(promised_ms != latest[customer_id].promised_ms for customer_id, promised_ms in known.items())


def _insert(connection: sa.Connection, offer_id: str, rows: list[dict[str, Any]]) -> int:
    new = insert_new_rows(connection, offer_promises, rows, offer_promises.c.customer_id)
    since_ms = min(row["promised_ms"] for row in rows)
    if since_ms < add(connection, offer_id, len(new), since_ms).marked_ms:  # told late: it may be redeemed
        mark_again(connection, ((offer_id, customer_id) for customer_id in new))
    return len(new)


def _known(
    connection: sa.Connection, offer_id: str, latest: Mapping[str, Promise], now_ms: int
) -> dict[str, int]:
    """When those of these that hold already were made, by customer; they end no sooner than these."""
    promised, known = offer_promises.c, {}
    for some in parts(latest):
        theirs = (promised.offer_id == offer_id, promised.customer_id.in_(some))
        delete(connection, *theirs, promised.ends_ms <= now_ms)
        found = sa.select(promised.id, promised.customer_id, promised.promised_ms, promised.ends_ms)
        for number, customer_id, promised_ms, ends_ms in connection.execute(found.where(*theirs)).all():
            known[customer_id] = promised_ms
            if ends_ms < latest[customer_id].ends_ms:
                later = sa.update(offer_promises).where(promised.id == number)
                connection.execute(later.values(ends_ms=latest[customer_id].ends_ms))
    return known


class ToldPromise(NamedTuple):
    """A promise as it was told.

    Attributes:
        number: of the promise. Numbers are in the order in which others can read them.
    """

    number: int
    offer_id: str
    customer_id: str
    ends_ms: int


def promised_between(
    connection: sa.Connection, after: int, before: int, now_ms: int, most: int
) -> list[ToldPromise]:
    """The latest promises with a number between these two that hold, the last one first; `most` at most."""
    promised = offer_promises.c
    rows = sa.select(promised.id, promised.offer_id, promised.customer_id, promised.ends_ms)
    holds = (promised.id > after, promised.id < before, promised.ends_ms > now_ms)
    found = connection.execute(rows.where(*holds).order_by(promised.id.desc()).limit(most))
    return [ToldPromise(*row) for row in found]


def give_back(connection: sa.Connection, of: Lease) -> None:
    """End a lease whose promises were all told: what is left of it is free again."""
    connection.execute(sa.delete(offer_leases).where(offer_leases.c.id == of.lease_id))


def forget_promises(connection: sa.Connection, customer_id: str) -> int:
    """Delete a customer's promises, before their events, within a transaction that writes; how many.

    They may be redeemed all the same, so they go on counting without a name; what was redeemed for good.
    """
    promised = offer_promises.c
    mine = promised.customer_id == customer_id
    redeemed = _redemptions(events.c.customer_id == customer_id)
    any_of = (sa.select(promised.id).where(mine), redeemed)
    if not any(connection.execute(one.limit(1)).first() for one in any_of):
        return 0  # so it is with most customers: they needn't wait for the lock
    lock_budgets(connection)
    found = connection.execute(
        sa.select(promised.offer_id, promised.ends_ms).where(mine, sa.not_(was_redeemed()))
    ).all()
    _count_nameless(connection, [(offer_id, ends_ms) for offer_id, ends_ms in found])
    deleted = delete(connection, mine)
    offer_ids = connection.execute(redeemed).scalars().all()
    _count_nameless(connection, [(offer_id, NEVER_MS) for offer_id in offer_ids])
    return deleted


def _count_nameless(connection: sa.Connection, counted: Iterable[tuple[str, int]]) -> None:
    """Count one of each of these offers until its moment, as a lease of nobody's."""
    for offer_id, until_ms in counted:
        nobodys = {"offer_id": offer_id, "worker": "", "counts_until_ms": until_ms}
        there = sa.and_(*(offer_leases.c[name] == value for name, value in nobodys.items()))
        more = sa.update(offer_leases).where(there).values(granted=offer_leases.c.granted + 1)
        if not connection.execute(more).rowcount:
            connection.execute(sa.insert(offer_leases), nobodys | {"granted": 1, "used": 0})


def _redeemed(budget: Budget) -> sa.ScalarSelect[int]:
    """Redemptions that the night doesn't know."""
    may_be = ids_of_new(budget.since, events.c.offer_id == budget.offer_id)
    mine = _redemptions(events.c.id.in_(may_be), is_new(budget.since)).subquery()
    return sa.select(sa.func.count()).select_from(mine).scalar_subquery()


def _redemptions(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """One row with the offer for each redemption: the lines of one order, or without one of one second, are
    one. So does the night count."""
    columns = events.c
    second = sa.literal("s") + sa.cast(columns.at_ms // 1000, sa.String)
    order = sa.func.coalesce(sa.literal("o") + columns.order_id, second)
    return sa.select(columns.offer_id, columns.customer_id, order).where(IS_REDEMPTION, *which).distinct()


def _leased(offer_id: str, now_ms: int) -> sa.ScalarSelect[int]:
    rest = sa.func.sum(offer_leases.c.granted - offer_leases.c.used)
    counts = (offer_leases.c.offer_id == offer_id, offer_leases.c.counts_until_ms > now_ms)
    return sa.select(rest).where(*counts).scalar_subquery()
