"""What a version's folder holds, written from a history and the models fitted on it."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import polars as pl

from models.als import Als
from models.arrays import DAY_S, BoolArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.content import Content
from models.due import Due
from models.history.follow_up import category_left, follow_up_lift
from models.history.interactions import Interactions
from models.history.intervals import usual_intervals
from models.history.timeline import Timeline
from models.session import SessionFigures
from models.strangers import Counts
from storage.history.history import History
from storage.versions.evidence import in_bytes
from storage.versions.manifest import HistoryEntry
from storage.versions.strings import order_of
from storage.versions.version import PURCHASES
from storage.versions.writer import ArrayFile, VersionWriter
from training.fitting import item_item_of, popular_order
from training.history.facts import first_purchase, last_purchase
from training.publishing.candidates import OwnHistory, due_days, evidence, first_days
from training.ranking import ranked_blocks
from training.strangers import alike, taste_of_all

RECENT_DAYS = 28  # "bought by 412 customers in the last 28 days"


def write_history(
    writer: VersionWriter, history: History, interactions: Interactions, own: OwnHistory
) -> None:
    """Customers, products, what each customer bought, how many bought each product."""
    writer.add_ids("customers", history.customer_ids)
    product_ids = history.products["product_id"].to_list()
    writer.add_ids("products", product_ids)
    _write_replaced(writer, history.new_ids, product_ids)
    for column in ("title", "url", "image_url"):
        writer.add_strings(f"products/{column}", history.products[column].fill_null("").to_list())
    writer.add_strings("categories", history.categories)
    writer.add("products/category_row", history.category_row)
    writer.add_strings("brands", history.brands)
    writer.add("products/brand_row", history.brand_row)
    writer.add("products/price", history.products["price"].cast(pl.Float32).fill_null(np.nan).to_numpy())
    writer.add("products/stock", history.products["stock"].cast(pl.Int32).fill_null(-1).to_numpy())
    for name in own.names():
        writer.add(f"history/{name}", getattr(own, name))
    writer.add("history/order_keys", history.order_keys)  # by which the day knows an order that is no new one
    write_intervals(writer, Timeline.of(interactions), history.category_row, len(history.categories))
    recent = interactions.between(interactions.as_of_s - RECENT_DAYS * DAY_S, interactions.as_of_s)
    writer.add("popular/recent_buyers", _buyers(recent))
    writer.add("popular/buyers", _buyers(interactions))
    writer.add("popular/first_day", first_days(history, interactions.n_products))
    path = writer.path(PURCHASES)
    try:
        history.named_purchases().write_parquet(path, compression="zstd")
    except pl.exceptions.ComputeError as err:  # polars' word for a full disk
        raise OSError(f"{path} can't be written whole; is the disk full? ({err})") from err


def history_entry(history: History, counts: Mapping[str, int]) -> HistoryEntry:
    """What the manifest says of the history; `counts` as of `history_counts`."""
    return HistoryEntry(
        fingerprint=history.fingerprint,
        purchases=counts["purchases"],
        orders=counts["orders"],
        customers=counts["customers"],
        products=counts["products"],
        first_purchase=first_purchase(history),
        last_purchase=last_purchase(history),
        rejected=counts["rejected"],
        timezone=history.timezone,
        recent_days=RECENT_DAYS,
        tombstone=history.from_record.tombstone if history.from_record else None,
        last_event=history.from_record.last_event if history.from_record else None,
    )


def _write_replaced(writer: VersionWriter, new_ids: Mapping[str, str], product_ids: list[str]) -> None:
    """Which product was meant by an id that none has any more; nothing in a shop that replaced none."""
    row = {product_id: row for row, product_id in enumerate(product_ids)}
    old_ids = order_of([old for old, new in new_ids.items() if new in row])
    if old_ids:
        writer.add_ids("replaced", old_ids)
        writer.add("replaced/product", np.array([row[new_ids[old]] for old in old_ids], np.int32))


def write_shared(writer: VersionWriter, models: Mapping[str, Model[Any]], available_s: LongArray) -> None:
    """What everyone gets of whom nothing is known; each product's neighbours, for /similar and reasons.

    Behind what is popular comes what nobody bought yet, the newest first by `available_s`, of each product.
    """
    item_item, popular = item_item_of(models), popular_order(models)
    unsold = np.setdiff1d(np.arange(len(available_s), dtype=np.int32), popular)
    newest = unsold[np.argsort(~available_s[unsold], kind="stable")]  # ~ as -: EVER has no negative
    writer.add("popular/order", np.concatenate([popular, newest]))
    writer.add("similar/product", item_item.similar_)
    writer.add("similar/score", item_item.similarity_)


def write_alike(
    writer: VersionWriter,
    content: Content,
    interactions: Interactions,
    horizon_days: float,
    sold_out: BoolArray,
) -> None:
    """What is like each product, for `/similar` and for whom the night didn't see.

    What is sold out, shape (n_products,), is like nothing: where each piece is sold once it would take all of
    these few places.
    """
    everything = np.arange(interactions.n_products, dtype=np.int32)
    writer.add("alike/product", alike(content, everything, interactions, horizon_days, sold_out))


def write_taste(writer: VersionWriter, models: Mapping[str, Model[Any]]) -> None:
    """What the day needs to fold in a customer of today, where `als` is among the variants of the night."""
    als = models.get(Als.name)
    if isinstance(als, Als):
        taste = taste_of_all(als, popular_order(models))
        writer.add("taste/product", taste.product)
        writer.add("taste/factors", taste.factors)
        writer.add("taste/matrix", taste.matrix)


def write_intervals(
    writer: VersionWriter, timeline: Timeline, category_row: IntArray, n_categories: int
) -> None:
    """After how many days a product is bought again, and the mean of a category; categories whose names are
    alike share it."""
    of_product, of_group = usual_intervals(timeline)
    group = timeline.interactions.catalogue.category_row
    writer.add("categories/interval_days", _of_named(of_group, group, category_row, n_categories, np.nan))
    writer.add("products/interval_days", of_product)


def _of_named(
    figures: FloatArray, group: IntArray, category_row: IntArray, n_categories: int, otherwise: float
) -> FloatArray:
    """What is known of groups of categories whose names are alike, for each category as the shop names it."""
    found, has = np.full(n_categories, otherwise, np.float32), (category_row >= 0) & (group >= 0)
    found[category_row[has]] = figures[group[has]]
    return found


def write_follow_up(
    writer: VersionWriter,
    interactions: Interactions,
    category_row: IntArray,
    n_categories: int,
    horizon_days: float,
) -> None:
    """What the orders are for that follow another one soon."""
    writer.add("follow_up/lift", follow_up_lift(interactions, horizon_days))
    left, group = category_left(interactions, horizon_days), interactions.catalogue.category_row
    named = _of_named(left, group, category_row, n_categories, 1.0)
    writer.add("follow_up/category_left", named)


def write_session(writer: VersionWriter, figures: SessionFigures, counts: Counts) -> None:
    """How much what is bought by day moves the lists, and what makes those of whom the night didn't see."""
    *first_three, similar = figures
    writer.add("session/figures", np.array(first_three, np.float64))
    writer.add("session/similar", np.array([similar], np.float64))  # apart: earlier checkouts know three
    writer.add("session/stranger_counts", np.array(counts, np.float64))


def write_due(writer: VersionWriter, models: Mapping[str, Model[Any]], own: OwnHistory) -> None:
    """When each customer's products are due again, where `due` is among the variants of the night."""
    due = models.get(Due.name)
    if isinstance(due, Due):
        writer.add("history/due_day", due_days(own, due))


def write_candidates(
    writer: VersionWriter,
    name: str,
    models: Mapping[str, Model[Any]],
    own: OwnHistory,
    *,
    k: int,
    sold_out: BoolArray,
    on_step: Callable[[str], None] = lambda _: None,
) -> None:
    """The lists of one variant for every known customer: k products each, or all that it may list where those
    are fewer; -1 follows. What is `sold_out`, shape (n_products,), has half of the places at most: where what
    a customer liked is gone, as after all products got new ids, hardly anything would be left by day.

    They go to the files a block of customers at a time: in memory those of millions would be gigabytes.
    Probabilities, where the variant has them, are float16: an answer's three digits from .0001 on, and less
    below, where the smallest that there are still differ from 0. `on_step` is told how far it is.
    """
    on_step(f"candidates of {name}")
    item_item = item_item_of(models)
    rows = np.arange(len(own.indptr) - 1, dtype=np.int32)
    shape = len(rows), min(k, models[name].n_products_)
    with ExitStack() as files:
        product, explained = (
            files.enter_context(writer.adding(f"candidates/{name}/{part}", shape, kind))
            for part, kind in (("product", np.int32), ("evidence", np.uint8))
        )
        chance: ArrayFile | None = None
        owned = own.matrix(models[name].n_products_)
        for block, lists, probability in ranked_blocks(
            models[name], rows, shape[1], fill=popular_order(models), owned=owned, sold_out=sold_out
        ):
            on_step(f"candidates of {name}, customer {block[0] + 1:,} of {len(rows):,}")
            product.append(lists)
            places = evidence(lists, block, own, item_item.similar_, item_item.similarity_)
            explained.append(in_bytes(places))
            if probability is not None:
                chance = chance or files.enter_context(
                    writer.adding(f"candidates/{name}/probability", shape, np.float16)
                )
                chance.append(probability.astype(np.float16))


def _buyers(interactions: Interactions) -> IntArray:
    """Distinct customers of each product, shape (n_products,), int32."""
    return np.bincount(interactions.matrix().indices, minlength=interactions.n_products).astype(np.int32)
