"""What holds for a customer at a place and time: a mask of what may be shown, factors, limits and pins."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from service.packed import Columns, Entry
from service.rules.effects import Bought, Effect, Hide, Limit, Place, Scale
from service.served import ServedVersion, Trends


class Ruling:
    """Some effects on one version, put together.

    Attributes:
        shown: by product row, whether it may be shown: in stock, and hidden by no rule. It changes in place.
        factors: by product row; None where all are 1.
        limits: at most so many of a group.
        pins: by position; of the same position, in the order of the file.
        bought: what the customer bought may come back when.
        seen: the shelf's number of changes that `shown` knows: see `fresh`.
    """

    def __init__(self, served: ServedVersion, effects: Sequence[Effect]) -> None:
        self.served = served
        self._hides = [effect for effect in effects if isinstance(effect, Hide)]
        self.limits = tuple(effect for effect in effects if isinstance(effect, Limit))
        self.bought = tuple(effect for effect in effects if isinstance(effect, Bought))
        pins = [effect for effect in effects if isinstance(effect, Place)]
        self.pins = tuple(sorted(pins, key=lambda pin: pin.position))
        self.factors = self._product_of([effect for effect in effects if isinstance(effect, Scale)])
        self._mask: BoolArray = served.shelf.in_stock
        self.shown, self.seen = memoryview(self._mask), served.shelf.changes
        if self._hides:
            self._mask = np.empty_like(served.shelf.in_stock)
            self.shown = memoryview(self._mask)
            self._refresh()

    def fresh(self) -> "Ruling":
        """Itself, after what changed on the shelf meanwhile."""
        if self.seen != self.served.shelf.changes:
            self._refresh()
        return self

    def _refresh(self) -> None:
        self.seen = self.served.shelf.changes  # first: what changes meanwhile is looked at again
        if self._hides:
            shown = self.served.shelf.in_stock.copy()
            for effect in self._hides:
                effect.apply(shown)
            self._mask[:] = shown

    @property
    def mask(self) -> BoolArray:
        """`shown` as an array."""
        return self._mask

    @cached_property
    def popular(self) -> IntArray:
        """All products, most popular first, after factors: the place of one that counts twice is halved."""
        rows = self.served.popular
        if self.factors is None:
            return rows
        places = np.arange(1, len(rows) + 1)
        return rows[np.argsort(places / self.factors[rows], kind="stable")]

    @cached_property
    def trends(self) -> Trends:
        """The same for each category."""
        served = self.served
        if self.factors is None:
            return served.trends
        return Trends.of(self.popular, np.asarray(served.category_row), len(served.categories))

    def bought_rows(self, customer_row: int, today: int) -> frozenset[int]:
        """What the customer bought too recently to be shown; `today` in days since 1970-01-01."""
        if not self.bought:
            return frozenset()
        start, stop = self.served.history_of(customer_row)
        rows = self.served.histories.product[start:stop].tolist()
        ago = [today - day for day in self.served.histories.last_day[start:stop].tolist()]
        return frozenset(
            row
            for row, days in zip(rows, ago, strict=True)
            if any(days <= rule.days and (rule.about is None or rule.about[row]) for rule in self.bought)
        )

    def ordered(self, columns: Columns, more: Columns) -> list[Entry] | None:
        """A list and what follows it, after factors; None if they leave it as it is.

        A factor multiplies the probability. Where none is known, the place stands for it: behind the last
        product with one it falls as 1/place. Products without a factor keep their order.
        """
        if self.factors is None:
            return None
        rows = np.concatenate([columns.rows, more.rows])
        factors = self.factors[rows]
        if (factors == 1).all():
            return None
        probability = np.concatenate([columns.probability, more.probability]).astype(np.float32)
        order = np.argsort(-_scores(probability) * factors, kind="stable")
        evidence = np.concatenate([columns.evidence, more.evidence])[order].tolist()
        return list(zip(rows[order].tolist(), evidence, probability[order].tolist(), strict=True))

    def _product_of(self, scales: list[Scale]) -> FloatArray | None:
        if not scales:
            return None
        factors = np.ones(len(self.served.products), np.float32)
        for scale in scales:
            factors[scale.rows] *= np.float32(scale.factor)
        return factors


def _scores(probability: FloatArray) -> FloatArray:
    """Scores that never rise along a list, from its probabilities: those below 0 and NaN aren't known."""
    is_known = probability >= 0
    place = np.arange(1, len(probability) + 1, dtype=np.float32)
    known_at = np.maximum.accumulate(np.where(is_known, place, np.float32(1)))
    least = np.minimum.accumulate(np.where(is_known, probability, np.float32(1)))
    scores: FloatArray = np.minimum.accumulate(least * known_at / place)
    return scores
