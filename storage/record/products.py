"""What a shop changes of a product during the day: stock, price and margin."""

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
