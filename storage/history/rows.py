"""Row numbers for customers, products and orders, and what is known of each product."""

import numpy as np
import polars as pl

from models.arrays import BoolArray
from models.history.catalogue import TOLD
from storage.history.contract import DESCRIPTION

PRODUCT_SCHEMA = {
    "product_id": pl.String(),
    "title": pl.String(),
    "category": pl.String(),
    "brand": pl.String(),
    "price": pl.Float32(),
    "keywords": pl.String(),
    "margin": pl.Float32(),
    "stock": pl.Int32(),
    "available_from": pl.Int64(),
    "url": pl.String(),
    "image_url": pl.String(),
}


def number_purchases(
    lines: pl.DataFrame, customer_ids: list[str], product_ids: list[str], timezone: str
) -> pl.DataFrame:
    """The purchases by rows, sorted.

    Args:
        lines: clean purchases; purchased_at in Unix seconds. At least one.
        customer_ids, product_ids: by row.
        timezone: the shop's; without order_id, a customer's purchases of one local day are one order.
    Returns:
        customer_row, product_row, order_row Int32, at_s Int64, quantity, unit_price, discount Float32.
        Orders are numbered by customer, then by their first purchase, then by their id.
    """
    empty = pl.lit(None, pl.Float32)
    local = pl.from_epoch("purchased_at", "s").dt.replace_time_zone("UTC").dt.convert_time_zone(timezone)
    day = pl.format("day {}", local.dt.date())
    order = pl.coalesce(pl.format("id {}", pl.col("order_id")), day) if "order_id" in lines.columns else day
    quantity = pl.col("quantity").fill_null(1) if "quantity" in lines.columns else pl.lit(1, pl.Float32)
    numbered = (
        lines.select(
            "customer_id",
            "product_id",
            pl.col("purchased_at").alias("at_s"),
            order.alias("order"),
            quantity.cast(pl.Float32).alias("quantity"),
            *(
                pl.col(name) if name in lines.columns else empty.alias(name)
                for name in ("unit_price", "discount")
            ),
        )
        .join(_rows(customer_ids, "customer"), on="customer_id")
        .join(_rows(product_ids, "product"), on="product_id")
        .drop("customer_id", "product_id")
    )
    orders = (
        numbered.group_by("customer_row", "order")
        .agg(pl.col("at_s").min())
        .sort("customer_row", "at_s", "order")
        .select("customer_row", "order", order_row=pl.int_range(pl.len(), dtype=pl.Int32))
    )
    columns = ["customer_row", "product_row", "order_row", "at_s", "quantity", "unit_price", "discount"]
    by = ["customer_row", "at_s", "order_row", "product_row", "quantity", "unit_price", "discount"]
    return numbered.join(orders, on=["customer_row", "order"]).select(columns).sort(by).rechunk()


def product_ids_of(
    sold: pl.Series, catalogue: pl.DataFrame | None, excluded: str | None, now_s: int
) -> pl.Series:
    """The products that have a row: those sold, and those of the shop's catalogue that may be yet.

    Args:
        sold: ids of products that were.
        catalogue: the clean table of products, if the shop has one.
        excluded: a pattern of ids that are no products (fees), or None.
        now_s: Unix seconds.
    Returns:
        distinct ids, in any order. A product that was never sold is not among them if it is out of stock, not
        available yet, or if nothing is known by which it could be recommended.
    """
    content = [
        name for name in ("title", "category", "brand") if catalogue is not None and name in catalogue.columns
    ]
    if catalogue is None or not content:
        return sold.unique()
    catalogue = catalogue.filter(pl.any_horizontal(pl.col(content).is_not_null()))
    if "stock" in catalogue.columns:
        catalogue = catalogue.filter(pl.col("stock").is_null() | (pl.col("stock") > 0))
    if "available_from" in catalogue.columns:
        catalogue = catalogue.filter(pl.col("available_from").is_null() | (pl.col("available_from") <= now_s))
    if excluded is not None:
        catalogue = catalogue.filter(~pl.col("product_id").str.contains(excluded))
    return pl.concat([sold, catalogue["product_id"]]).unique()


def describe_products(
    product_ids: list[str], catalogue: pl.DataFrame | None, lines: pl.DataFrame
) -> pl.DataFrame:
    """What is known of each product: from the shop's catalogue, else from its own latest purchase line.

    Returns:
        the columns of PRODUCT_SCHEMA, in the order of `product_ids`.
    """
    products = pl.DataFrame({"product_id": product_ids}, schema={"product_id": pl.String})
    if catalogue is not None:
        products = products.join(catalogue, on="product_id", how="left", maintain_order="left")
    for column in DESCRIPTION:
        if column.name in lines.columns:
            told = lines.drop_nulls(column.name).sort("purchased_at", column.name)
            latest = told.group_by("product_id").agg(pl.col(column.name).last().alias("told"))
            products = products.join(latest, on="product_id", how="left", maintain_order="left")
            known = pl.coalesce(column.name, "told") if column.name in products.columns else pl.col("told")
            products = products.with_columns(known.alias(column.name)).drop("told")
    missing = [name for name in PRODUCT_SCHEMA if name not in products.columns]
    empty = [pl.lit(None, PRODUCT_SCHEMA[name]).alias(name) for name in missing]
    return products.with_columns(empty).select(list(PRODUCT_SCHEMA)).rechunk()


def told_in_table(product_ids: list[str], catalogue: pl.DataFrame | None) -> BoolArray:
    """Whether the shop's table of products tells category, brand and title; see `Catalogue.is_told`."""
    names = [name for name in TOLD if catalogue is not None and name in catalogue.columns]
    is_told = np.zeros((len(product_ids), len(TOLD)), np.bool_)
    if catalogue is not None and names:
        ids = pl.DataFrame({"product_id": product_ids}, schema={"product_id": pl.String})
        table = ids.join(catalogue, on="product_id", how="left", maintain_order="left")
        for name in names:
            is_told[:, TOLD.index(name)] = table[name].is_not_null().to_numpy()
    return is_told


def _rows(ids: list[str], name: str) -> pl.DataFrame:
    rows = pl.int_range(len(ids), dtype=pl.Int32, eager=True)
    return pl.DataFrame({f"{name}_id": pl.Series(ids, dtype=pl.String), f"{name}_row": rows})
