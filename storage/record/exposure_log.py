"""Reads the logs that an experiment is judged by: exposures, what customers did, and what was lost."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import sqlalchemy as sa

from storage.record.live import IS_TRADE
from storage.record.record import Record
from storage.record.stretches import stretches
from storage.record.tables import events, exposures, lost_exposures

PAGE = 20_000  # rows of each look: on SQLite nobody can write meanwhile
COUNTING = ("purchase", "return", "click", "survey")  # views and carts, most of all events, are in no metric
NAMESPACE_END = "\t"  # no id holds one

_TEXTS = {
    *("event_id", "request_id", "customer_id", "experiment_id", "spec_hash", "layer", "variant"),
    *("model_version", "source", "placement", "items", "kind", "order_id", "product_id", "question"),
}
_FLAGS = {"is_forced", "is_fallback", "is_cached"}
_WHOLE = {"version", "position", "score"}
_EXPOSURE = [column.name for column in exposures.c if column.name != "id"]
_OUTCOME = (
    *("event_id", "customer_id", "kind", "at_ms", "order_id", "product_id", "units", "revenue"),
    *("request_id", "position", "question", "score"),
)


def read_exposures(record: Record, experiment_id: str, version: int) -> pl.DataFrame:
    """All exposures of a version of an experiment, in the order in which they were written.

    Returns:
        columns as the table `exposures` has them, without its key.
    Raises:
        RecordUnavailableError: it can't be read.
    """
    columns: list[sa.ColumnElement[Any]] = [exposures.c[name] for name in _EXPOSURE]
    which = (exposures.c.experiment_id == experiment_id, exposures.c.version == version)
    return _frame(_pages(record, exposures.c.id, columns, *which), _EXPOSURE)


def read_outcomes(record: Record, since_ms: int, until_ms: int) -> pl.DataFrame:
    """What counts of what customers did in a time: purchases, returns, clicks and surveys.

    Returns:
        columns event_id (of a browser's event with its customer's id before it: those are the customer's
        own), customer_id, kind, at_ms, order_id, product_id, units and revenue (of a return below 0, null of
        what is no trade or came without a price), request_id, position, question, score.
    Raises:
        RecordUnavailableError: it can't be read.
    """
    sign = sa.case((events.c.type == "return", -1.0), else_=1.0)
    units = sa.func.coalesce(events.c.quantity, 1.0)
    paid = units * events.c.unit_price - sa.func.coalesce(events.c.discount, 0.0)
    own_id = sa.case(
        (events.c.namespace == "", events.c.event_id),
        else_=events.c.namespace + NAMESPACE_END + events.c.event_id,
    )
    columns: list[sa.ColumnElement[Any]] = [
        *(own_id.label("event_id"), events.c.customer_id, events.c.type.label("kind"), events.c.at_ms),
        *(events.c.order_id, events.c.product_id),
        sa.case((IS_TRADE, sign * units), else_=None).label("units"),
        sa.case((IS_TRADE, sign * paid), else_=None).label("revenue"),
        *(events.c.request_id, events.c.position, events.c.question, events.c.score),
    ]
    which = (events.c.type.in_(COUNTING), events.c.at_ms >= since_ms, events.c.at_ms < until_ms)
    return _frame(_stretches(record, columns, *which), list(_OUTCOME))


def read_lost(record: Record, experiment_id: str, version: int) -> int:
    """How many exposures of a version are known to be lost."""
    lost = lost_exposures.c
    rows = sa.select(sa.func.sum(lost.n)).where(lost.experiment_id == experiment_id, lost.version == version)
    with record.reading() as connection:
        return int(connection.scalar(rows) or 0)


def _pages(
    record: Record,
    key: sa.Column[int],
    columns: list[sa.ColumnElement[object]],
    *which: sa.ColumnElement[bool],
) -> Iterator[list[tuple[object, ...]]]:
    last = 0
    while True:
        rows = sa.select(key, *columns).where(key > last, *which).order_by(key).limit(PAGE)
        with record.reading() as connection:
            found = connection.execute(rows).all()
        if not found:
            return
        last = found[-1][0]
        yield [tuple(row[1:]) for row in found]


def _stretches(
    record: Record, columns: list[sa.ColumnElement[object]], *which: sa.ColumnElement[bool]
) -> Iterator[list[tuple[object, ...]]]:
    """Events, none of them by an index."""
    for stretch in stretches(record, events):
        rows = sa.select(*columns).where(stretch, *which).order_by(events.c.id)
        with record.reading() as connection:
            found = connection.execute(rows).all()
        if found:
            yield [tuple(row) for row in found]


def _frame(pages: Iterator[list[tuple[object, ...]]], names: list[str]) -> pl.DataFrame:
    schema = {name: _type_of(name) for name in names}
    frames = [pl.DataFrame(rows, schema=schema, orient="row") for rows in pages]
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)


def _type_of(name: str) -> pl.DataType:
    if name in _TEXTS:
        return pl.String()
    if name in _FLAGS:
        return pl.Boolean()
    if name in _WHOLE:
        return pl.Int32()
    return pl.Int64() if name == "at_ms" else pl.Float64()
