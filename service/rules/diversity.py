"""Variety by maximal marginal relevance: a product counts for less, the more it is like one above it.

Carbonell and Goldstein 1998 subtract the likeness from the relevance. Here it takes a share of the relevance
away, as a bury does, which is the same on the scale of logarithms: probabilities of .4 and of .004, and worth
in money, then need no common scale with a likeness, and no strength drowns what the customer wants.
"""

from collections.abc import Iterator, Sequence

from models.arrays import NONE
from service.answering.packed import Entry, Scored
from service.versions.served import ServedVersion

SAME_CATEGORY, SAME_BRAND = 0.75, 0.25
LOOK_AHEAD = 50  # products that wait while others are put before them: no variety is worth what comes behind


class Above:
    """What stands in an answer so far.

    Args:
        pinned: rows that will stand in it wherever they are.
    """

    def __init__(self, served: ServedVersion, pinned: Sequence[int]) -> None:
        self._served = served
        self._rows: set[int] = set()
        self._category_row, self._brand_row = served.category_row, served.brand_row
        self._brands: set[int] = set()
        self._categories: set[int] = set()
        self._both: set[tuple[int, int]] = set()  # category and brand
        self._near: dict[int, float] = {}
        for row in pinned:
            self.add(row)

    def likeness(self, row: int) -> float:
        """Of a product to the one above that is most like it: 0 to 1.

        Three quarters for the same category and one for the same brand. Where a category isn't known, as
        much as the same customers bought both.
        """
        category, brand = self._category_row[row], self._brand_row[row]
        if category in self._categories:
            return SAME_CATEGORY + SAME_BRAND if (category, brand) in self._both else SAME_CATEGORY
        alike = SAME_BRAND if brand in self._brands else 0.0
        if category != NONE and not self._near:
            return alike
        return max(alike, self._near.get(row, 0.0), self._near_to(row) if category == NONE else 0.0)

    def add(self, row: int) -> None:
        """Put one more product into the answer."""
        self._rows.add(row)
        category, brand = self._category_row[row], self._brand_row[row]
        if brand != NONE:
            self._brands.add(brand)
        if category == NONE:
            for other, score in self._neighbours(row):
                self._near[other] = max(score, self._near.get(other, 0.0))
            return
        self._categories.add(category)
        if brand != NONE:
            self._both.add((category, brand))

    def _near_to(self, row: int) -> float:
        return max((score for other, score in self._neighbours(row) if other in self._rows), default=0.0)

    def _neighbours(self, row: int) -> Iterator[tuple[int, float]]:
        rows, scores = self._served.similar_product[row].tolist(), self._served.similar_score[row].tolist()
        return ((other, min(score, 1.0)) for other, score in zip(rows, scores, strict=True) if other != NONE)


def diverse(entries: Iterator[Scored], strength: float, above: Above) -> Iterator[Entry]:
    """The entry that counts most as the next one, again and again.

    Args:
        entries: that may be shown, by falling scores; no more are taken than are needed.
        strength: what share of its score a product loses that is wholly like one above, 0 to 1.
        above: whoever takes an entry adds it there before the next one.
    """
    waiting: list[Scored] = []
    following = next(entries, None)
    likeness = above.likeness
    while True:
        if not waiting and following is not None:  # as mostly
            score, entry = first = following
            following = next(entries, None)
            alike = likeness(entry[0])
            if not alike or following is None or following[0] <= score * (1 - strength * alike):
                yield entry
                continue
            waiting.append(first)
        most, place = -1.0, NONE
        for at, (score, entry) in enumerate(waiting):
            if score <= most:
                break  # it can't lose less than nothing; of equals the first one counts
            value = score * (1 - strength * likeness(entry[0]))
            if value > most:
                most, place = value, at
        while following is not None and following[0] > most and len(waiting) < LOOK_AHEAD:
            score, entry = following
            value = score * (1 - strength * likeness(entry[0]))
            if value > most:
                most, place = value, len(waiting)
            waiting.append(following)
            following = next(entries, None)
        if place == NONE:
            return
        yield waiting.pop(place)[1]
