"""A store for made-up customers: a version of a tiny shop, whose customers bought two products four times."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from storage.versions.store import Store
from tests.data.tiny_version import AS_OF, VARIANT, Bought, TinyShop, publish


def write_simulated_store(root: Path, customers: int) -> None:
    """Variants `blend`, the champion's, and `als`, and what `nbo-experiment simulate` fits itself on."""
    products = list(TinyShop().products)
    own = {f"c{i}": (products[i % 11], products[(i + 5) % 11]) for i in range(customers)}
    shop = TinyShop(
        out_of_stock=(),
        prices=dict.fromkeys(products, 2.0),
        history={name: [Bought(product) for product in some] for name, some in own.items()},
        candidates={name: [(product, product) for product in some] for name, some in own.items()},
    )
    store = Store(root)
    version_id = publish(store, shop, variants=(VARIANT, "als"))
    lines = [
        (name, product, 4 * i + k)
        for i, (name, some) in enumerate(own.items())
        for product in some
        for k in range(4)
    ]
    pl.DataFrame(
        {
            "customer_id": [line[0] for line in lines],
            "product_id": [line[1] for line in lines],
            "order_row": [line[2] for line in lines],
            "purchased_at": [AS_OF - timedelta(days=1 + 4 * (line[2] % 4)) for line in lines],
            "quantity": 1.0,
            "unit_price": 2.0,
            "discount": 0.0,
        }
    ).write_parquet(store.versions / version_id / "purchases.parquet")
