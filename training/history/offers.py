"""The shop's offers, audiences and redemptions in the rows of a history, as models take them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy import sparse

from models.arrays import IntArray
from models.offers.campaigns import OPEN_END_S, Campaign, Offers, Redemptions
from storage.history.history import History
from storage.versions.strings import order_of

ALWAYS_S = -(2**62)  # the start of an offer that has none


class ShopOffers(NamedTuple):
    """What a history knows of offers.

    Attributes:
        table: the shop's offers by offer row, in `order_of` order, with `campaign_row` beside the columns.
        redemptions: of known offers by known customers.
        redeemed: shape (n_offers,): how many there were, whoever redeemed.
    """

    table: pl.DataFrame
    offers: Offers
    redemptions: Redemptions
    redeemed: IntArray

    @classmethod
    def of(cls, history: History) -> "ShopOffers | None":
        """None for a shop without offers."""
        if history.offers is None or not history.offers.height:
            return None
        ids = order_of(history.offers["offer_id"].to_list())
        campaign = ("segment", "starts_at", "ends_at")
        table = pl.DataFrame({"offer_id": ids}).join(
            history.offers, on="offer_id", how="left", maintain_order="left"
        )
        kinds = table.select(campaign).unique().sort("starts_at", "ends_at", "segment", nulls_last=False)
        table = table.join(
            kinds.with_row_index("campaign_row"),
            on=campaign,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        customers = _rows(history.customer_ids)
        offers = Offers(_products(history, table), _campaigns(history, table, kinds, customers))
        return cls(table, offers, _redemptions(history, ids, customers), _redeemed(history, table))


def _rows(ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"customer_id": ids}).with_row_index("row")


def _products(history: History, table: pl.DataFrame) -> sparse.csr_array:
    """n_offers x n_products; products that the history doesn't know are passed over."""
    known = history.products.select("product_id").with_row_index("product_row")
    cells = (
        table.select("product_ids")
        .with_row_index("offer_row")
        .explode("product_ids")
        .join(known, left_on="product_ids", right_on="product_id")
        .unique(["offer_row", "product_row"])
    )
    places = (cells["offer_row"].to_numpy(), cells["product_row"].to_numpy())
    shape = (table.height, history.products.height)
    return sparse.csr_array((np.ones(cells.height, np.float32), places), shape=shape)


def _campaigns(
    history: History, table: pl.DataFrame, kinds: pl.DataFrame, customers: pl.DataFrame
) -> list[Campaign]:
    members = _members(history, customers)
    everybody = np.arange(len(history.customer_ids), dtype=np.int32)
    nobody = everybody[:0]
    row = table["campaign_row"].to_numpy()
    seconds = kinds.select(pl.col("starts_at", "ends_at").dt.epoch("s"))
    return [
        Campaign(
            np.flatnonzero(row == number).astype(np.int32),
            everybody if segment is None else members.get(segment, nobody),
            ALWAYS_S if starts is None else starts,
            OPEN_END_S if ends is None else ends,
        )
        for number, (segment, (starts, ends)) in enumerate(
            zip(kinds["segment"], seconds.iter_rows(), strict=True)
        )
    ]


def _members(history: History, customers: pl.DataFrame) -> Mapping[str, IntArray]:
    """The rows of each segment's customers, rising; of those who ever bought something."""
    if history.audiences is None:
        return {}
    known = history.audiences.join(customers, on="customer_id").unique(["segment", "row"])
    found = known.group_by("segment").agg(pl.col("row").sort())
    return {segment: np.array(rows, np.int32) for segment, rows in found.iter_rows()}


def _redeemed(history: History, table: pl.DataFrame) -> IntArray:
    if history.redeemed is None:
        return np.zeros(table.height, np.int32)
    counted = table.select("offer_id").join(
        history.redeemed, on="offer_id", how="left", maintain_order="left"
    )
    return counted["n"].fill_null(0).to_numpy().astype(np.int32)


def _redemptions(history: History, offer_ids: list[str], customers: pl.DataFrame) -> Redemptions:
    if history.redemptions is None:
        nothing = np.empty(0, np.int32)
        return Redemptions(nothing, nothing, np.empty(0, np.int64))
    offers = pl.DataFrame({"offer_id": offer_ids}).with_row_index("offer_row")
    known = history.redemptions.join(offers, on="offer_id").join(customers, on="customer_id")
    known = known.with_columns(at_s=pl.col("redeemed_at").dt.epoch("s")).sort("at_s", "offer_row", "row")
    return Redemptions(
        known["offer_row"].to_numpy().astype(np.int32),
        known["row"].to_numpy().astype(np.int32),
        known["at_s"].to_numpy().astype(np.int64),
    )
