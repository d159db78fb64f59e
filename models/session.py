"""How what a customer bought since the night moves their list: some products step back, others step up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.arrays import NONE, DoubleArray, FloatArray, IntArray
from models.strangers import by_places

SHORTEST_DAYS = 0.25  # in which half of what stepped back is made up


class SessionFigures(NamedTuple):
    """How far lists move: they stand in the version and not in the day's settings, so that all workers make
    the same list of it. The usual ones are those by which answers before a grocer's baskets were best.

    Attributes:
        first: a place counts 1 / (first + place).
        steps_back: of what a product counts, what it loses right after it was bought, 0 to 1; others of its
            category lose as much at most.
        half_life: half of that is made up in each such share of the interval at which it is bought.
        similar: what the list of similar products counts beside the night's, which counts 1.
    """

    first: float = 2.0
    steps_back: float = 0.65
    half_life: float = 1 / 48
    similar: float = 0.05


class Recent(NamedTuple):
    """A product that was bought since the night.

    Attributes:
        days: since its last purchase.
        interval_days: after how many it is expected to be bought again; below 0 if nobody ever does.
    """

    product_row: int
    days: int
    interval_days: float


@dataclass(frozen=True, eq=False)
class Moves:
    """What a night knows of orders that follow another.

    Attributes:
        category_row: of each product, -1 for none.
        category_interval: mean days until one of such products is bought again, NaN if never.
        category_left: as of `follow_up.category_left`.
        lift: as of `follow_up.follow_up_lift`.
        horizon_days: within which an order follows another.
    """

    category_row: "Sequence[int] | memoryview[int] | IntArray"
    category_interval: "Sequence[float] | memoryview[float] | FloatArray"
    category_left: FloatArray
    lift: FloatArray
    horizon_days: float

    def moved(
        self, night: IntArray, similar: IntArray, recent: Sequence[Recent], figures: SessionFigures
    ) -> tuple[IntArray, DoubleArray]:
        """What each product counts after some purchases.

        Args:
            night: the customer's list, best first.
            similar: to what was bought, best first.
            recent: at least one, the latest first.
        Returns:
            distinct product rows, rising, of both lists, and beside them what they count.
        """
        products, counts = by_places([(night, 1.0), (similar, figures.similar)], figures.first)
        return products, counts * self.left(products, recent, figures) * self._lift_of(products, recent)

    def left(self, products: IntArray, recent: Sequence[Recent], figures: SessionFigures) -> DoubleArray:
        """What is left of the counts of these products, 0 to 1.

        Whoever bought of a category may need no more of it for a while, whichever product it was: as far as
        the night saw that.
        """
        left = np.ones(len(products))
        category_rows = np.asarray(self.category_row)[products]
        latest: dict[int, int] = {}
        for one in recent:
            latest.setdefault(int(self.category_row[one.product_row]), one.days)
        for category, days in latest.items():
            if category != NONE:
                lost = min(1 - float(self.category_left[category]), figures.steps_back)
                interval_days = self.category_interval[category]
                left[category_rows == category] = left_after(days, interval_days, lost, figures.half_life)
        for one in recent:
            lost = figures.steps_back
            left[products == one.product_row] = left_after(
                one.days, one.interval_days, lost, figures.half_life
            )
        return left

    def _lift_of(self, products: IntArray, recent: Sequence[Recent]) -> FloatArray:
        """How much more products count in an order soon after another. On the day of its purchase none does:
        what was bought just now steps back, whatever it is."""
        if recent[0].days > self.horizon_days:
            return np.ones(len(products), np.float32)
        lift = self.lift[products]
        bought_today = [one.product_row for one in recent if not one.days]
        return np.where(np.isin(products, bought_today), np.minimum(lift, 1), lift)


def left_after(days: float, interval_days: float, lost: float, half_life: float) -> float:
    """What is left of a count this many days after a purchase.

    Args:
        interval_days: after how many days such things are bought again; NaN or negative if never.
        lost: of it, right after the purchase.
        half_life: in which half of that is made up, in intervals.
    """
    if not interval_days >= 0:  # NaN isn't
        return 1 - lost
    half_life_days = max(interval_days * half_life, SHORTEST_DAYS)
    return 1 - lost * float(np.exp2(-max(days, 0) / half_life_days))
