"""Writes what the day may ask of people: the shop's own columns as codes and words, its audiences as rows."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from storage.record.tables import CONSENTS
from storage.versions.people import MAX_WORDS, UNKNOWN_WORD
from storage.versions.strings import order_of
from storage.versions.writer import VersionWriter


def write_people(
    writer: VersionWriter,
    customer_ids: list[str],
    customers: pl.DataFrame | None,
    audiences: pl.DataFrame | None,
) -> list[str]:
    """Write both tables where the shop has them.

    Args:
        customer_ids: of those who bought, by customer row.
        customers, audiences: as `History` has them.
    Returns:
        columns that were left out, because they have more than MAX_WORDS different words.
    """
    tables = [table for table in (customers, audiences) if table is not None]
    if not tables:
        return []
    others = _others(customer_ids, tables)
    if others:
        writer.add_ids("people", others)
    ids = pl.Series("customer_id", [*customer_ids, *others], pl.String)
    rows = pl.DataFrame({"customer_id": ids, "row": pl.int_range(len(ids), dtype=pl.Int32, eager=True)})
    if audiences is not None:
        _write_audiences(writer, audiences, rows)
    return _write_traits(writer, customers, rows) if customers is not None else []


def _others(customer_ids: list[str], tables: list[pl.DataFrame]) -> list[str]:
    """Ids of those who bought nothing yet."""
    named = pl.concat([table["customer_id"] for table in tables]).unique().to_frame()
    buyers = pl.DataFrame({"customer_id": customer_ids}, {"customer_id": pl.String})
    return order_of(named.join(buyers, on="customer_id", how="anti")["customer_id"].to_list())


def _write_traits(writer: VersionWriter, customers: pl.DataFrame, rows: pl.DataFrame) -> list[str]:
    placed = rows.join(customers, on="customer_id", how="left", maintain_order="left")
    kept: list[str] = []
    left_out: list[str] = []
    for name, words in _words_of(customers):
        if len(words) > MAX_WORDS:
            left_out.append(name)
            continue
        codes = pl.DataFrame({"word": words, "code": np.arange(1, len(words) + 1, dtype=np.uint16)})
        found = placed.select(pl.col(name).alias("word")).join(
            codes.with_columns(pl.col("word").cast(pl.String)), on="word", how="left", maintain_order="left"
        )
        writer.add(f"traits/{len(kept)}/code", found["code"].fill_null(UNKNOWN_WORD).to_numpy())
        writer.add_strings(f"traits/{len(kept)}/words", words)
        kept.append(name)
    writer.add_strings("traits/names", kept)
    return left_out


def _words_of(customers: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """Each of the shop's own columns, consents apart, with its different words, sorted."""
    for name in sorted(set(customers.columns) - {"customer_id", *CONSENTS}):
        yield name, sorted(customers[name].drop_nulls().unique().to_list())


def _write_audiences(writer: VersionWriter, audiences: pl.DataFrame, rows: pl.DataFrame) -> None:
    members = audiences.join(rows, on="customer_id").select("segment", "row").unique().sort("segment", "row")
    names = members["segment"].unique().sort()
    start = members["segment"].search_sorted(names).to_numpy() if len(names) else np.empty(0, np.int64)
    writer.add_strings("audiences/names", names.to_list())
    writer.add("audiences/start", np.append(start, members.height).astype(np.int64))
    writer.add("audiences/member", members["row"].to_numpy())
