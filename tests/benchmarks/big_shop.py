"""A version of any size, made up: for what the day costs with a shop that we have no data of.

    python -m tests.benchmarks.big_shop --store DIR --customers 1000000 --products 100000

It is as long and wide as a real one, and its answers read like real ones: products at the top of a list were
bought before, a few are sold much, ids and titles are as long as a shop's.
"""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.arrays import NONE
from models.numerics.fold_in import taste_matrix
from models.session import SessionFigures
from models.state import ModelState
from storage.versions.evidence import NO_EVIDENCE
from storage.versions.offers import NO_END_S, NO_START_S, OfferArrays, write_offers
from storage.versions.store import Store
from storage.versions.strings import order_of
from storage.versions.writer import VersionWriter
from tests.data.versions import finish
from training.strangers import ALIKE, TASTE_POOL

VARIANT = "ranker"
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
LAST_DAY = 20_757  # 2026-10-31, in days since 1970-01-01
CATEGORIES, NEIGHBOURS, FACTORS = 300, 50, 64
BLOCK = 50_000  # customers that are made up at once
AGAIN = 15  # candidates at the top of a list that were bought before; at a real grocer 95 % of the first ten
OFFERS_OF_ONE = 20
POPULAR = 20  # candidates at the end of a list that nothing of the history explains


@dataclass(frozen=True, slots=True)
class Size:
    """How large a shop is.

    Attributes:
        candidates: listed for each customer.
        bought: different products that each customer bought.
        offers: of which each customer has some.
    """

    customers: int
    products: int
    candidates: int = 200
    bought: int = 15
    offers: int = 0


def write(root: Path, size: Size, seed: int = 0) -> str:
    """Write a version of this size and make it the champion of a store; its id."""
    store, rng = Store(root), np.random.default_rng(seed)
    with store.night_lock(AS_OF):
        writer = store.writer()
        writer.add_ids("customers", order_of([f"{number:07}" for number in range(size.customers)]))
        _add_products(writer, size.products, rng)
        _add_histories(writer, size, rng)
        _add_candidates(writer, size, rng)
        _add_taste(writer, size.products, rng)
        if size.offers:
            _add_offers(writer, size, rng)
        writer.add_variant(VARIANT, ModelState({}, {}), recipe="made up", options={}, has_candidates=True)
        version_id = finish(writer, store.versions, now=AS_OF, as_of=AS_OF, default=VARIANT).version_id
    store.promote(version_id, now=AS_OF, why="made up")
    return version_id


def _add_products(writer: VersionWriter, products: int, rng: np.random.Generator) -> None:
    writer.add_ids("products", order_of([f"{number:08}" for number in range(products)]))
    for name, values in {
        "products/title": [f"Product {row} of a brand, in a pack of {row % 12}" for row in range(products)],
        "products/url": [f"https://shop.example/products/{row}" for row in range(products)],
        "products/image_url": [f"https://shop.example/images/{row}.jpg" for row in range(products)],
        "categories": [f"Category {row}" for row in range(CATEGORIES)],
        "brands": [],
    }.items():
        writer.add_strings(name, values)
    rows = np.arange(products, dtype=np.int32)
    writer.add("products/category_row", rows % CATEGORIES)
    writer.add("products/price", (rng.integers(50, 5000, products) / 100).astype(np.float32))
    writer.add("products/stock", np.full(products, -1, np.int32))
    writer.add("products/brand_row", np.full(products, -1, np.int32))
    for name in ("margin", "worth"):
        writer.add(f"products/{name}", np.full(products, np.nan, np.float32))
    writer.add("value/margin_share", np.array([0.25], np.float32))
    writer.add("session/figures", np.array(SessionFigures()[:3], np.float64))
    writer.add("follow_up/lift", np.ones(products, np.float32))
    writer.add("popular/first_day", np.zeros(products, np.uint16))
    writer.add("products/interval_days", rng.gamma(2.0, 15.0, products).astype(np.float32))
    writer.add("categories/interval_days", rng.gamma(2.0, 15.0, CATEGORIES).astype(np.float32))
    writer.add("popular/order", rows)
    writer.add("popular/recent_buyers", 1000 // (rows + 1))
    writer.add("popular/buyers", 10_000 // (rows + 1))
    writer.add("similar/product", _often_sold(rng, (products, NEIGHBOURS), products))
    scores = -np.sort(-rng.random((products, NEIGHBOURS), np.float32))
    writer.add("similar/score", scores)
    writer.add("alike/product", _often_sold(rng, (products, ALIKE), products))


def _add_taste(writer: VersionWriter, products: int, rng: np.random.Generator) -> None:
    """Factors as `als` leaves them, and what the night makes of them for customers of today."""
    factors = rng.normal(0, 0.1, (products, FACTORS)).astype(np.float32)
    pool = np.arange(min(products, TASTE_POOL), dtype=np.int32)
    writer.add("taste/product", pool)
    writer.add("taste/factors", factors[pool])
    writer.add("taste/matrix", taste_matrix(factors, 10.0))
    state = ModelState({"product_factors": factors}, {})
    writer.add_variant("als", state, recipe="made up", options={}, has_candidates=False)


def _add_histories(writer: VersionWriter, size: Size, rng: np.random.Generator) -> None:
    entries = size.customers * size.bought
    writer.add("history/indptr", np.arange(size.customers + 1, dtype=np.int64) * size.bought)
    writer.add("history/product", _often_sold(rng, (entries,), size.products))
    times = 1 + rng.geometric(0.6, entries).astype(np.uint16) * (rng.random(entries, np.float32) < 0.25)
    last_day = LAST_DAY - rng.integers(0, 365, entries)
    interval_days = np.where(times > 1, rng.gamma(2.0, 15.0, entries), np.nan)
    writer.add("history/times", times.astype(np.uint16))
    writer.add("history/last_day", last_day.astype(np.uint16))
    writer.add("history/interval_days", interval_days.astype(np.float16))
    writer.add("history/order_keys", np.empty(0, np.uint64))
    writer.add("history/due_day", (last_day + rng.integers(5, 90, entries)).astype(np.uint16))


def _add_candidates(writer: VersionWriter, size: Size, rng: np.random.Generator) -> None:
    """Bought products first, then others with one of the history behind them, at last the popular ones."""
    shape = (size.customers, size.candidates)
    product = _mapped(writer, "product", np.int32, shape)
    evidence = _mapped(writer, "evidence", np.uint8, shape)
    probability = _mapped(writer, "probability", np.float16, shape)
    bought = np.load(writer.folder / "history/product.npy", mmap_mode="r").reshape(-1, size.bought)
    again = min(AGAIN, size.bought, size.candidates)
    for start in range(0, size.customers, BLOCK):
        part = slice(start, min(start + BLOCK, size.customers))
        here = (part.stop - start, size.candidates)
        product[part] = _often_sold(rng, here, size.products)
        evidence[part] = rng.integers(0, size.bought, here)
        evidence[part, -POPULAR:] = NO_EVIDENCE
        product[part, :again] = bought[part, :again]
        evidence[part, :again] = np.arange(again)
        probability[part] = -np.sort(-rng.beta(0.3, 6.0, here).astype(np.float32))


def _add_offers(writer: VersionWriter, size: Size, rng: np.random.Generator) -> None:
    """Offers of some products each, on for ever, without a budget; every customer has some of them."""
    n, of_each = size.offers, min(100, size.products // 100)
    here = (size.customers + 1, min(OFFERS_OF_ONE, n // 2))
    arrays = OfferArrays(
        indptr=np.arange(n + 1) * of_each,
        product=_often_sold(rng, (n * of_each,), size.products),
        discount=np.full(n, 0.2),
        margin=rng.uniform(0.5, 3, n),
        starts_s=np.full(n, NO_START_S),
        ends_s=np.full(n, NO_END_S),
        segment=np.full(n, NONE),
        budget=np.full(n, NONE),
        redeemed=np.zeros(n),
        list_offer=(rng.integers(0, n, (here[0], 1)) + np.arange(here[1])) % n,
        list_probability=rng.beta(0.5, 10, here),
        list_value=-np.sort(-rng.exponential(0.1, here)),
    )
    write_offers(writer, order_of([f"offer {number}" for number in range(n)]), [], arrays)


def _often_sold(rng: np.random.Generator, shape: tuple[int, ...], products: int) -> NDArray[np.int32]:
    """Products of which a few are drawn often: a tenth of them half of the time."""
    return (rng.random(shape, np.float32) ** 3.3 * products).astype(np.int32)


def _mapped(
    writer: VersionWriter, name: str, dtype: DTypeLike, shape: tuple[int, int]
) -> NDArray[np.generic]:
    path = writer.path(f"candidates/{VARIANT}/{name}.npy")
    return np.lib.format.open_memmap(path, "w+", dtype, shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--products", type=int, required=True)
    given = parser.parse_args()
    print(write(given.store, Size(given.customers, given.products)))


if __name__ == "__main__":
    main()
