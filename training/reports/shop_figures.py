"""What a shop can act on, counted from its history: who comes again, what is lost, what stock does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from models.arrays import DAY_S, BoolArray, IntArray
from models.offers.campaigns import OPEN_END_S
from storage.history.history import History
from storage.local_days import local_day
from storage.versions.version import Version
from training.history.offers import ALWAYS_S, ShopOffers

WINDOW_DAYS = 84  # "lately"; of a short history a third
TOP = 20  # lines of a table
MIN_BUYERS = 20  # a product with fewer regulars says little
COHORTS = 13  # months
LISTED = 10  # places of a list that count as recommended

type Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        figures: name to number; None where it can't be told.
        lines: a table, each line by column.
        why_not: why there is nothing, else None.
    """

    figures: Mapping[str, float | int | None]
    lines: Lines
    why_not: str | None = None


def nothing(why: str) -> Section:
    return Section({}, [], why)


def window_days(history: History) -> float:
    first = history.purchases["at_s"].min()
    span = (history.placed[1] - float(first)) / DAY_S  # type: ignore[arg-type]  # a number: it has lines
    return min(float(WINDOW_DAYS), span / 3)


def coming_again(history: History) -> Section:
    """How many order again, after how long, and how many products are bought again."""
    orders = (
        history.purchases.lazy()
        .group_by("order_row")
        .agg(pl.col("customer_row").first(), pl.col("at_s").min())
        .sort("customer_row", "at_s")
        .with_columns(gap=pl.col("at_s").diff().over("customer_row") / DAY_S)
    )
    gaps = pl.col("gap").drop_nulls()
    told = orders.select(
        orders=pl.len(),
        **{
            f"days_between_{name}": gaps.quantile(q, "linear")
            for name, q in (("lower_quarter", 0.25), ("median", 0.5), ("upper_quarter", 0.75))
        },
    ).collect()
    each = (
        orders.group_by("customer_row")
        .len()
        .select(
            customers=pl.len(), with_two_orders=(pl.col("len") > 1).mean(), orders_each=pl.col("len").mean()
        )
        .collect()
    )
    pairs = (
        history.purchases.lazy()
        .group_by("customer_row", "product_row")
        .agg(pl.col("order_row").n_unique())
        .select(products_bought_again=(pl.col("order_row") > 1).mean())
        .collect()
    )
    return Section(each.row(0, named=True) | told.row(0, named=True) | pairs.row(0, named=True), [])


def cohorts(history: History) -> Section:
    """Of customers by the month of their first order: the share that ordered in each later month."""
    month = (
        pl.from_epoch("at_s", "s")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(history.timezone)
        .dt.replace_time_zone(None)
        .dt.truncate("1mo")
    )
    active = history.purchases.lazy().select("customer_row", month=month).unique()
    found = (
        active.with_columns(first=pl.col("month").min().over("customer_row"))
        .with_columns(
            after=(pl.col("month").dt.year() - pl.col("first").dt.year()) * 12
            + pl.col("month").dt.month().cast(pl.Int32)
            - pl.col("first").dt.month().cast(pl.Int32)
        )
        .group_by("first", "after")
        .len()
        .sort("first", "after")
        .collect()
    )
    last = int(
        found.select(
            (pl.col("first").dt.year() * 12 + pl.col("first").dt.month() + pl.col("after")).max()
        ).item()
    )
    lines: Lines = []
    for (first,), part in found.group_by("first", maintain_order=True):
        counts = dict(part.select("after", "len").iter_rows())
        months = last - (first.year * 12 + first.month)
        shares = [counts.get(n, 0) / counts[0] for n in range(min(months, COHORTS - 1) + 1)]
        lines.append({"month": f"{first:%Y-%m}", "customers": counts[0], "shares": shares})
    return Section({}, lines[-COHORTS:])


def losing(history: History) -> Section:
    """Products whose regulars, bought twice in the window before last, went without them in the last one.

    Only customers who still order count: whoever has gone altogether is not the product's loss.
    """
    days = window_days(history)
    at_s, end_s = history.placed
    middle_s, start_s = end_s - int(days * DAY_S), end_s - int(2 * days * DAY_S)
    lines = history.purchases.lazy().with_columns(at_s=at_s)
    lately = lines.filter(pl.col("at_s") >= middle_s)
    regulars = (
        lines.filter(pl.col("at_s").is_between(start_s, middle_s, closed="left"))
        .group_by("customer_row", "product_row")
        .agg(times=pl.col("order_row").n_unique())
        .filter(pl.col("times") > 1)
        .join(lately.select("customer_row").unique(), on="customer_row", how="semi")
    )
    kept = lately.select("customer_row", "product_row", is_kept=True).unique()
    found = (
        regulars.join(kept, on=["customer_row", "product_row"], how="left")
        .group_by("product_row")
        .agg(regulars=pl.len(), lost=pl.col("is_kept").is_null().sum())
        .collect()
    )
    if not found.height:
        return nothing("no customer bought a product in two orders within a window")
    usual = float(found["lost"].sum()) / float(found["regulars"].sum())
    worst = (
        found.filter(pl.col("regulars") >= MIN_BUYERS)
        .with_columns(share=pl.col("lost") / pl.col("regulars"))
        .with_columns(beyond=pl.col("lost") - usual * pl.col("regulars"))
        .filter(pl.col("beyond") > 0)
        .sort("beyond", "product_row", descending=[True, False])
        .head(TOP)
    )
    figures = {"window_days": round(days, 1), "usual_share": usual, "products": found.height}
    return Section(figures, _named(history, worst))


def campaigns(history: History) -> Section:
    """What each campaign was sent to and what came back."""
    shop = ShopOffers.of(history)
    if shop is None:
        return nothing("there is no table of offers")
    lines: Lines = []
    for campaign in shop.offers.campaigns:
        if campaign.starts_s >= history.as_of.timestamp():
            continue
        redeemed = shop.redemptions.grid(campaign)
        sent = len(campaign.customer_rows)
        who = int(np.count_nonzero(np.diff(redeemed.indptr)))
        first = shop.table.row(int(campaign.offer_rows[0]), named=True)
        lines.append(
            {
                "segment": first["segment"],
                "starts": None if campaign.starts_s == ALWAYS_S else _day(history, campaign.starts_s),
                "ends": None if campaign.ends_s == OPEN_END_S else _day(history, campaign.ends_s - 1),
                "offers": len(campaign.offer_rows),
                "sent": sent,
                "redeemed": redeemed.nnz,
                "customers": who,
                "conversion": who / sent if sent else None,
            }
        )
    sent, who = (sum(line[name] for line in lines) for name in ("sent", "customers"))
    return Section({"campaigns": len(lines), "sent": sent, "conversion": who / sent if sent else None}, lines)


def _day(history: History, at_s: float) -> str:
    return local_day(int(at_s), history.timezone).isoformat()


def stock(history: History) -> Section:
    """How long the stock of each product lasts at the pace of the last window; the longest first."""
    days = window_days(history)
    at_s, end_s = history.placed
    sold = (
        history.purchases.lazy()
        .filter(at_s >= end_s - days * DAY_S)
        .group_by("product_row")
        .agg(sold=pl.col("quantity").cast(pl.Float64).sum())
    )
    held = (
        history.products.lazy()
        .with_row_index("product_row")
        .select(pl.col("product_row").cast(pl.Int32), "stock")
        .filter(pl.col("stock") > 0)
        .join(sold, on="product_row", how="left")
        .with_columns(pl.col("sold").fill_null(0.0))
        .with_columns(days_left=pl.when(pl.col("sold") > 0).then(pl.col("stock") / pl.col("sold") * days))
        .collect()
    )
    if not held.height:
        return nothing("no product has a stock told")
    pieces = int(held["stock"].cast(pl.Int64).sum())  # a stock without end is told as a huge number
    slow = held.sort(
        pl.col("days_left").is_null().not_(), pl.col("days_left").neg(), pl.col("stock").neg(), "product_row"
    )
    figures = {
        "window_days": days,
        "products": held.height,
        "pieces": pieces,
        "turns_a_year": float(held["sold"].sum()) / pieces * 365 / days,
        "unsold_products": int((held["sold"] == 0).sum()),
        "under_a_week": int((held["days_left"] < 7).sum()),
    }
    return Section(figures, _named(history, slow.head(TOP)))


def never_bought(history: History, version: Version | None, variant: str | None) -> Section:
    """What the champion put among the first places of many lists and nobody who got it bought since."""
    if version is None or variant is None:
        return nothing("no store with a champion was given")
    as_of_s = int(version.manifest.as_of.timestamp())
    later = (
        history.purchases.lazy()
        .filter(pl.col("at_s") >= as_of_s)
        .select("customer_row", "product_row")
        .unique()
    )
    bought = later.collect()
    if not bought.height:
        return nothing("the history ends before the champion's lists begin; nothing later is known")
    lists = _listed(history, version, variant)
    buyers = bought.select("customer_row").unique()
    shown = lists.join(buyers, on="customer_row", how="semi")
    hits = shown.join(bought.with_columns(is_bought=True), on=["customer_row", "product_row"], how="left")
    found = hits.group_by("product_row").agg(
        customers=pl.len(), bought=pl.col("is_bought").is_not_null().sum()
    )
    never = found.filter(pl.col("bought") == 0).sort("customers", "product_row", descending=[True, False])
    with_hit = hits.filter(pl.col("is_bought").is_not_null())["customer_row"].n_unique()
    n_customers = shown["customer_row"].n_unique()  # who is new since has no list
    figures = {
        "days": round((history.as_of.timestamp() - as_of_s) / DAY_S, 1),
        "customers": n_customers,
        "with_a_hit": with_hit / max(1, n_customers),
        "products": found.height,
        "never_bought": never.height,
    }
    return Section(figures, _named(history, never.head(TOP)))


def _listed(history: History, version: Version, variant: str) -> pl.DataFrame:
    """customer_row and product_row, of this history, of the first places of the version's lists.

    What was out of stock on that night takes no place, as in answers.
    """
    rows = _first(version.array(f"candidates/{variant}/product"), version.array("products/stock") != 0)
    theirs, place = np.nonzero(rows >= 0)
    names = {"customers": history.customer_ids, "products": history.products["product_id"].to_list()}
    mine = {name: np.full(len(version.ids(name)), -1, np.int32) for name in names}
    for name, ids in names.items():
        index = version.ids(name)
        for row, text in enumerate(ids):
            if (found := index.find(text)) >= 0:
                mine[name][found] = row
    table = pl.DataFrame(
        {"customer_row": mine["customers"][theirs], "product_row": mine["products"][rows[theirs, place]]}
    )
    return table.filter((pl.col("customer_row") >= 0) & (pl.col("product_row") >= 0))


def _first(lists: IntArray, is_shown: BoolArray) -> IntArray:
    """The first LISTED products of each list that may be shown; shape (n, LISTED), -1 after the last."""
    found = np.full((len(lists), LISTED), -1, np.int32)
    n_found = np.zeros(len(lists), np.int64)
    for column in lists.T:  # a list is longer by far than what is taken of it
        able = np.flatnonzero((n_found < LISTED) & (column >= 0) & is_shown[column])
        found[able, n_found[able]] = column[able]
        n_found[able] += 1
        if (n_found == LISTED).all():
            break
    return found


def _named(history: History, lines: pl.DataFrame) -> Lines:
    """The lines with id and title instead of the row."""
    rows = lines["product_row"]
    return lines.select(
        history.products["product_id"].gather(rows),
        history.products["title"].gather(rows),
        pl.exclude("product_row"),
    ).to_dicts()
