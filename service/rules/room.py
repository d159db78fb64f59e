"""How long an answer can be where brands and categories are limited at once, and what may stand in it then.

To take whatever fits, one product after another, can end too early: a brand's last place went to a category
of which others were there. Each product has one brand and one category at most, so the longest answer is a
flow from brands to categories (a matching, where each may come several times), and what was chosen can be
mended along a path of exchanges (Ford and Fulkerson 1956). A plan of such a flow is kept for the rest of the
answer: a product may come if a plan that is long enough goes on with it. So of all answers that are as long
as can be it becomes the one that is first in the order in which products are asked for.
"""

from collections.abc import Iterable

import numpy as np

from models.arrays import BoolArray, IntArray
from service.versions.cells import Cells


class Room:
    """Places of an answer that nothing stands in yet, and a plan of what may.

    Args:
        most_of_brand, most_of_category: how many of each may still come; the last entry is for none.
        supply: how many products of each cell may come.
        first: cells of products to begin a plan with; they fit, and `supply` counts them.
        n: places.
    Attributes:
        length: how many products can come, n at most.
    """

    def __init__(
        self,
        cells: Cells,
        most_of_brand: IntArray,
        most_of_category: IntArray,
        supply: IntArray,
        first: Iterable[int],
        n: int,
    ) -> None:
        self._cells, self._supply = cells, supply.copy()
        self._left_of_brand, self._left_of_category = most_of_brand.copy(), most_of_category.copy()
        self._planned: dict[int, int] = {}
        self._closed = np.zeros(len(supply), np.bool_)
        for cell in first:
            self._plan(cell, 1)
        while self._n_planned < n and self._lengthen():
            pass
        self.length = self._missing = self._n_planned

    def take(self, product_row: int) -> bool:
        """Let a product come, if with it the answer can still be as long as it can be."""
        cell = int(self._cells.of_product[product_row])
        if self._closed[cell]:
            return False
        if cell not in self._planned and not self._exchange(cell):
            self._closed[cell] = True  # with more in the answer there is no more room than now
            return False
        self._planned[cell] -= 1
        if not self._planned[cell]:
            del self._planned[cell]
        self._missing -= 1
        return True

    def may_come(self, product_rows: IntArray) -> BoolArray:
        """Which of these aren't kept out by what is known already."""
        cells, planned = self._cells, list(self._planned)
        open_brands, open_categories = self._left_of_brand > 0, self._left_of_category > 0
        open_brands[cells.brand[planned]] = True  # what is only planned can make room
        open_categories[cells.category[planned]] = True
        of_rows = cells.of_product[product_rows]
        return (
            ~self._closed[of_rows]
            & open_brands[cells.brand[of_rows]]
            & open_categories[cells.category[of_rows]]
        )

    @property
    def _n_planned(self) -> int:
        return sum(self._planned.values())

    def _plan(self, cell: int, count: int) -> None:
        """Plan this many more products of a cell, or fewer."""
        planned = self._planned.get(cell, 0) + count
        if planned:
            self._planned[cell] = planned
        else:
            del self._planned[cell]
        self._supply[cell] -= count
        self._left_of_brand[self._cells.brand[cell]] -= count
        self._left_of_category[self._cells.category[cell]] -= count

    def _exchange(self, cell: int) -> bool:
        """Plan a product of a cell for others, so that as many can come as before; else do nothing."""
        if self._supply[cell] <= 0:
            return False
        given_up = self._make_way(cell)
        brand, category = self._cells.brand[cell], self._cells.category[cell]
        if self._left_of_brand[brand] > 0 and self._left_of_category[category] > 0:
            self._plan(cell, 1)
            # The product itself must stay, so nothing of its cell may be given up again on the way.
            if self._n_planned >= self._missing or self._lengthen(keeping=cell):
                return True
            self._plan(cell, -1)
        for other in given_up:
            self._plan(other, 1)
        return False

    def _make_way(self, cell: int) -> list[int]:
        """Give up a planned product of its brand if that is full, and one of its category; their cells."""
        given_up: list[int] = []
        for left, group_of in (
            (self._left_of_brand, self._cells.brand),
            (self._left_of_category, self._cells.category),
        ):
            group = group_of[cell]
            if left[group] <= 0:
                other = next((other for other in self._planned if group_of[other] == group), None)
                if other is not None:
                    given_up.append(other)
                    self._plan(other, -1)
        return given_up

    def _lengthen(self, keeping: int | None = None) -> bool:
        """Plan one product more, on the shortest path: a product comes whose category is full, one of that
        category goes, another of the brand of that one comes, and so on to a category with room.

        Args:
            keeping: a cell of which no planned product goes.
        """
        cells = self._cells
        has_supply, from_brand = self._supply > 0, self._left_of_brand > 0
        was_reached = np.zeros(len(self._left_of_category), np.bool_)
        comes_to: dict[int, int] = {}  # category -> cell
        goes_from: dict[int, int] = {}  # brand -> cell
        brand_had_room = from_brand
        while True:
            found = np.flatnonzero(has_supply & from_brand[cells.brand] & ~was_reached[cells.category])
            if not found.size:
                return False
            categories, places = np.unique(cells.category[found], return_index=True)
            comes_to.update(zip(categories.tolist(), found[places].tolist(), strict=True))
            with_room = categories[self._left_of_category[categories] > 0]
            if with_room.size:
                self._follow(int(with_room[0]), comes_to, goes_from)
                return True
            was_reached[categories] = True
            from_brand = np.zeros(len(brand_had_room), np.bool_)
            for planned in self._planned:
                brand = int(cells.brand[planned])
                if planned == keeping or brand_had_room[brand] or brand in goes_from:
                    continue
                if int(cells.category[planned]) in comes_to:
                    goes_from[brand] = planned
                    from_brand[brand] = True

    def _follow(self, category: int, comes_to: dict[int, int], goes_from: dict[int, int]) -> None:
        """Do the exchanges of a path, from its end."""
        while True:
            comes = comes_to[category]
            self._plan(comes, 1)
            goes = goes_from.get(int(self._cells.brand[comes]))
            if goes is None:
                return
            self._plan(goes, -1)
            category = int(self._cells.category[goes])
