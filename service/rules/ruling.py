"""What holds for a customer at a place and time: a mask of what may be shown, factors, limits and pins."""

from collections.abc import Container, Iterable, Iterator, Sequence
from functools import cached_property
from math import inf
from operator import itemgetter

import numpy as np

from models.arrays import NONE, BoolArray, FloatArray, IntArray
from models.numerics.by_group import ByGroup
from service.answering.packed import WHOLE, Columns, Scored
from service.live.session import Session
from service.rules.effects import Bought, Effect, Hide, Limit, Often, Place, Scale, Vary
from service.versions.served import ServedVersion

type Moved = tuple[float, int]
"""A product that factors move: its new score, negated, and its place in the list."""


LAST: Moved = (inf, 0)
PLACE = itemgetter(1)
FACTORS = (1e-30, 1e30)  # the least and the most that all rules together make of one


class Ruling:
    """Some effects on one version, put together.

    Attributes:
        mask, shown: by product row, whether it may be shown: in stock, and hidden by no rule. Both change in
            place.
        factors, factor_views: by product row; None where all are 1.
        most_factor: the highest of them, 1 at least.
        most_of_brand, most_of_category: how many of each the limits allow, as in `Limit`; None: of all any
            number.
        pins: by position; of the same position, in the order of the file.
        bought: what the customer bought may come back when.
        strength: of variety, 0 to 1; of several the first one in the file holds.
        often, offers_often: how often products and offers may be shown.
        seen: the shelf's number of changes that `shown` knows: see `fresh`.
    """

    def __init__(self, served: ServedVersion, effects: Sequence[Effect]) -> None:
        self.served = served
        self._hides = [effect for effect in effects if isinstance(effect, Hide)]
        limits = [effect for effect in effects if isinstance(effect, Limit)]
        self.most_of_brand = _lowest(limit.most for limit in limits if not limit.is_of_categories)
        self.most_of_category = _lowest(limit.most for limit in limits if limit.is_of_categories)
        self.bought = tuple(effect for effect in effects if isinstance(effect, Bought))
        self._bought_days = max((rule.days for rule in self.bought), default=0)
        often = [effect for effect in effects if isinstance(effect, Often)]
        self.often = tuple(rule for rule in often if not rule.is_of_offers)
        self.offers_often = tuple(rule for rule in often if rule.is_of_offers)
        self.strength = next((effect.strength for effect in effects if isinstance(effect, Vary)), 0.0)
        pins = [effect for effect in effects if isinstance(effect, Place)]
        self.pins = tuple(sorted(pins, key=lambda pin: pin.position))
        self.factors = self._product_of([effect for effect in effects if isinstance(effect, Scale)])
        self.factor_views: memoryview[float] | None = None
        self.most_factor = 1.0
        if self.factors is not None:
            self.most_factor = max(1.0, float(self.factors.max(initial=1)))
            self._has_factor = self.factors != 1
            self.factor_views = memoryview(self.factors)
        self.mask: BoolArray = served.shelf.in_stock
        self.shown, self.seen = memoryview(self.mask), served.shelf.changes
        if self._hides:
            self.mask = np.empty_like(served.shelf.in_stock)
            self.shown = memoryview(self.mask)
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
            self.mask[:] = shown

    @cached_property
    def popular(self) -> IntArray:
        """All products, most popular first, after factors."""
        return self.by_place(self.served.popular)

    def by_place(self, rows: IntArray) -> IntArray:
        """Products, best first, after factors: the place of one that counts twice is halved."""
        if self.factors is None:
            return rows
        places = np.arange(1, len(rows) + 1)
        return rows[np.argsort(places / self.factors[rows], kind="stable")]

    @cached_property
    def popular_places(self) -> "memoryview[int]":
        """Where each product stands in `popular`, by product row."""
        places = np.empty(len(self.popular), np.int32)
        places[self.popular] = np.arange(len(places))
        return memoryview(places)

    @cached_property
    def trends(self) -> ByGroup:
        """The same for each category."""
        served = self.served
        if self.factors is None:
            return served.trends
        return ByGroup.of(self.popular, np.asarray(served.category_row), len(served.categories))

    def bought_lately(self, customer_row: int, session: Session | None, today: int) -> frozenset[int]:
        """Rows of what a customer bought too recently to be shown.

        Args:
            customer_row: NONE of one whose history isn't known.
            session: what was bought since the night.
            today: in days since 1970-01-01.
        """
        found: set[int] = set()
        if customer_row != NONE:
            products, last_days = self.served.histories.product, self.served.histories.last_day
            for place in range(*self.served.history_of(customer_row)):
                days, row = today - last_days[place], products[place]
                if days > self._bought_days:
                    break  # the most recent purchase comes first
                if self._is_too_recent(row, days):
                    found.add(row)
        for one in session.bought if session is not None else ():
            if self._is_too_recent(one.product_row, today - one.day):
                found.add(one.product_row)
        return frozenset(found)

    def _is_too_recent(self, product_row: int, days: int) -> bool:
        """Whether a rule hides what was bought this many days ago."""
        for rule in self.bought:
            if days <= rule.days and (rule.about is None or rule.about[product_row]):
                return True
        return False

    def moved(self, columns: Columns) -> list[Moved]:
        """The products of a list that factors move, by their new scores."""
        if self.factor_views is None:
            return []
        rows, factors = columns.rows, self.factor_views
        places = self._has_factor.take(np.asarray(rows)).nonzero()[0].tolist()
        return sorted([(-columns.score_at(place) * factors[rows[place]], place) for place in places])

    def _product_of(self, scales: list[Scale]) -> FloatArray | None:
        if not scales:
            return None
        factors = np.ones(len(self.served.products), np.float32)
        for scale in scales:  # of many rules on one product the product of factors is no number any more
            factors[scale.rows] = np.clip(factors[scale.rows] * np.float32(scale.factor), *FACTORS)
        return factors


def _lowest(arrays: Iterable[IntArray]) -> "memoryview[int] | None":
    """Of each entry the lowest; None of no arrays."""
    found = list(arrays)
    return memoryview(np.minimum.reduce(found)) if found else None


def in_new_order(
    columns: Columns, moved: list[Moved], without: Container[int] = (), above: float = WHOLE
) -> Iterator[Scored]:
    """A list with some products at the places of their new scores; the others keep their order.

    A product stands before the first of the others that has a lower score. What an entry counts never is more
    than what the one before it does.

    Args:
        without: rows that are left out.
        above: only entries that count more than this.
    """
    rows, evidence, probability = columns
    away = set(map(PLACE, moved))
    waiting = iter(moved)
    first = next(waiting, LAST)
    most = -first[0]  # what no entry before the next one that moved is below
    counts, known, known_at = 1.0, 1.0, 0
    for place, entry in enumerate(columns.entries()):
        row, _, score = entry
        if score >= 0:  # NaN isn't
            known, known_at = score, place
        else:
            score = known * (known_at + 1) / (place + 1)  # as `Columns.score_at` has it
        if place in away or row in without:
            continue
        if score < counts:  # noqa: PLR1730  # calls of `min` were a tenth of filling
            counts = score
        while counts <= most and first < (-counts, place):
            if most <= above:
                return
            at = first[1]
            if rows[at] not in without:
                yield most, (rows[at], evidence[at], probability[at])
            first = next(waiting, LAST)
            most = -first[0]
        if counts <= above:
            return
        yield counts, entry
    while most > above:
        at, counts = first[1], min(counts, most)
        if rows[at] not in without:
            yield counts, (rows[at], evidence[at], probability[at])
        first = next(waiting, LAST)
        most = -first[0]
