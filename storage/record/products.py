"""What a shop changes of a product during the day: stock, price and margin."""

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from storage.record.changes import ProductState
from storage.record.statements import next_change, upsert
from storage.record.tables import products_live


def change_product(connection: sa.Connection, product: ProductState, *, now_ms: int) -> int:
    """Put a product's live values in force, within a transaction that writes. Returns the change's number."""
    changed = next_change(connection)
    row = {
        "product_id": product.product_id,
        "stock": product.stock,
        "price": product.price,
        "margin": product.margin,
        "changed": changed,
        "changed_ms": now_ms,
    }
    columns = [name for name in row if name != "product_id"]
    connection.execute(upsert(connection, products_live, columns), row)
    return changed


def said_of_products(connection: sa.Connection) -> Iterator[tuple[ProductState, datetime]]:
    """What is said of products now, and since when, by id; nothing of those of which all was taken back."""
    live = products_live.c
    is_said = sa.or_(*(column.is_not(None) for column in (live.stock, live.price, live.margin)))
    for row in connection.execute(sa.select(products_live).where(is_said).order_by(live.product_id)):
        said = ProductState(row.product_id, row.stock, row.price, row.margin)
        yield said, datetime.fromtimestamp(row.changed_ms / 1000, UTC)
