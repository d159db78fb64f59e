"""A small version written by hand: 6 customers, 12 products, 3 categories: answers can be worked out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from models.offers.value import expected_cost, expected_value, uplift
from models.session import SessionFigures
from models.state import ModelState
from models.strangers import Counts
from storage.versions.evidence import in_bytes
from storage.versions.offers import NO_END_S, NO_START_S, OfferArrays, write_offers
from storage.versions.order_keys import order_key
from storage.versions.store import Store
from storage.versions.strings import order_of
from storage.versions.writer import VersionWriter
from tests.data.versions import finish
from training.publishing.people import write_people

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
EPOCH = date(1970, 1, 1)
VARIANT = "blend"


@dataclass(frozen=True)
class Bought:
    """One product of a customer's history: in how many orders, the last one when, days between, when due."""

    product: str
    last: date = date(2017, 12, 28)
    times: int = 1
    interval_days: float = np.nan
    due: date = EPOCH


@dataclass(frozen=True)
class TinyOffer:
    """An offer. `chances` are of redeeming and of buying anyway, by customer; "" is for everybody else."""

    offer_id: str
    products: Sequence[str]
    chances: Mapping[str, tuple[float, float]]
    discount: float = 0.1
    margin: float = 1.0
    ends: datetime | None = None
    starts: datetime | None = None
    budget: int | None = None
    redeemed: int = 0


@dataclass(frozen=True)
class TinyShop:
    """What a version says, by ids. `popular` is best first; `candidates` name the product behind or ""."""

    products: Mapping[str, str] = field(  # id: category, "" for none
        default_factory=lambda: {
            "milk": "dairy", "butter": "dairy", "cheese": "dairy", "yoghurt": "dairy", "cream": "dairy",
            "bread": "bakery", "rolls": "bakery", "cake": "bakery",
            "apple": "fruit", "pear": "fruit", "plum": "fruit", "bag": "",
        }
    )  # fmt: skip
    titles: Mapping[str, str] = field(
        default_factory=lambda: {"milk": "Fresh Milk", "bread": 'Bread "Rustic"'}
    )
    prices: Mapping[str, float] = field(default_factory=lambda: {"milk": 1.19, "bread": 2.99})
    margins: Mapping[str, float] = field(default_factory=dict)
    brands: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    stock: Mapping[str, int] = field(default_factory=dict)
    out_of_stock: Sequence[str] = ("cream",)
    popular: Sequence[str] = (
        *("milk", "bread", "cream", "apple", "butter", "rolls"),
        *("pear", "cheese", "yoghurt", "plum", "cake"),
    )
    recent_buyers: Mapping[str, int] = field(default_factory=lambda: {"milk": 412, "bread": 1})
    first_bought: Mapping[str, date] = field(default_factory=dict)  # products that nobody bought have none
    timezone: str = "UTC"
    recent_days: int = 28
    has_due: bool = True
    orders: Sequence[tuple[str, str, str]] = ()  # customer, order, product
    places: int = 200
    product_interval: Mapping[str, float] = field(default_factory=dict)  # days until bought again
    category_interval: Mapping[str, float] = field(default_factory=dict)
    follow_up_lift: Mapping[str, float] = field(default_factory=dict)  # of the rest 1
    session: SessionFigures = field(default_factory=SessionFigures)
    category_left: Mapping[str, float] = field(default_factory=dict)  # none: of an earlier checkout's night
    counts: Counts | None = None  # as of an earlier checkout's night
    similar: Mapping[str, Sequence[tuple[str, float]]] = field(
        default_factory=lambda: {
            "milk": [("butter", 0.5), ("cream", 0.4), ("bread", 0.3)],
            "bread": [("butter", 0.4), ("cheese", 0.35), ("rolls", 0.2)],
            "apple": [("pear", 0.6), ("plum", 0.1)],
        }
    )
    alike: Mapping[str, Sequence[str]] = field(default_factory=dict)
    history: Mapping[str, Sequence[Bought]] = field(
        default_factory=lambda: {
            "anna": [
                Bought("milk", times=5, interval_days=6.1, due=date(2018, 1, 3)),
                Bought("bread", date(2017, 12, 20)),
            ],
            "ben": [Bought("apple", date(2017, 12, 1), 2, 1.0)],
            "7": [Bought("cake")],
            "007": [Bought("plum")],
            "käthe/1": [Bought("bread")],
            "new": [],
        }
    )
    candidates: Mapping[str, Sequence[tuple[str, str]]] = field(
        default_factory=lambda: {
            "anna": [
                ("milk", "milk"),
                ("cream", "milk"),
                ("bread", "bread"),
                ("butter", "milk"),
                ("apple", ""),
            ],
            "ben": [("apple", "apple"), ("pear", "apple")],
            "7": [("cake", "cake")],
            "007": [("plum", "plum")],
            "käthe/1": [("bread", "bread"), ("butter", "bread")],
        }
    )
    probability: Mapping[tuple[str, str], float] = field(default_factory=dict)  # by customer and product
    people: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # the shop's columns of customers
    audiences: Mapping[str, Sequence[str]] = field(default_factory=dict)  # customers by segment
    offers: Sequence[TinyOffer] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)  # old id: the product that is sold now


def publish(
    store: Store, shop: TinyShop | None = None, *, now: datetime = AS_OF, variants: Sequence[str] = (VARIANT,)
) -> str:
    """Write a version of the shop and make it the champion; its id."""
    version_id = write_version(store, shop or TinyShop(), now=now, variants=variants)
    store.promote(version_id, now=now, why="a test")
    return version_id


def new_store(root: Path, shop: TinyShop | None = None) -> Store:
    """A new store at this place, whose champion is a version of the shop."""
    store = Store(root)
    root.mkdir()
    publish(store, shop)
    return store


def write_version(
    store: Store,
    shop: TinyShop,
    *,
    now: datetime,
    variants: Sequence[str] = (VARIANT,),
    as_of: datetime = AS_OF,
    tombstone: int | None = None,
) -> str:
    """Write a version of the shop, as the night would; its id."""
    products, customers = order_of(list(shop.products)), order_of(list(shop.history))
    row = {product: number for number, product in enumerate(products)}
    with store.night_lock(now):
        writer = store.writer()
        writer.add_ids("customers", customers)
        writer.add_ids("products", products)
        _add_products(writer, shop, products)
        _add_people(writer, shop, customers)
        _add_popular(writer, shop, products, row)
        _add_similar(writer, shop, row)
        if shop.alike:
            _add_alike(writer, shop, row)
        _add_history(writer, shop, customers, row)
        _add_candidates(writer, shop, customers, row, variants)
        if shop.replaced:
            old = order_of(list(shop.replaced))
            writer.add_ids("replaced", old)
            writer.add("replaced/product", np.array([row[shop.replaced[one]] for one in old], np.int32))
        if shop.offers:
            _add_offers(writer, shop, customers, row)
        for variant in variants:
            writer.add_variant(variant, ModelState({}, {}), recipe="by hand", options={}, has_candidates=True)
        facts = {"timezone": shop.timezone, "recent_days": shop.recent_days, "tombstone": tombstone}
        made = finish(writer, store.versions, now=now, as_of=as_of, default=variants[0], **facts)
        return made.version_id


def _add_products(writer: VersionWriter, shop: TinyShop, products: list[str]) -> None:
    categories = sorted({category for category in shop.products.values() if category})
    brands = sorted(set(shop.brands.values()))
    category_row = [categories.index(c) if (c := shop.products[p]) else -1 for p in products]
    for name, values in {
        "products/title": [shop.titles.get(p, "") for p in products],
        "products/url": [f"https://shop.example/{p}" if p in shop.titles else "" for p in products],
        "products/image_url": [shop.images.get(p, "") for p in products],
        "categories": categories,
        "brands": brands,
    }.items():
        writer.add_strings(name, values)
    brand_row = [brands.index(shop.brands[p]) if p in shop.brands else -1 for p in products]
    stock = [0 if p in shop.out_of_stock else shop.stock.get(p, -1) for p in products]
    writer.add("products/category_row", np.array(category_row, np.int32))
    writer.add("products/brand_row", np.array(brand_row, np.int32))
    writer.add("products/price", np.array([shop.prices.get(p, np.nan) for p in products], np.float32))
    writer.add("products/margin", np.array([shop.margins.get(p, np.nan) for p in products], np.float32))
    writer.add("products/stock", np.array(stock, np.int32))
    for table, names, days in (
        ("products", products, shop.product_interval),
        ("categories", categories, shop.category_interval),
    ):
        writer.add(f"{table}/interval_days", np.array([days.get(n, np.nan) for n in names], np.float32))
    writer.add("products/worth", np.full(len(products), np.nan, np.float32))
    writer.add("value/margin_share", np.array([0.25], np.float32))
    *figures, similar = shop.session
    writer.add("session/figures", np.array(figures, np.float64))
    if similar != SessionFigures().similar:
        writer.add("session/similar", np.array([similar], np.float64))
    if shop.category_left:
        left = [shop.category_left.get(name, 1.0) for name in categories]
        writer.add("follow_up/category_left", np.array(left, np.float32))
    if shop.counts:
        writer.add("session/stranger_counts", np.array(shop.counts, np.float64))
    writer.add("follow_up/lift", np.array([shop.follow_up_lift.get(p, 1.0) for p in products], np.float32))


def _add_people(writer: VersionWriter, shop: TinyShop, customers: list[str]) -> None:
    lines = [{"customer_id": customer, **columns} for customer, columns in shop.people.items()]
    members = [
        {"segment": name, "customer_id": customer}
        for name, some in shop.audiences.items()
        for customer in some
    ]
    write_people(
        writer,
        customers,
        pl.DataFrame(lines, infer_schema_length=None) if lines else None,
        pl.DataFrame(members) if members else None,
    )


def _add_popular(writer: VersionWriter, shop: TinyShop, products: list[str], row: dict[str, int]) -> None:
    recent = np.array([shop.recent_buyers.get(p, 0) for p in products], np.int32)
    writer.add("popular/recent_buyers", recent)
    writer.add("popular/buyers", recent + np.int32(3))
    first = [(shop.first_bought.get(product, EPOCH) - EPOCH).days for product in products]
    writer.add("popular/first_day", np.array(first, np.uint16))
    writer.add("popular/order", np.array([row[p] for p in shop.popular], np.int32))


def _add_similar(writer: VersionWriter, shop: TinyShop, row: dict[str, int]) -> None:
    width = max([1, *map(len, shop.similar.values())])
    product = np.full((len(row), width), -1, np.int32)
    score = np.zeros((len(row), width), np.float32)
    for about, neighbours in shop.similar.items():
        for place, (other, similarity) in enumerate(neighbours):
            product[row[about], place], score[row[about], place] = row[other], similarity
    writer.add("similar/product", product)
    writer.add("similar/score", score)


def _add_alike(writer: VersionWriter, shop: TinyShop, row: dict[str, int]) -> None:
    product = np.full((len(row), max(map(len, shop.alike.values()))), -1, np.int32)
    for about, others in shop.alike.items():
        product[row[about], : len(others)] = [row[other] for other in others]
    writer.add("alike/product", product)


def _add_history(writer: VersionWriter, shop: TinyShop, customers: list[str], row: dict[str, int]) -> None:
    lines = [bought for customer in customers for bought in shop.history[customer]]
    indptr = np.zeros(len(customers) + 1, np.int64)
    np.cumsum([len(shop.history[c]) for c in customers], out=indptr[1:])
    writer.add("history/indptr", indptr)
    writer.add("history/product", np.array([row[b.product] for b in lines], np.int32))
    writer.add("history/times", np.array([b.times for b in lines], np.uint16))
    writer.add("history/last_day", np.array([(b.last - EPOCH).days for b in lines], np.uint16))
    writer.add("history/interval_days", np.array([b.interval_days for b in lines], np.float16))
    keys = sorted(order_key(who, order, shop.replaced.get(what, what)) for who, order, what in shop.orders)
    writer.add("history/order_keys", np.array(keys, np.uint64))
    if shop.has_due:
        writer.add("history/due_day", np.array([(b.due - EPOCH).days for b in lines], np.uint16))


def _add_candidates(
    writer: VersionWriter, shop: TinyShop, customers: list[str], row: dict[str, int], variants: Sequence[str]
) -> None:
    product = np.full((len(customers), shop.places), -1, np.int32)
    evidence = np.full((len(customers), shop.places), -1, np.int16)
    probability = np.full((len(customers), shop.places), np.nan, np.float16)
    for customer_row, customer in enumerate(customers):
        bought = [b.product for b in shop.history[customer]]
        for place, (candidate, reason) in enumerate(shop.candidates.get(customer, ())):
            product[customer_row, place] = row[candidate]
            evidence[customer_row, place] = bought.index(reason) if reason else -1
            probability[customer_row, place] = shop.probability.get((customer, candidate), np.nan)
    for variant in variants:
        writer.add(f"candidates/{variant}/product", product)
        writer.add(f"candidates/{variant}/evidence", in_bytes(evidence))
        if shop.probability:
            writer.add(f"candidates/{variant}/probability", probability)


def _add_offers(writer: VersionWriter, shop: TinyShop, customers: list[str], row: dict[str, int]) -> None:
    ids = order_of([offer.offer_id for offer in shop.offers])
    offers = sorted(shop.offers, key=lambda offer: ids.index(offer.offer_id))
    lists = np.full((3, len(customers) + 1, len(offers)), np.nan)
    for customer_row, customer in enumerate([*customers, ""]):
        theirs = [
            _listed(place, o, *o.chances[customer]) for place, o in enumerate(offers) if customer in o.chances
        ]
        theirs = sorted(one for one in theirs if not one[-1] <= 0)
        for n, (_, _, *listed) in enumerate(theirs):
            lists[:, customer_row, n] = listed
    arrays = OfferArrays(
        indptr=np.cumsum([0, *(len(offer.products) for offer in offers)]),
        product=np.array([row[product] for offer in offers for product in offer.products]),
        discount=np.array([offer.discount for offer in offers]),
        margin=np.array([offer.margin for offer in offers]),
        starts_s=np.array([NO_START_S if o.starts is None else int(o.starts.timestamp()) for o in offers]),
        ends_s=np.array([NO_END_S if o.ends is None else int(o.ends.timestamp()) for o in offers]),
        segment=np.full(len(offers), -1),
        budget=np.array([-1 if offer.budget is None else offer.budget for offer in offers]),
        redeemed=np.array([offer.redeemed for offer in offers]),
        list_offer=np.nan_to_num(lists[0], nan=-1),
        list_probability=lists[1],
        list_value=lists[2],
    )
    write_offers(writer, ids, [], arrays)


def _listed(
    place: int, offer: TinyOffer, chance: float, anyway: float
) -> tuple[bool, float, int, float, float]:
    """Whether its value is unknown, its order among the others, and what a list has of an offer."""
    added = uplift(chance, anyway)
    value = expected_value(added, expected_cost(chance, offer.discount), offer.margin)
    is_unknown = np.isnan(value)
    return is_unknown, -np.nan_to_num(added if is_unknown else value), place, chance, value
