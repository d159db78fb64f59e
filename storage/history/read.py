"""Reads a shop's history: cleans each table, joins what the record knows, and numbers what is left."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays import DAY_S, LongArray
from models.errors import TooLittleHistoryError
from storage.history.clean import Cleaner
from storage.history.contract import TABLES, Kind, Table
from storage.history.history import FromRecord, History
from storage.history.options import HistoryOptions
from storage.history.recorded import join_recorded, join_redemptions, wanted_ids
from storage.history.rejects import RejectFile
from storage.history.replaced import new_ids_of, under_new_ids
from storage.history.rows import describe_products, number_purchases, product_ids_of, told_in_table
from storage.history.sql import Database
from storage.history.table import Counts, ReadTable, read_table
from storage.history.times import Clock
from storage.local_days import placed
from storage.record.learning import Recorded, Wishes
from storage.versions.order_keys import KEPT_DAYS, order_key
from storage.versions.strings import order_of


def read_history(
    data: str,
    options: HistoryOptions,
    *,
    as_of: datetime | None,
    rejects: Path | None,
    now: datetime,
    recorded: Callable[[pl.DataFrame | None], Recorded | None] = lambda customers: None,
) -> History:
    """Read a shop's history as it was known at `as_of`.

    Args:
        data: a folder, or a database URL.
        as_of: aware; lines at or after it are not seen. None: just after the last purchase.
        rejects: where the reject file is written, replaced if it is there; None: nowhere.
        now: aware; later times are rejected.
        recorded: what the record knows, told the shop's table of customers if there is one; None: there is
            no record.
    Raises:
        BadConfigError: an option is of files, and the data a database, or the other way round.
        BadHistoryError: a table can't be read, lacks a column, or has too many bad lines.
        TooLittleHistoryError: no purchase is left.
    """
    if as_of is not None and as_of.tzinfo is None:
        raise ValueError("as_of must be an aware time")
    clock = Clock(options.timezone, int(now.timestamp()))
    seen_until_s = None if as_of is None else int(as_of.timestamp())
    options.check_source(is_database="://" in data)
    source = Database(data) if "://" in data else Path(data)
    tables: dict[str, ReadTable] = {}
    with RejectFile(rejects) as file:
        for name, table in TABLES.items():
            cleaner = Cleaner(table, options.table(name), clock, seen_until_s)
            if (read := read_table(source, cleaner, options, file)) is not None:
                tables[name] = read
    from_record = None
    known = recorded(tables["customers"].lines if "customers" in tables else None)
    if known is not None:
        tables, from_record = _with_recorded(tables, known, options, seen_until_s, clock.now_s)
    redeemed = _redeemed(tables)  # of all, before anybody is left out
    if known is not None:
        tables |= _wanted(tables, known.wishes)
    lines = tables["purchases"].lines
    if not lines.height:
        before = "" if as_of is None else f" before {as_of.isoformat()}"
        name = source.name if isinstance(source, Database) else data  # its name hides the password
        raise TooLittleHistoryError(f"no purchase{before} in {name}{_gone(tables['purchases'].counts)}")
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=_end_s(lines, seen_until_s))
    return replace(_assembled(tables, redeemed, options, as_of, clock.now_s), from_record=from_record)


def _gone(counts: Counts) -> str:
    """What became of the lines where none was kept."""
    if not counts.read:
        return ""
    reasons = (Counter(counts.rejected) + Counter(counts.left_out)).most_common()
    said = ", ".join(f"{reason}: {n:,}" for reason, n in reasons)
    return f": of {counts.read:,} lines none was kept ({said})"


def _with_recorded(
    tables: dict[str, ReadTable], recorded: Recorded, options: HistoryOptions, as_of_s: int | None, now_s: int
) -> tuple[dict[str, ReadTable], FromRecord]:
    """The tables with what the record knows, and what came from there."""
    shops = tables["purchases"]
    new_ids, _ = new_ids_of(tables, now_s)
    joined = join_recorded(shops.lines, recorded, options.purchases, as_of_s, options.timezone, new_ids)
    left_out = dict((Counter(shops.counts.left_out) + Counter(joined.left_out)).most_common())
    read = shops.counts.read + joined.read
    counts = replace(shops.counts, read=read, kept=joined.lines.height, left_out=left_out)
    changed = {"purchases": ReadTable(joined.lines, counts)}
    if recorded.redemptions.height:
        own = tables.get("redemptions", ReadTable(recorded.redemptions.clear(), Counts(0, 0)))
        both = join_redemptions(own.lines, recorded, _end_s(joined.lines, as_of_s))
        changed["redemptions"] = ReadTable(both, own.counts)
    from_record = FromRecord(
        joined.counted,
        recorded.wishes.tombstone,
        recorded.last_event,
        recorded.unreadable_consents,
        recorded.default,
        recorded.other_default,
    )
    return tables | changed, from_record


def _end_s(lines: pl.DataFrame, as_of_s: int | None) -> int:
    """What was to be seen ends here: just after the last purchase where nothing was asked for."""
    return int(lines["purchased_at"].max() or 0) + 1 if as_of_s is None else as_of_s  # type: ignore[arg-type]


def _wanted(tables: dict[str, ReadTable], wishes: Wishes) -> dict[str, ReadTable]:
    """Those tables that name customers, without whom the night may not learn from."""
    named = {name: tables[name] for name in ("redemptions", "customers", "audiences") if name in tables}
    return {name: ReadTable(wanted_ids(table.lines, wishes), table.counts) for name, table in named.items()}


def _redeemed(tables: Mapping[str, ReadTable]) -> pl.DataFrame | None:
    """See History."""
    if "redemptions" not in tables:
        return None
    return tables["redemptions"].lines.group_by("offer_id").agg(n=pl.len().cast(pl.Int32)).sort("offer_id")


def _assembled(
    tables: dict[str, ReadTable],
    redeemed: pl.DataFrame | None,
    options: HistoryOptions,
    as_of: datetime,
    now_s: int,
) -> History:
    new_ids, not_replaced = new_ids_of(tables, now_s)
    tables = under_new_ids(tables, new_ids)
    lines = tables["purchases"].lines
    customer_ids = order_of(lines["customer_id"].unique().to_list())
    sold = lines["product_id"].unique()
    catalogue = tables["products"].lines if "products" in tables else None
    sellable = product_ids_of(sold, catalogue, options.purchases.excluded, now_s)
    product_ids = order_of(sellable.to_list())
    purchases = number_purchases(lines, customer_ids, product_ids, options.timezone)
    products = describe_products(product_ids, catalogue, lines)
    others = {
        name: _with_times(tables[name].lines, TABLES[name]) if name in tables else None
        for name in ("offers", "promotions", "redemptions", "customers", "audiences")
    }
    content = {"purchases": purchases, "customers": pl.DataFrame({"id": customer_ids}), "products": products}
    content |= {f"{name} table": _sorted(table) for name, table in others.items() if table is not None}
    if redeemed is not None:
        content["redeemed"] = redeemed
    return History(
        purchases,
        customer_ids,
        _known_since(lines, customer_ids, as_of, options.timezone),
        products,
        told_in_table(product_ids, catalogue),
        **others,  # type: ignore[arg-type]  # they are five tables
        as_of=as_of,
        timezone=options.timezone,
        fingerprint=_fingerprint(content, options, as_of),
        counts={name: table.counts for name, table in tables.items()},
        promotions_known_s=int(options.promotions.known_days * DAY_S),
        order_keys=_order_keys(lines, as_of),
        redeemed=redeemed,
        new_ids=new_ids,
        not_replaced=not_replaced,
    )


def _order_keys(lines: pl.DataFrame, as_of: datetime) -> NDArray[np.uint64]:
    """See History."""
    if "order_id" not in lines.columns:
        return np.zeros(0, np.uint64)
    since_s = int((as_of - timedelta(days=KEPT_DAYS)).timestamp())
    latest = lines.filter(pl.col("purchased_at") >= since_s, pl.col("order_id").is_not_null())
    named = latest.select("customer_id", "order_id", "product_id").iter_rows()
    return np.array(sorted({order_key(*line) for line in named}), np.uint64)


def _known_since(lines: pl.DataFrame, customer_ids: list[str], as_of: datetime, timezone: str) -> LongArray:
    """See History; in the order of the ids."""
    bought = placed(lines["purchased_at"], int(as_of.timestamp()), timezone)[0]
    heard = pl.coalesce("received_at", "bought") if "received_at" in lines.columns else pl.col("bought")
    first = lines.with_columns(bought=bought).group_by("customer_id").agg(heard.min().alias("since"))
    in_order = pl.DataFrame({"customer_id": customer_ids}).join(
        first, on="customer_id", maintain_order="left"
    )
    return in_order["since"].cast(pl.Int64).to_numpy()


def _with_times(lines: pl.DataFrame, table: Table) -> pl.DataFrame:
    """All columns of a table; those with times as UTC."""
    kinds = {Kind.NUMBER: pl.Float32(), Kind.COUNT: pl.Int32(), Kind.ID_LIST: pl.List(pl.String)}
    columns = []
    for column in table.columns:
        if column.kind is Kind.TIME:
            seconds = pl.col(column.name) if column.name in lines.columns else pl.lit(None, pl.Int64)
            columns.append(pl.from_epoch(seconds, "s").dt.replace_time_zone("UTC").alias(column.name))
        elif column.name not in lines.columns:
            columns.append(pl.lit(None, kinds.get(column.kind, pl.String())).alias(column.name))
        else:
            columns.append(pl.col(column.name))
    own = {column.name for column in table.columns}
    return lines.select(*columns, *(pl.col(name) for name in lines.columns if name not in own))


def _sorted(lines: pl.DataFrame) -> pl.DataFrame:
    """In an order that does not depend on the files; lists sort by their text."""
    columns = sorted(lines.columns)
    keys = [
        pl.col(name).list.join(";") if isinstance(lines.schema[name], pl.List) else pl.col(name)
        for name in columns
    ]
    return lines.select(columns).sort(keys)


def _fingerprint(content: Mapping[str, pl.DataFrame], options: HistoryOptions, as_of: datetime) -> str:
    """SHA-256 over the cells of every table, each in its fixed order."""
    digest = sha256(f"{as_of.isoformat()}\n{options.model_dump_json()}\n".encode())
    for name, table in content.items():
        digest.update(f"{name} {table.height} {table.schema}\n".encode())
        for column in table:
            if column.dtype.is_numeric():
                digest.update(column.is_null().to_numpy().tobytes())
                digest.update(column.fill_null(0).to_numpy().tobytes())
            else:
                digest.update(column.to_frame().write_ndjson().encode())
    return digest.hexdigest()
