"""What offers are, as arrays: their products, their campaigns, and who redeemed what when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, BoolArray, IntArray, LongArray

OPEN_END_S = 2**62  # the end of a campaign that has none


@dataclass(frozen=True, eq=False)
class Campaign:
    """Offers that go to the same customers for the same time.

    Attributes:
        offer_rows: shape (m,), int32, rising.
        customer_rows: shape (n,), int32, rising: who gets its offers, as far as they are known.
        starts_s, ends_s: Unix seconds, the end is the first second after it; OPEN_END_S for none.
    """

    offer_rows: IntArray
    customer_rows: IntArray
    starts_s: int
    ends_s: int

    @property
    def days(self) -> float:
        """How long it is on; infinite without an end."""
        return float("inf") if self.ends_s >= OPEN_END_S else (self.ends_s - self.starts_s) / DAY_S


@dataclass(frozen=True, eq=False)
class Offers:
    """All offers of a shop, past and present.

    Attributes:
        products: n_offers x n_products, float32, 1 where the product is in the offer.
        campaigns: by start; every offer is in one of them.
    """

    products: sparse.csr_array
    campaigns: Sequence[Campaign]

    def __len__(self) -> int:
        return int(self.products.shape[0])

    def started_before(self, at_s: int) -> list[Campaign]:
        return [campaign for campaign in self.campaigns if campaign.starts_s < at_s]


@dataclass(frozen=True, eq=False)
class Redemptions:
    """Who redeemed which offer, one entry each; all of shape (n,).

    Attributes:
        offer_row, customer_row: int32.
        at_s: int64, Unix seconds.
    """

    offer_row: IntArray
    customer_row: IntArray
    at_s: LongArray

    def __len__(self) -> int:
        return len(self.offer_row)

    def before(self, at_s: int) -> "Redemptions":
        return self.only(self.at_s < at_s)

    def only(self, mask: BoolArray) -> "Redemptions":
        return Redemptions(self.offer_row[mask], self.customer_row[mask], self.at_s[mask])

    def grid(self, campaign: Campaign) -> sparse.csr_array:
        """Who of a campaign's customers redeemed which of its offers; n x m, bool, True where they did."""
        of_it = np.isin(self.offer_row, campaign.offer_rows)
        of_it &= np.isin(self.customer_row, campaign.customer_rows)
        customer = np.searchsorted(campaign.customer_rows, self.customer_row[of_it])
        offer = np.searchsorted(campaign.offer_rows, self.offer_row[of_it])
        shape = len(campaign.customer_rows), len(campaign.offer_rows)
        return sparse.csr_array((np.ones(len(offer), np.bool_), (customer, offer)), shape=shape)
