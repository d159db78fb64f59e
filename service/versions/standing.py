"""How products stand among all: which are popular in their category, and which are new in the shop."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import BoolArray, IntArray

FIRST_PLACES = 10  # of a category, by customers of late


def popular_in_category(recent_buyers: IntArray, category_row: IntArray) -> BoolArray:
    """Which products are among the most bought of their category of late.

    That is: its first FIRST_PLACES, no more than half of what was bought of it, rounded up; products with as
    many customers as each other are in together or not at all.

    Args:
        recent_buyers: distinct customers by product row.
        category_row: of each, -1 for none.
    """
    popular = np.zeros(len(recent_buyers), np.bool_)
    rows = np.flatnonzero((recent_buyers > 0) & (category_row >= 0))
    rows = rows[np.lexsort((-recent_buyers[rows], category_row[rows]))]
    # one number for each category and count: rising, and equal where both are
    of_rows = category_row[rows].astype(np.int64) * (1 << 32) - recent_buyers[rows]
    category = category_row[rows]
    begin, end = (np.searchsorted(category, category, side) for side in ("left", "right"))
    at_least_as_many = np.searchsorted(of_rows, of_rows, "right") - begin
    popular[rows] = at_least_as_many <= np.minimum(FIRST_PLACES, (end - begin + 1) // 2)
    return popular


def new_in_shop(first_day: NDArray[Any], last_day: int, recent_days: int) -> BoolArray:
    """Which products were first bought within the last days of the history; none where the shop itself sold
    nothing for as long before: all is new there.

    Args:
        first_day: of each product, days since 1970-01-01, 0 where nobody bought it yet.
        last_day: of the history.
        recent_days: how many days count as new.
    """
    first = np.asarray(first_day)
    sold = first[first > 0]
    if not sold.size or int(sold.min()) > last_day - 2 * recent_days:
        return np.zeros(len(first), np.bool_)
    new: BoolArray = first > max(last_day - recent_days, 0)
    return new
