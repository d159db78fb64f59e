"""A version's offers as the day reads them: mapped arrays, and each customer's offers, by what they add."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from models.arrays import NONE, AnyArray, FloatArray, IntArray
from storage.versions.version import Version
from storage.versions.writer import VersionWriter

OFFER = "offers/list_offer"
NO_START_S, NO_END_S = -(2**62), 2**62
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ListedOffer(NamedTuple):
    """One offer of a customer's list.

    Attributes:
        probability: of redeeming it; None from a shop where nobody ever redeemed anything.
        value: what it adds, in the shop's currency; None where that isn't known.
    """

    offer_row: int
    probability: float | None
    value: float | None


@dataclass(frozen=True)
class Offer:
    """What the shop says of one offer; None for what it doesn't say.

    Attributes:
        product_rows: of the products that the version knows.
        discount: money off.
        margin: money earned with one piece of its products, by what sold lately.
        budget: redemptions.
        redeemed: how many redemptions the night knew of, whoever redeemed.
    """

    offer_id: str
    product_rows: IntArray
    discount: float | None
    starts_at: datetime | None
    ends_at: datetime | None
    segment: str | None
    budget: int | None
    redeemed: int
    margin: float | None


@dataclass(frozen=True, eq=False)
class OfferArrays:
    """What the night writes of offers, by offer row and by customer row.

    Attributes:
        indptr, product: shape (n + 1,) int64 and int32: each offer's products.
        discount, margin: shape (n,), float32, NaN where unknown.
        starts_s, ends_s: shape (n,), int64, Unix seconds; NO_START_S and NO_END_S where open.
        segment: shape (n,), int32, row among the segments, NONE for everybody.
        budget: shape (n,), int32, NONE for any.
        redeemed: shape (n,), int32, redemptions that the night knew of, whoever redeemed.
        list_offer: shape (n_customers + 1, m), int32, offers of each, by what they add, NONE where there are
            fewer; the last line is for whoever is not known.
        list_probability: the same shape, float16, of redeeming; NaN where unknown.
        list_value: the same shape, float32, in the shop's currency, NaN where unknown.
    """

    indptr: AnyArray
    product: IntArray
    discount: FloatArray
    margin: FloatArray
    starts_s: AnyArray
    ends_s: AnyArray
    segment: IntArray
    budget: IntArray
    redeemed: IntArray
    list_offer: IntArray
    list_probability: AnyArray
    list_value: FloatArray


KINDS: dict[str, type[np.generic]] = {
    **{"indptr": np.int64, "product": np.int32, "discount": np.float32, "margin": np.float32},
    **{"starts_s": np.int64, "ends_s": np.int64, "segment": np.int32, "budget": np.int32},
    **{"redeemed": np.int32},
    **{"list_offer": np.int32, "list_probability": np.float16, "list_value": np.float32},
}


def write_offers(writer: VersionWriter, ids: list[str], segments: list[str], arrays: OfferArrays) -> None:
    """Offers of a version; ids in `order_of` order. A version without offers has none of these files."""
    writer.add_ids("offers", ids)
    writer.add_strings("offers/segments", segments)
    for name, kind in KINDS.items():
        writer.add(f"offers/{name}", getattr(arrays, name).astype(kind, copy=False))


class PublishedOffers:
    """Offers of one version, mapped; of a version without offers, none. Numbers are as of the night."""

    def __init__(self, version: Version, n_customers: int, n_products: int) -> None:
        """Raises: DamagedVersionError, where the arrays don't fit each other or the version."""
        self.has_any = version.has(OFFER)
        if not self.has_any:
            return
        self.ids = version.ids("offers")
        self._segments = version.strings("offers/segments")
        arrays = self._checked(version, n_customers, n_products)
        self._arrays = OfferArrays(**arrays)
        lists = ("list_offer", "list_probability", "list_value")
        self._lists: tuple[memoryview[Any], ...] = tuple(
            memoryview(arrays[name].reshape(-1)) for name in lists
        )
        self._last_line, self._length = n_customers, int(arrays["list_offer"].shape[1])

    def __len__(self) -> int:
        return len(self.ids) if self.has_any else 0

    def listed(self, customer_row: int) -> tuple[list[int], int]:
        """Rows of a customer's offers, whether they are on or not, by what they add, the most first, and the
        place at which the first of them stands in the lists of all.

        Those whose value isn't known stand below the others, by the purchases that they add. Behind the last
        there may be NONE.

        Args:
            customer_row: -1 for somebody who is not in the version: the offers that are for everybody.
        """
        if not self.has_any:
            return [], 0
        start = (customer_row if customer_row != NONE else self._last_line) * self._length
        return self._lists[0][start : start + self._length].tolist(), start

    def at(self, place: int, offer_row: int) -> ListedOffer:
        """What is known of an offer at a place of the lists."""
        _, chances, values = self._lists
        chance, value = chances[place], values[place]
        return ListedOffer(offer_row, None if isnan(chance) else chance, None if isnan(value) else value)

    def offer(self, offer_row: int) -> Offer:
        a, row = self._arrays, offer_row
        segment, budget = int(a.segment[row]), int(a.budget[row])
        return Offer(
            offer_id=self.ids[row],
            product_rows=a.product[a.indptr[row] : a.indptr[row + 1]],
            discount=_known(a.discount[row]),
            starts_at=_moment(int(a.starts_s[row])),
            ends_at=_moment(int(a.ends_s[row])),
            segment=None if segment == NONE else self._segments[segment],
            budget=None if budget == NONE else budget,
            redeemed=int(a.redeemed[row]),
            margin=_known(a.margin[row]),
        )

    def find(self, offer_id: str) -> int:
        """The row of an offer, NONE if it isn't here."""
        return self.ids.find(offer_id) if self.has_any else NONE

    def _checked(self, version: Version, n_customers: int, n_products: int) -> dict[str, AnyArray]:
        n, lists = len(self.ids), (n_customers + 1, *version.array(OFFER).shape[1:])
        shapes: dict[str, tuple[int, ...]] = {
            **dict.fromkeys(KINDS, (n,)),
            **dict.fromkeys(("list_offer", "list_probability", "list_value"), lists),
            **{"indptr": (n + 1,), "product": version.array("offers/product").shape[:1]},
        }
        arrays = {
            name: version.array_of(f"offers/{name}", kind, shapes[name]) for name, kind in KINDS.items()
        }
        ends = {"product": n_products, "segment": len(self._segments)}
        for name, end in ends.items():  # the lists are too long to be read here
            if arrays[name].size and not NONE <= arrays[name].min() <= arrays[name].max() < end:
                raise version.damaged(f"offers/{name}", "rows that are not there")
        return arrays


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _moment(seconds: int) -> datetime | None:
    """None for an open end; what no calendar has is as good as open."""
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
