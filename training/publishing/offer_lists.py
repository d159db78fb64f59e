"""What the night leaves of offers in its version: what they are, and who is how likely to redeem them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.arrays import DAY_S, NONE, AnyArray, BoolArray, DoubleArray, FloatArray, IntArray
from models.history.interactions import Interactions
from models.offers.campaigns import OPEN_END_S, Campaign
from models.offers.features import OfferFeatures
from models.offers.redemption import Redemption
from models.offers.value import expected_cost, expected_value, uplift
from storage.history.history import History
from storage.versions.offers import NO_END_S, NO_START_S, OfferArrays, write_offers
from storage.versions.writer import VersionWriter
from training.history.offers import ShopOffers

BLOCK_CELLS = 400_000  # pairs of customers and offers whose features are held at once


class ValueOptions(BaseModel):
    """Section `[value]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    margin_share: float = Field(
        default=0.25, ge=0, le=1, description="Share of the price that is margin, where none is told."
    )
    offers: int = Field(default=50, ge=1, le=1000, description="Offers that are listed for each customer.")
    open_days: float = Field(
        default=28.0, gt=0, description="Days that an offer without an end is thought to be on."
    )


class _Lists(NamedTuple):
    """As in OfferArrays, before they are made small."""

    offer: IntArray
    probability: FloatArray
    value: FloatArray


def product_margin(history: History, options: ValueOptions) -> FloatArray:
    """Money earned with one piece of each product, shape (n_products,): told, else the share of the price."""
    margin, price = (
        history.products[name].cast(pl.Float32).fill_null(np.nan).to_numpy() for name in ("margin", "price")
    )
    price = np.where(np.isnan(price), history.catalogue.price, price)  # else the median one paid
    return np.where(np.isnan(margin), price * np.float32(options.margin_share), margin)


def write_value(
    writer: VersionWriter, history: History, interactions: Interactions, options: ValueOptions
) -> None:
    """The margins that were told, the share that is assumed of others; of a shop with offers, those too."""
    told = history.products["margin"].cast(pl.Float32).fill_null(np.nan).to_numpy()
    writer.add("products/margin", told)
    writer.add("value/margin_share", np.array([options.margin_share], np.float32))
    margin = product_margin(history, options)
    writer.add("products/worth", margin)
    shop = ShopOffers.of(history)
    if shop is None:
        return
    segments = sorted(shop.table["segment"].drop_nulls().unique().to_list())
    facts = _facts(shop, segments, margin, interactions)
    lists = _ranked(interactions, shop, facts["discount"], facts["margin"], options)
    arrays = OfferArrays(
        **facts,
        list_offer=lists.offer,
        list_probability=lists.probability.astype(np.float16),
        list_value=lists.value,
    )
    write_offers(writer, shop.table["offer_id"].to_list(), segments, arrays)


def _facts(
    shop: ShopOffers, segments: list[str], margin: FloatArray, interactions: Interactions
) -> dict[str, AnyArray]:
    """What the shop says of its offers, by row, and the margin of each."""
    table, products = shop.table, shop.offers.products
    places = {segment: place for place, segment in enumerate(segments)}
    seconds = table.select(pl.col("starts_at", "ends_at").dt.epoch("s"))
    return {
        "indptr": products.indptr.astype(np.int64),
        "product": products.indices.astype(np.int32),
        "discount": table["discount"].cast(pl.Float32).fill_null(np.nan).to_numpy(),
        "margin": _offer_margin(shop, margin, interactions),
        "starts_s": seconds["starts_at"].fill_null(NO_START_S).to_numpy(),
        "ends_s": seconds["ends_at"].fill_null(NO_END_S).to_numpy(),
        "segment": np.array([places.get(name, NONE) for name in table["segment"]], np.int32),
        "budget": table["budget"].cast(pl.Int32).fill_null(NONE).to_numpy(),
        "redeemed": shop.redeemed,
    }


def _offer_margin(shop: ShopOffers, margin: FloatArray, interactions: Interactions) -> FloatArray:
    """The mean margin of an offer's products by how often they were bought; NaN where none is known."""
    bought = np.bincount(interactions.product_row, minlength=interactions.n_products) + 0.1
    weight = np.where(np.isnan(margin), 0, bought)
    total = shop.offers.products @ weight
    with np.errstate(invalid="ignore"):
        return np.asarray(shop.offers.products @ (weight * np.nan_to_num(margin)) / total, np.float32)


def _ranked(
    interactions: Interactions,
    shop: ShopOffers,
    discount: FloatArray,
    margin: FloatArray,
    options: ValueOptions,
) -> _Lists:
    """The list of every customer row, and below them that of somebody unknown.

    The last one is of a row without purchases: it sees the offers that are for everybody. The likeliest are
    listed of those that don't cost more than they bring.
    """
    n_rows, as_of_s = interactions.n_customers + 1, interactions.as_of_s
    coming = [campaign for campaign in shop.offers.campaigns if campaign.ends_s > as_of_s]
    offers = np.sort(np.concatenate([c.offer_rows for c in coming])) if coming else np.empty(0, np.int32)
    k = min(options.offers, len(offers))
    lists = _Lists(
        np.full((n_rows, k), NONE, np.int32),
        np.full((n_rows, k), np.nan, np.float32),
        np.full((n_rows, k), np.nan, np.float32),
    )
    if not k:
        return lists
    model = Redemption().fit(interactions, shop.offers, shop.redemptions)
    with_stranger = replace(interactions, n_customers=n_rows)
    features = OfferFeatures(with_stranger, shop.offers, shop.redemptions)
    days = _days_left(coming, offers, as_of_s, options.open_days)
    allowed = _Allowed(shop, coming, offers)
    block = max(1, BLOCK_CELLS // len(offers))
    for start in range(0, n_rows, block):
        may = allowed.of(start, min(start + block, n_rows))
        rows = (np.flatnonzero(may.any(axis=1)) + start).astype(np.int32)
        found = features.of(rows, offers)
        probability = model.probability(found)
        added = uplift(probability, features.anyway(rows, offers, days))
        value = expected_value(added, expected_cost(probability, discount[offers]), margin[offers])
        may = may[rows - start] & ~(value <= 0)
        order = np.where(may, model.log_odds(found), -np.inf)
        likeliest = np.argsort(-order, axis=1, kind="stable")[:, :k]  # ties by offer row
        best = _by_value(likeliest, order, value, added)
        is_there = np.isfinite(np.take_along_axis(order, best, axis=1))
        for whole, part in zip(
            lists, (np.broadcast_to(offers, order.shape), probability, value), strict=True
        ):
            whole[rows] = np.where(is_there, np.take_along_axis(part, best, axis=1), whole[rows])
    return lists


def _by_value(best: AnyArray, order: FloatArray, value: FloatArray, added: FloatArray) -> AnyArray:
    """Columns of offers, shape (n, k), likeliest first, put in the order of what they add."""

    def of_best(figures: FloatArray) -> FloatArray:
        found: FloatArray = np.take_along_axis(figures, best, axis=1)
        return found

    is_none = ~np.isfinite(of_best(order))
    is_unknown = np.isnan(of_best(value))
    keys = -np.nan_to_num(of_best(added)), -np.nan_to_num(of_best(value)), is_unknown, is_none
    by = np.lexsort(keys, axis=1)  # the last key first; ties stay, likeliest first
    return np.take_along_axis(best, by, axis=1)


class _Allowed:
    """Who may get which of the offers: the campaign is theirs, and they have not redeemed it yet."""

    def __init__(self, shop: ShopOffers, coming: list[Campaign], offers: IntArray) -> None:
        self._coming, self._offers = coming, offers
        self._is_open = shop.table["segment"].is_null().to_numpy()[offers]
        used = np.isin(shop.redemptions.offer_row, offers)
        order = np.argsort(shop.redemptions.customer_row[used], kind="stable")
        self._used_by = shop.redemptions.customer_row[used][order]
        self._used = np.searchsorted(offers, shop.redemptions.offer_row[used][order])

    def of(self, start: int, stop: int) -> BoolArray:
        """Shape (stop - start, n_offers)."""
        may = np.zeros((stop - start, len(self._offers)), np.bool_)
        may[:, self._is_open] = True
        for campaign in self._coming:
            first, last = np.searchsorted(campaign.customer_rows, (start, stop))
            places = np.searchsorted(self._offers, campaign.offer_rows)
            may[np.ix_(campaign.customer_rows[first:last] - start, places)] = True
        first, last = np.searchsorted(self._used_by, (start, stop))
        may[self._used_by[first:last] - start, self._used[first:last]] = False
        return may


def _days_left(coming: list[Campaign], offers: IntArray, as_of_s: int, open_days: float) -> DoubleArray:
    """How long each offer is still on, from its start if that is to come; shape of `offers`."""
    days = np.empty(len(offers))
    for campaign in coming:
        left = (campaign.ends_s - max(as_of_s, campaign.starts_s)) / DAY_S
        days[np.searchsorted(offers, campaign.offer_rows)] = (
            open_days if campaign.ends_s >= OPEN_END_S else left
        )
    return days
