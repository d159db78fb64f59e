"""What an operator does to events: release or drop what is aside, undo what a key sent, let old ones go."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import NamedTuple

import sqlalchemy as sa

from storage.record.audit import note
from storage.record.bare_ids import forget_bare_ids
from storage.record.events import TRADE
from storage.record.intake import raise_epochs
from storage.record.live import IS_TRADE
from storage.record.promised import MOST_FORGOTTEN, forget_old, lock_budgets, mark_again, put_right, wrong_by
from storage.record.record import Record
from storage.record.statements import consent_lock, insert_new_rows
from storage.record.stretches import stretches
from storage.record.tables import events, experiments, exposures, quarantine

PAGE = 500  # rows of one transaction: a twentieth of a second at best, since what is deleted is overwritten
PAUSE_S = 0.05  # between two of them, in which others write


@dataclass(frozen=True, slots=True)
class Aside:
    """Events in quarantine for one reason, of one type and key."""

    reason: str
    type: str
    client: str
    events: int
    customers: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """Events that a key sent since a moment; a client that is None is any."""

    client: str | None = None
    since_ms: int = 0
    reason: str | None = None


def in_quarantine(connection: sa.Connection) -> list[Aside]:
    """What is in quarantine, the most first; reads through all of it."""
    kinds = (quarantine.c.reason, quarantine.c.type, quarantine.c.client)
    n = sa.func.count()
    rows = sa.select(
        *kinds,
        n,
        sa.func.count(quarantine.c.customer_id.distinct()),
        sa.func.min(quarantine.c.received_ms),
        sa.func.max(quarantine.c.received_ms),
    ).group_by(*kinds)
    return [Aside(*row) for row in connection.execute(rows.order_by(n.desc(), *kinds))]


class Released(NamedTuple):
    """Events that left the quarantine: those that count now, and those that were recorded already.

    A worker that has the next version may have recorded what another one set aside.
    """

    moved: int
    known: int


def release(record: Record, chosen: Chosen, *, now_ms: int, client: str) -> Released:
    """Move events from quarantine among the recorded. What is moved is durable, page by page.

    Args:
        client: who does this, for the audit.
    Raises:
        RecordUnavailableError: some may have been moved: ask again.
    """
    moved = known = 0
    for numbers in _numbers(record, quarantine, _conditions(quarantine, chosen)):
        with record.writing() as connection:
            consent_lock(connection, exclusive=False)
            # Only now: of those who were erased in the meantime nothing is left.
            found = connection.execute(sa.select(quarantine).where(quarantine.c.id.in_(numbers)))
            wanted = [dict(row) for row in found.mappings()]
            if wanted:
                lines = [_event(row) for row in wanted]
                pairs = [(str(row["offer_id"]), str(row["customer_id"])) for row in lines if row["offer_id"]]
                if pairs:
                    lock_budgets(connection)
                new = insert_new_rows(connection, events, lines, events.c.id)
                mark_again(connection, pairs)  # they came in long ago
                moved, known = moved + len(new), known + len(wanted) - len(new)
                connection.execute(
                    sa.delete(quarantine).where(quarantine.c.id.in_([row["id"] for row in wanted]))
                )
                raise_epochs(connection, {str(row["customer_id"]) for row in wanted if row["type"] in TRADE})
    _note(record, "release", _audit_detail(chosen, moved), now_ms=now_ms, client=client)
    return Released(moved, known)


def drop(record: Record, chosen: Chosen, *, now_ms: int, client: str) -> int:
    """Delete events from quarantine; how many. Raises as `release`."""
    dropped = _delete(record, quarantine, chosen)
    _note(record, "drop", _audit_detail(chosen, dropped), now_ms=now_ms, client=client)
    return dropped


def count_sent(record: Record, chosen: Chosen) -> tuple[int, int]:
    """How many recorded events are chosen, and of how many customers."""
    with record.reading() as connection:
        rows = sa.select(sa.func.count(), sa.func.count(events.c.customer_id.distinct()))
        found = connection.execute(rows.where(*_conditions(events, chosen))).one()
    return int(found[0]), int(found[1])


def purge(record: Record, chosen: Chosen, *, now_ms: int, client: str) -> int:
    """Delete what a key sent since a moment, from quarantine too; how many recorded events there were.

    Answers follow at once; what a night has learned of it goes with the next night. Raises as `release`.
    """
    _delete(record, quarantine, chosen)
    purged = _delete(record, events, chosen)
    _note(record, "purge", _audit_detail(chosen, purged), now_ms=now_ms, client=client)
    return purged


def expire(
    record: Record,
    *,
    trade_before_ms: int,
    others_before_ms: int,
    quarantine_before_ms: int,
    exposures_before_ms: int,
    now_ms: int,
    client: str,
) -> dict[str, int]:
    """Delete what was received before these moments (0: nothing), promises of offers that have ended, and ids
    of customers without a purchase or a word on consent since the last time; how many. Workers forget
    promises as long as an offer has a budget. How many promises there are is counted again.

    Exposures of one experiment go together, that long after its end: with a half of them gone customers would
    seem to have come later than they did, and the others would be judged as if they were all.
    """
    is_judged = sa.exists().where(
        experiments.c.experiment_id == exposures.c.experiment_id,
        experiments.c.version == exposures.c.version,
        experiments.c.ended_ms.is_(None) | (experiments.c.ended_ms >= exposures_before_ms),
    )
    kinds = {
        "trade": (events, IS_TRADE & (events.c.received_ms < trade_before_ms)),
        "others": (events, sa.not_(IS_TRADE) & (events.c.received_ms < others_before_ms)),
        "quarantine": (quarantine, quarantine.c.received_ms < quarantine_before_ms),
        "exposures": (exposures, (exposures.c.at_ms < exposures_before_ms) & ~is_judged),
    }
    deleted = {}
    for name, (table, old) in kinds.items():
        deleted[name] = sum(
            _delete_page(record, table, numbers) for numbers in _numbers(record, table, [old])
        )
    deleted["promises"] = sum(_forget_old(record, now_ms))
    _recount(record)
    deleted["bare ids"] = forget_bare_ids(record)
    _note(record, "expire", deleted, now_ms=now_ms, client=client)
    return deleted


_ROW = [column.name for column in events.c if column.name != "id"]


def _event(row: dict[str, object]) -> dict[str, object]:
    """A row of events from one of the quarantine, whose payload has what the row lacks."""
    told = json.loads(str(row["payload"]))
    happened = told.get("occurred_at")
    at_ms = int(datetime.fromisoformat(happened).timestamp() * 1000) if happened else row["received_ms"]
    return {name: row.get(name, told.get(name)) for name in _ROW} | {"at_ms": at_ms}


def _numbers(record: Record, table: sa.Table, which: list[sa.ColumnElement[bool]]) -> Iterator[list[int]]:
    for stretch in stretches(record, table):
        with record.reading() as connection:
            numbers = connection.execute(sa.select(table.c.id).where(stretch, *which)).scalars().all()
        for page in batched(sorted(numbers), PAGE):
            yield list(page)
            time.sleep(PAUSE_S)


def _delete(record: Record, table: sa.Table, chosen: Chosen) -> int:
    return sum(
        _delete_page(record, table, numbers)
        for numbers in _numbers(record, table, _conditions(table, chosen))
    )


def _delete_page(record: Record, table: sa.Table, numbers: list[int]) -> int:
    which = table.c.id.in_(numbers)
    with record.writing() as connection:
        if table is not events:
            return connection.execute(sa.delete(table).where(which)).rowcount
        consent_lock(connection, exclusive=False)  # else an erasure and this could wait for each other
        redeemed = sa.select(events.c.offer_id, events.c.customer_id)
        redeemed = redeemed.where(which, events.c.offer_id.is_not(None))
        pairs = [(offer_id, customer_id) for offer_id, customer_id in connection.execute(redeemed)]
        if pairs:
            lock_budgets(connection)
        deleted = sa.delete(events).where(which).returning(events.c.customer_id, events.c.type)
        gone = connection.execute(deleted).all()
        mark_again(connection, pairs)
        raise_epochs(connection, {customer_id for customer_id, kind in gone if kind in TRADE})
        return len(gone)


def _forget_old(record: Record, now_ms: int) -> Iterator[int]:
    n = MOST_FORGOTTEN
    while n == MOST_FORGOTTEN:
        with record.writing() as connection:
            n = forget_old(connection, now_ms)
        yield n
        time.sleep(PAUSE_S)


def _recount(record: Record) -> None:
    """Put the kept numbers of promises right; who writes waits for that only where one is wrong."""
    with record.reading() as connection:
        is_wrong = bool(wrong_by(connection))
    if is_wrong:
        with record.writing() as connection:
            put_right(connection)


def _conditions(table: sa.Table, chosen: Chosen) -> list[sa.ColumnElement[bool]]:
    which = [table.c.received_ms >= chosen.since_ms]
    if chosen.client is not None:
        which.append(table.c.client == chosen.client)
    if chosen.reason is not None and "reason" in table.c:
        which.append(table.c.reason == chosen.reason)
    return which


def _audit_detail(chosen: Chosen, n: int) -> dict[str, object]:
    return {"client": chosen.client, "since_ms": chosen.since_ms, "reason": chosen.reason, "events": n}


def _note(record: Record, what: str, detail: Mapping[str, object], *, now_ms: int, client: str) -> None:
    with record.writing() as connection:
        note(connection, what, detail, now_ms=now_ms, client=client)
