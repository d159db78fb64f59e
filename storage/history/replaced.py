"""Products that are sold under another id now: what was bought under the old one counts for the new one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from storage.history.table import ReadTable

REPLACED = "replaced by another product"


def new_ids_of(tables: Mapping[str, ReadTable], now_s: int) -> tuple[dict[str, str], dict[str, str]]:
    """The last new id of each replaced product, and `replaced_by` of those that stay as they are.

    These name none of the table, or go in a circle. What isn't available yet and was never sold replaces
    nothing yet.

    Args:
        now_s: Unix seconds.
    """
    products = tables["products"].lines if "products" in tables else pl.DataFrame()
    if "replaced_by" not in products.columns:
        return {}, {}
    pairs = products.select("product_id", "replaced_by").drop_nulls().iter_rows()
    steps = {old: new for old, new in pairs if new != old}
    if "available_from" in products.columns:
        sold = tables["purchases"].lines["product_id"].unique().implode()
        to_come = products.filter(pl.col("available_from") > now_s, ~pl.col("product_id").is_in(sold))
        waited_for = set(to_come["product_id"])
        steps = {old: new for old, new in steps.items() if new not in waited_for}
    known = set(products["product_id"])
    last: dict[str, str] = {}
    for old in steps:
        new, passed = old, set[str]()
        while steps.get(new) in known and new not in passed:
            passed.add(new)
            new = steps[new]
        if passed and new not in passed:
            last[old] = new
    return last, {old: new for old, new in steps.items() if old not in last}


def under_new_ids(tables: Mapping[str, ReadTable], new_ids: Mapping[str, str]) -> dict[str, ReadTable]:
    """The tables with each replaced product's id changed to that under which it is sold now.

    The old ones are left out of the table of products. The new one is available since the first of them was.
    """
    if not new_ids:
        return dict(tables)
    changed = {
        name: _named(tables[name], pl.col("product_id").replace(new_ids))
        for name in ("purchases", "promotions")
        if name in tables
    }
    if "offers" in tables:
        each = pl.col("product_ids").list.eval(pl.element().replace(new_ids)).list.unique(maintain_order=True)
        changed["offers"] = _named(tables["offers"], each)
    products, counts = tables["products"].lines, tables["products"].counts
    if "available_from" in products.columns:
        since, one = pl.col("available_from"), pl.col("product_id").replace(new_ids)
        first = pl.when(since.is_not_null().all()).then(since.min()).over(one)
        products = products.with_columns(available_from=first)
    products = products.filter(~pl.col("product_id").is_in(list(new_ids)))
    left_out = dict((Counter(counts.left_out) + Counter({REPLACED: len(new_ids)})).most_common())
    counts = replace(counts, kept=counts.kept - len(new_ids), left_out=left_out)
    return {**tables, **changed, "products": ReadTable(products, counts)}


def _named(table: ReadTable, ids: pl.Expr) -> ReadTable:
    return ReadTable(table.lines.with_columns(ids), table.counts)
