"""What somebody gets of whom nothing is known but a few purchases: several sources, merged by places."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.arrays import NONE, DoubleArray, FloatArray, IntArray
from models.numerics.by_group import ByGroup
from models.taste import Taste

SIMILAR, TASTE, TREND, POPULAR = 200, 100, 20, 100  # proposed by each source; the trend of each category


class Counts(NamedTuple):
    """What each source counts: similar products, those that are alike, those of the taste that the purchases
    show, the trend of each category, and what is popular in all.

    The usual ones, where a shop has too little to learn its own from.
    """

    similar: float = 0.5
    alike: float = 0.5
    taste: float = 0.5
    trend: float = 0.25
    popular: float = 0.25


@dataclass(frozen=True, eq=False)
class Proposers:
    """What proposes products beside those that the same customers bought.

    Attributes:
        alike: shape (n_products, m), as of `Content.like`.
        trends: of each category, most popular first.
        category_row: of each product, -1 for none.
        taste: None of a night without `als`.
        popular: product rows, most popular first.
    """

    alike: IntArray
    trends: ByGroup
    category_row: "Sequence[int] | memoryview[int]"
    taste: Taste | None
    popular: IntArray

    def proposals(self, similar: IntArray, bought: list[int], times: list[int]) -> list[tuple[str, IntArray]]:
        """Products, best first, each list with the name of what it counts in Counts.

        Args:
            similar: of `goes_with`.
            bought: product rows, the latest first.
            times: in how many orders each.
        """
        found = [("similar", similar[:SIMILAR]), ("alike", _alike(self.alike[bought]))]
        categories = {self.category_row[row] for row in bought} - {NONE}
        found += [("trend", self.trends[category][:TREND]) for category in sorted(categories)]
        if self.taste is not None:
            found.append(("taste", self.taste.nearest(bought, times, TASTE)))
        return [*found, ("popular", self.popular[:POPULAR])]


def goes_with(
    similar: IntArray, similarity: FloatArray, rows: IntArray, factors: FloatArray | None = None
) -> tuple[IntArray, IntArray]:
    """Every neighbour of some products by the sum of similarities, best first, some of them among themselves.

    Args:
        similar, similarity: shape (n_products, m), as of `ItemItem`.
        rows: product rows; of two that add the same the earlier one is named.
        factors: of rules that boost and bury, by product row.
    Returns:
        product rows, ties by the lower one; and of each the place in `rows` of what adds most to it.
    """
    neighbours, scores = similar[rows], similarity[rows]
    places, columns = np.nonzero(neighbours != NONE)
    near, strength = neighbours[places, columns], scores[places, columns].astype(np.float64)
    order = np.lexsort((places, -strength, near))
    products, first = np.unique(near[order], return_index=True)
    totals = np.add.reduceat(strength[order], first)
    if factors is not None:
        totals *= factors[products]
    best = np.lexsort((products, -totals))
    return products[best], places[order][first][best]


def _alike(lists: IntArray) -> IntArray:
    """What some products are like: each counts by its places; ties by the lower product row."""
    products, scores = by_places([(line[line != NONE], 1.0) for line in lists], 1.0)
    best: IntArray = products[np.lexsort((products, -scores))]
    return best


def by_places(sources: Iterable[tuple[IntArray, float]], first: float) -> tuple[IntArray, DoubleArray]:
    """What each product counts: 1 / (first + its place) in each list, times what the list counts.

    Scores of different sources have no common scale, and places have.

    Returns:
        distinct product rows, rising, and beside them the sums.
    """
    some = [(proposed, weight) for proposed, weight in sources if weight]
    rows = np.concatenate([np.empty(0, np.int32), *(proposed for proposed, _ in some)])
    counts = np.concatenate(
        [np.empty(0), *(weight / (first + np.arange(len(proposed))) for proposed, weight in some)]
    )
    products, inverse = np.unique(rows, return_inverse=True)
    sums: DoubleArray = np.bincount(inverse, counts, minlength=len(products))
    return products, sums
