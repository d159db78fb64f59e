"""What the night leaves for each customer: a list of products, and for each the purchase that explains it."""

from dataclasses import dataclass, fields

import numpy as np
import polars as pl
from scipy import sparse

from models.arrays import DAY_S, AnyArray, FloatArray, IntArray, LongArray
from models.due import Due
from models.history.pair_keys import pair_keys, places_among
from storage.history.history import History

MAX_ANCHORS = 200  # a customer's latest products that may explain another one; a byte tells which
MAX_EVIDENCE = 2**15 - 1  # an int16 points at own history: older entries explain nothing


@dataclass(frozen=True, eq=False)
class OwnHistory:
    """Each customer's products, most recently bought first: what reasons and filters rest on.

    Attributes:
        indptr: shape (n_customers + 1,), int64: where each customer's entries begin.
        product: shape (n,), int32.
        times: shape (n,), uint16, in how many orders.
        last_day: shape (n,), uint16, days since 1970-01-01, by the shop's date.
        interval_days: shape (n,), float16, mean days between its orders; NaN for one order only.
    """

    indptr: LongArray
    product: IntArray
    times: AnyArray
    last_day: AnyArray
    interval_days: AnyArray

    @classmethod
    def names(cls) -> list[str]:
        """The arrays' names, in a version below `history/`."""
        return [field.name for field in fields(cls)]

    @classmethod
    def of(cls, history: History) -> "OwnHistory":
        rows = (
            history.purchases.lazy()
            .group_by("customer_row", "product_row")
            .agg(
                times=pl.col("order_row").n_unique(),
                last_s=pl.col("at_s").max(),
                first_s=pl.col("at_s").min(),
                last_day=_day(history).max(),
            )
            .sort("customer_row", pl.col("last_s").neg(), "product_row")
            .collect()
        )
        times = rows["times"].to_numpy()
        gaps = np.where(times > 1, times - 1.0, np.nan)
        days = (rows["last_s"] - rows["first_s"]).to_numpy() / DAY_S
        starts = np.searchsorted(rows["customer_row"].to_numpy(), np.arange(len(history.customer_ids) + 1))
        return cls(
            indptr=starts.astype(np.int64),
            product=rows["product_row"].to_numpy().astype(np.int32),
            times=np.minimum(times, 65_535).astype(np.uint16),
            last_day=rows["last_day"].to_numpy().astype(np.uint16),
            interval_days=(days / gaps).astype(np.float16),
        )

    def matrix(self, n_products: int) -> sparse.csr_array:
        """Customers x products, bool: what each ever bought."""
        shape = len(self.indptr) - 1, n_products
        return sparse.csr_array(
            (np.ones(len(self.product), np.bool_), self.product, self.indptr), shape=shape
        )


def first_days(history: History, n_products: int) -> AnyArray:
    """The day on which each product was first bought, uint16, days since 1970-01-01, by the shop's date.

    It is 0 where nobody bought it yet.
    """
    rows = history.purchases.lazy().group_by("product_row").agg(day=_day(history).min()).collect()
    days = np.zeros(n_products, np.uint16)
    days[rows["product_row"].to_numpy()] = rows["day"].to_numpy()
    return days


def _day(history: History) -> pl.Expr:
    """The shop's date of each purchase, in days since 1970-01-01."""
    at = pl.from_epoch("at_s", "s").dt.replace_time_zone("UTC").dt.convert_time_zone(history.timezone)
    return at.dt.date().cast(pl.Int32)


def due_days(own: OwnHistory, due: Due) -> AnyArray:
    """The day on which each entry of the own history is due again.

    Args:
        own: histories of all customers.
        due: fitted on the same history, or on a part of it.
    Returns:
        shape of `own.product`, uint16, days since 1970-01-01: the last purchase's day, by the shop's date,
        and the whole days to expect after it. 0 where nothing can be expected, or nothing was learned.
    """
    entry = pair_keys(_owner(own.indptr), own.product, due.n_products_)
    learned = pair_keys(_owner(due.indptr_), due.product_, due.n_products_)  # rising
    place, is_known = places_among(entry, learned)
    expected = np.full(len(entry), np.nan)
    expected[is_known] = due.expected_days_[place[is_known]]
    days: AnyArray = np.nan_to_num(own.last_day + np.rint(expected), nan=0.0)
    return np.minimum(days, 65_535).astype(np.uint16)


def _owner(indptr: LongArray) -> LongArray:
    """The customer of each entry."""
    return np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))


def evidence(
    lists: IntArray, rows: IntArray, own: OwnHistory, similar: IntArray, similarity: FloatArray
) -> AnyArray:
    """For each place of each list, the entry of the customer's own history that explains it.

    Args:
        lists: shape (n, k), product rows, distinct, -1 after the last.
        rows: shape (n,), whose lists they are.
        own: histories of all customers.
        similar, similarity: shape (n_products, m), as `ItemItem` has them.
    Returns:
        shape (n, k), int16: position in the customer's history. It is the product itself where they bought
        it; else the one of the latest MAX_ANCHORS that it is most similar to, ties by the later; -1 if none.
    """
    found = np.full(lists.shape, -1, np.int16)
    place_of = np.full(len(similar) + 1, -1, np.int64)  # of a product in the list at hand; the last: of -1
    for number, row in enumerate(rows):
        mine = own.product[own.indptr[row] : own.indptr[row + 1]][:MAX_EVIDENCE]
        listed = lists[number][lists[number] >= 0]
        place_of[listed] = np.arange(len(listed))
        found[number, : len(listed)] = _explained(place_of, len(listed), mine, similar, similarity)
        place_of[listed] = -1
    return found


def _explained(
    place_of: LongArray, n: int, mine: IntArray, similar: IntArray, similarity: FloatArray
) -> LongArray:
    """As `evidence`, of one list of n products and the history of its customer."""
    anchors = mine[:MAX_ANCHORS]
    near = place_of[similar[anchors]]
    anchor, neighbour = np.nonzero(near >= 0)
    place, strength = near[anchor, neighbour], similarity[anchors[anchor], neighbour]
    weakest_first = np.lexsort((-anchor, strength, place))
    found = np.full(n, -1, np.int64)
    found[place[weakest_first]] = anchor[weakest_first]  # of several for one place the last one stays
    itself = np.flatnonzero(place_of[mine] >= 0)
    found[place_of[mine[itself]]] = itself
    return found
