"""A shop's purchase history, clean and numbered: what a night learns from, and as models take it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays import DAY_S, BoolArray, IntArray, LongArray
from models.history.catalogue import EVER, LATER, TOLD, Catalogue
from models.history.interactions import Interactions
from models.history.promotions import Promotions
from storage.history.table import Counts
from storage.history.words import alike, word_table
from storage.local_days import placed


@dataclass(frozen=True, slots=True)
class FromRecord:
    """What came from the record: how many purchases, and the numbers of the latest erasure that was known and
    of the last event that was read; what couldn't go there of the shop's own consents; and the defaults, as
    of `Recorded`."""

    purchases: int
    tombstone: int
    last_event: int
    unreadable_consents: int = 0
    default: str = ""
    other_default: str = ""


@dataclass(frozen=True, eq=False)
class History:
    """What was bought before `as_of`. The same input gives the same bytes, however it is split into files.

    Attributes:
        purchases: every line, sorted by customer_row, at_s, order_row, product_row. Columns: customer_row,
            product_row, order_row Int32; at_s Int64, Unix seconds; quantity Float32; unit_price, discount
            Float32, null where unknown.
        customer_ids: by customer_row, in `order_of` order.
        known_since_s: when the shop first heard of each customer: their first purchase in its history, or
            when the record was told one, whatever date that has.
        products: by product_row: product_id in `order_of` order, title, category, brand, price, keywords,
            margin, stock, url, image_url; null where unknown. Those of the shop's table that were never sold
            are among them, unless they are out of stock.
        is_told: whether category, brand and title stand in the shop's own table of products.
        offers: offer_id, product_ids, discount, starts_at, ends_at, segment, budget; times are UTC.
        promotions: product_id, starts_at, ends_at, reach; times are UTC.
        redemptions: offer_id, customer_id, redeemed_at, before `as_of`.
        redeemed: offer_id, n: how many of it there were, whoever redeemed: also those who may not be
            learned from.
        customers: customer_id, and the shop's own columns as text.
        audiences: segment, customer_id.
        as_of: aware, UTC, whole seconds.
        timezone: IANA name of the shop's own.
        fingerprint: SHA-256 of all of the above and the options.
        counts: by table, what became of its lines.
        new_ids: under which each replaced product is sold now; it has no row.
        not_replaced: replaced_by of the products that stay as they are in spite of it: it names none of the
            table, or they go in a circle.
        promotions_known_s: how long before it begins each promotion is known, seconds.
        from_record: what came from the record; None if there was none to read.
        order_keys: of the last days' lines with an order id, as in `storage.versions.order_keys`; sorted. A
            product that was replaced is named by its new id.
    """

    purchases: pl.DataFrame
    customer_ids: list[str]
    known_since_s: LongArray
    products: pl.DataFrame
    is_told: BoolArray
    offers: pl.DataFrame | None
    promotions: pl.DataFrame | None
    redemptions: pl.DataFrame | None
    customers: pl.DataFrame | None
    audiences: pl.DataFrame | None
    as_of: datetime
    timezone: str
    fingerprint: str
    counts: Mapping[str, Counts]
    promotions_known_s: int = DAY_S
    from_record: FromRecord | None = None
    redeemed: pl.DataFrame | None = None
    new_ids: Mapping[str, str] = field(default_factory=dict)
    not_replaced: Mapping[str, str] = field(default_factory=dict)
    order_keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    @property
    def read_lines(self) -> int:
        """Purchase lines that were read."""
        return self.counts["purchases"].read

    @property
    def rejected(self) -> int:
        """Purchase lines that were rejected."""
        return sum(self.counts["purchases"].rejected.values())

    @property
    def left_out(self) -> dict[str, int]:
        """Purchase lines that were left out, by reason."""
        return self.counts["purchases"].left_out

    @cached_property
    def categories(self) -> list[str]:
        """The products' categories, distinct and sorted."""
        return sorted(self.products["category"].drop_nulls().unique().to_list())

    @cached_property
    def category_row(self) -> IntArray:
        """Row in `categories` of each product, shape (n_products,), -1 where it has none."""
        return _rows_of(self.products["category"])

    @cached_property
    def brands(self) -> list[str]:
        """The products' brands, distinct and sorted."""
        return sorted(self.products["brand"].drop_nulls().unique().to_list())

    @cached_property
    def brand_row(self) -> IntArray:
        """Row in `brands` of each product, shape (n_products,), -1 where it has none."""
        return _rows_of(self.products["brand"])

    @property
    def sold_out(self) -> BoolArray:
        """Whether each product is out of stock now, shape (n_products,); not where no stock is told."""
        return (self.products["stock"] <= 0).fill_null(False).to_numpy()

    @cached_property
    def catalogue(self) -> Catalogue:
        """The products as models take them; a price that the shop doesn't tell is the median one paid, and
        categories, or brands, whose names are `alike` are one."""
        at_s, end_s = self.placed
        by_product = self.purchases.with_columns(at_s=at_s).group_by("product_row")
        bought = by_product.agg(pl.col("unit_price").median(), pl.col("at_s").min())
        rows = bought["product_row"].to_numpy()
        price = np.full(self.products.height, np.nan, np.float32)
        price[rows] = bought["unit_price"].fill_null(np.nan).to_numpy()
        sold_since_s = np.full(self.products.height, LATER, np.int64)
        sold_since_s[rows] = bought["at_s"].to_numpy()
        told = self.products["price"].cast(pl.Float32).fill_null(np.nan).to_numpy()
        # Without a title from anywhere all words are of the shop's keywords.
        has_no_title = self.products["title"].is_null().to_numpy()
        is_told = self.is_told | (has_no_title[:, None] & np.array([name == "title" for name in TOLD]))
        described = pl.concat_str("title", "keywords", separator=" ", ignore_nulls=True)
        texts = self.products.select(described).to_series()
        categories, category_row = _grouped(self.categories, self.category_row)
        words = word_table(texts.append(categories))
        every = Catalogue(
            category_row=category_row,
            brand_row=_grouped(self.brands, self.brand_row)[1],
            price=np.where(np.isnan(told), price, told),
            words=words[: self.products.height],
            category_words=words[self.products.height :],
            sold_since_s=sold_since_s,
            is_told=is_told,
            available_s=self.products["available_from"].fill_null(EVER).to_numpy(),
            promotions=self._promotions,
        )
        return every.before(end_s)

    @property
    def _promotions(self) -> Promotions:
        """What the shop put forward of the products that are known here."""
        if self.promotions is None:
            return Promotions()
        rows = self.products.select("product_id").with_row_index("row")
        known = self.promotions.join(rows, on="product_id", maintain_order="left")
        seconds = known.select(pl.col("starts_at", "ends_at").dt.epoch("s"))
        return Promotions(
            known["row"].to_numpy().astype(np.int32),
            seconds["starts_at"].to_numpy(),
            seconds["ends_at"].to_numpy(),
            known["reach"].fill_null(1).to_numpy(),
            known_s=self.promotions_known_s,
        )

    @cached_property
    def placed(self) -> tuple[pl.Series, int]:
        """The times of the purchases and the end of what is known as windows take them, Unix seconds."""
        return placed(self.purchases["at_s"], int(self.as_of.timestamp()), self.timezone)

    def interactions(self) -> Interactions:
        """The purchases as models take them: one entry for each order and product, `placed`."""
        columns = self.purchases
        at_s, end_s = self.placed
        return Interactions.build(
            columns["customer_row"].to_numpy(),
            columns["product_row"].to_numpy(),
            columns["order_row"].to_numpy(),
            at_s.to_numpy(),
            catalogue=self.catalogue,
            as_of_s=end_s,
            n_customers=len(self.customer_ids),
        )

    def named_purchases(self) -> pl.DataFrame:
        """The purchases with customer_id, product_id and purchased_at (UTC) instead of rows and seconds."""
        return self.purchases.select(
            pl.Series(self.customer_ids).gather(self.purchases["customer_row"]).alias("customer_id"),
            self.products["product_id"].gather(self.purchases["product_row"]),
            "order_row",
            pl.from_epoch("at_s", "s").dt.replace_time_zone("UTC").alias("purchased_at"),
            "quantity",
            "unit_price",
            "discount",
        )


def _grouped(names: list[str], row: IntArray) -> tuple[pl.Series, IntArray]:
    """What names have in common that are alike, distinct and sorted, and the row there of each product."""
    common = alike(pl.Series(names, dtype=pl.String))
    return common.unique().sort(), np.append(_rows_of(common), np.int32(-1))[row]


def _rows_of(names: pl.Series) -> IntArray:
    """Each name's row among the distinct sorted ones, int32, -1 for none."""
    rows = {name: row for row, name in enumerate(sorted(names.drop_nulls().unique().to_list()))}
    return np.array([rows.get(name, -1) for name in names], np.int32)
