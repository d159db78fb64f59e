"""An answer in the making: takes what may be shown, until it has n products."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from math import inf

import numpy as np

from models.arrays import NONE, BoolArray, FloatArray, IntArray
from models.strangers import goes_with
from service.answering.own_list import NO_PINS, Answer, OwnList, Pick, Rung
from service.answering.packed import Entry, Scored
from service.errors import RefusedError
from service.live.session import Session, own_evidence
from service.rules.diversity import Above, diverse
from service.rules.effects import Place
from service.rules.room import Room
from service.rules.ruling import Ruling
from service.versions.served import UNKNOWN
from service.web.parameters import Query
from storage.versions.evidence import NO_EVIDENCE

ANCHORS = 50  # most recent products of a customer's history whose neighbours are scored
SLACK = 50  # popular products that are looked at one by one beyond those that are missing
MOST_READ = 256  # that are looked at before those that can't come are sorted out

type Counted = tuple["memoryview[int]", "memoryview[int]", dict[int, int]]
"""Limits by brand or by category: which one each product is of, how many of each may come, and
how many came."""


class Basket:
    """An answer in the making: takes what may be shown and isn't in it, until it is full.

    Args:
        own: the list of the customer, where there is one.
        without: products that aren't shown, in addition to those of the query.
        strength: of variety, as in `service.rules.diversity`; 0: products come in the order that they have.
        worth: what probabilities are multiplied by where the list is in that order, by product row.
        is_of_due: only what is due will be taken: no pins then, and nothing is held until it is due.
    """

    def __init__(
        self,
        ruling: Ruling,
        query: Query,
        *,
        own: OwnList | None = None,
        without: Iterable[int] = (),
        strength: float = 0,
        worth: FloatArray | None = None,
        is_of_due: bool = False,
    ) -> None:
        served = ruling.served
        self._served, self._ruling, self._own = served, ruling, own
        self._places, self._n = query.n, query.n + query.spare
        self.category = NONE
        if query.category is not None:
            self.category = served.category_rows.get(query.category, NONE)
            if self.category == NONE:
                raise RefusedError("unknown_category", "category", "no product has this category")
        self.taken = set(map(served.product_row, query.exclude))
        if without:
            self.taken.update(without)
        if own is not None and own.bought:
            self.taken |= own.bought
        self.picks: list[Pick] = []
        self._counts: list[Counted] = []
        self._room: Room | None = None  # once it begins again, in place of the counts
        if ruling.most_of_brand is not None:
            self._counts.append((served.brand_row, ruling.most_of_brand, {}))
        # "At most n per category" is no word on a category by itself.
        if ruling.most_of_category is not None and query.category is None:
            self._counts.append((served.category_row, ruling.most_of_category, {}))
        self._pins: list[tuple[Place, int]] = []
        if ruling.pins and not is_of_due:
            self._take_pins()
        self._strength, self._worth = strength, None if worth is None else memoryview(worth)
        self._above = Above(served, [row for _, row in self._pins]) if strength else None
        self._held: list[int] = []
        if own is not None and own.session is not None and not is_of_due:
            self._held = [row for row in own.session.held if row not in self.taken]
            self.taken.update(self._held)

    def answer(self, own: OwnList | None, level: str) -> Answer:
        """What was taken, with the pins at their places."""
        picks, pinned = self.picks, NO_PINS
        if self._pins:
            pinned = {row: pin.rule_id for pin, row in self._pins}
            for pin, row in self._pins:
                probability = own.probability(row) if own else UNKNOWN
                picks.insert(pin.position - 1, (row, Rung.PINNED, NO_EVIDENCE, probability))
        return Answer(picks, own, level, pinned)

    @property
    def is_full(self) -> bool:
        return len(self.picks) >= self._n

    def fill(self, take: Callable[[], None], among: IntArray | None = None) -> None:
        """Take what there is, and once more where limits of brands and of categories together left places
        free that other products fit into.

        Args:
            take: calls what takes, one after another.
            among: the only rows that are taken; None: all of the shop.
        """
        take()
        if self._begin_again(among):
            take()

    def _begin_again(self, among: IntArray | None) -> bool:
        """Empty it, to be filled with as many products as limits of brands and of categories together leave;
        False, and nothing is done, if it has as many. It can have less only where both are limited, by what
        was taken first.
        """
        n = self._places - len(self._pins)
        if len(self._counts) < 2 or len(self.picks) >= n:
            return False
        came = [row for row, *_ in self.picks]
        taken = self.taken.difference(came, self._held)
        room = self._room_for(n, came, taken, among)
        if room.length <= len(came):
            return False
        self.taken, self.picks, self._counts, self._room = taken.union(self._held), [], [], room
        if self._above is not None:
            self._above = Above(self._served, [row for _, row in self._pins])
        return True

    def _room_for(self, n: int, came: list[int], taken: set[int], among: IntArray | None) -> Room:
        """Room for n products beside the pins, with a plan that begins with what came; nothing of what is
        taken comes."""
        cells, may_come = self._served.cells, self._ruling.mask.copy()
        may_come[[row for row in taken if row != NONE]] = False
        free = cells.of_product[may_come] if among is None else cells.of_product[among[may_come[among]]]
        supply = np.bincount(free, minlength=len(cells.brand)).astype(np.int32)
        brands, categories = (np.array(most) for _, most, _ in self._counts)
        pins = cells.of_product[[row for _, row in self._pins]]
        np.subtract.at(brands, cells.brand[pins], 1)
        np.subtract.at(categories, cells.category[pins], 1)
        return Room(cells, brands, categories, supply, cells.of_product[came].tolist(), n)

    def take_own(self, entries: Iterable[Entry]) -> None:
        self._take(entries, Rung.OWN)

    def take_moved(self, scored: Iterator[Scored]) -> None:
        """The same of entries that have been put in the order of what they count."""
        if self.is_full:
            return
        if self._above is None:
            self._put((entry for _, entry in scored), Rung.OWN)
        else:
            self._put(diverse(scored, self._strength, self._above), Rung.OWN)

    def take_held(self, session: Session) -> None:
        """What was bought just now and isn't due yet: only if nothing else is left."""
        if self.is_full or not self._held:
            return
        self.taken.difference_update(self._held)
        places = {one.product_row: own_evidence(line) for line, one in enumerate(session.bought)}
        self._take(((row, places[row], UNKNOWN) for row in self._held), Rung.OWN)

    def take_similar(self, product_row: int) -> None:
        """The product's neighbours, the most similar first."""
        rows = self._served.similar_product[product_row]
        rows = rows[rows != NONE]
        if self._ruling.factors is not None:
            scores = self._served.similar_score[product_row][: len(rows)] * self._ruling.factors[rows]
            rows = rows[np.argsort(-scores, kind="stable")]
        self._take_rows(rows.tolist(), Rung.SIMILAR)

    def take_alike(self, product_row: int) -> None:
        """What the product is like by what is known of both, the most alike first."""
        rows = self._served.alike[product_row]
        self._take_rows(self._ruling.by_place(rows[rows != NONE]).tolist(), Rung.ALIKE)

    def take_scores(self, customer_row: int) -> None:
        """Score every neighbour of what the customer bought last: the sum of similarities to those products.

        The product of the history that adds most is the evidence; ties go to the more recent one, and ties
        between scores to the lower product row.
        """
        start, stop = self._served.history_of(customer_row)
        history = self._served.history_product[start : min(stop, start + ANCHORS)]
        products, anchors = self._goes_with(history)
        found = zip(products.tolist(), anchors.tolist(), strict=True)
        self._take(((row, anchor, UNKNOWN) for row, anchor in found), Rung.SCORES)

    def take_complements(self, cart: IntArray) -> None:
        """What goes with a cart; of a customer whose own list there is, what that begins with comes sooner.

        Both have an order and no common scale, so a product counts by its places. Behind the beginning that
        Redis has a place is worth less than a fiftieth, and the whole list isn't made for it. The evidence is
        a place in the cart.
        """
        products, anchors = self._goes_with(cart)
        found = zip(products.tolist(), anchors.tolist(), strict=True)
        if self._own is None:
            self._take(((row, anchor, UNKNOWN) for row, anchor in found), Rung.GOES_WITH)
            return
        own = self._own
        place_of = {row: place for place, row in enumerate(own.columns.beginning().rows.tolist())}
        first = self._served.session.first
        known = [
            (1 / (first + place) + (1 / (first + place_of[row]) if row in place_of else 0), row, anchor)
            for place, (row, anchor) in enumerate(found)
        ]
        known.sort(key=lambda one: (-one[0], one[1]))
        self._take(((row, anchor, own.probability(row)) for _, row, anchor in known), Rung.GOES_WITH)

    def take_viewed(self, viewed: Sequence[int]) -> None:
        """What a stranger gets by products that were looked at, as after a first purchase of them.

        The evidence is a place in `viewed` if it is bought with that; if it is like it, so many more as there
        are of these; else there is none.
        """
        served = self._served
        similar, anchors = goes_with(served.similar_product, served.similar_score, np.array(viewed, np.int32))
        products, scores = served.proposed_to_stranger(similar, list(viewed), [1] * len(viewed))
        if self._ruling.factors is not None:
            scores = scores * self._ruling.factors[products]
        why: dict[int, int] = {}
        for place, of in enumerate(viewed, len(viewed)):
            for row in served.alike[of].tolist():
                why.setdefault(row, place)
        why |= zip(similar.tolist(), anchors.tolist(), strict=True)
        best = products[np.lexsort((products, -scores))].tolist()
        self._take(((row, why.get(row, NO_EVIDENCE), UNKNOWN) for row in best), Rung.GOES_WITH)

    def _goes_with(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        served = self._served
        return goes_with(served.similar_product, served.similar_score, rows, self._ruling.factors)

    def take_trends(self, category: int) -> None:
        """Fill with the trend of a category, and with the popular of all if no category was asked for."""
        if self.is_full:
            return
        self._take_popular(self._ruling.trends[category], Rung.CATEGORY)
        if self.category == NONE and not self.is_full:
            self._take_popular(self._ruling.popular, Rung.POPULAR)

    def _take_popular(self, rows: IntArray, rung: Rung) -> None:
        most = self._n - len(self.picks) + len(self.taken) + SLACK
        self._take_rows(rows[:most].tolist(), rung)
        rest = rows[most:]
        while rest.size and not self.is_full:
            rest = rest[self._may_come(rest)]
            self._take_rows(rest[:MOST_READ].tolist(), rung)
            rest = rest[MOST_READ:]

    def _may_come(self, rows: IntArray) -> BoolArray:
        """Which rows nothing keeps out but that they may be in the basket already."""
        may: BoolArray = self._ruling.mask[rows]
        for groups, most, counts in self._counts:
            full = [group for group, count in counts.items() if count >= most[group]]
            may = may & ~np.isin(np.asarray(groups)[rows], full)
        if self._room is not None:
            may = may & self._room.may_come(rows)
        return may

    def _take_pins(self) -> None:
        """Put pins aside: their places are kept free, and they count for the limits that others keep."""
        held: set[int] = set()
        for pin in self._ruling.pins:
            if pin.position > self._places or pin.position in held:
                continue
            row = next(filter(self._is_free, pin.rows), NONE)
            if row == NONE:
                continue
            held.add(pin.position)
            self.taken.add(row)
            self._pins.append((pin, row))
            for groups, _, counts in self._counts:
                counts[groups[row]] = counts.get(groups[row], 0) + 1
        self._n -= len(self._pins)

    def _is_free(self, row: int) -> bool:
        fits = self.category in (NONE, self._served.category_row[row])
        return fits and row not in self.taken and bool(self._ruling.shown[row])

    def _take_rows(self, rows: list[int], rung: Rung) -> None:
        self._take(zip(rows, repeat(NO_EVIDENCE), repeat(UNKNOWN)), rung)

    def _take(self, entries: Iterable[Entry], rung: Rung) -> None:
        if self.is_full:
            return
        if self._above is not None:
            entries = diverse(self._scored(entries), self._strength, self._above)
        self._put(entries, rung)

    def _put(self, entries: Iterable[Entry], rung: Rung) -> None:
        category, taken, picks, n = self.category, self.taken, self.picks, self._n
        above, shown, category_row = self._above, self._ruling.shown, self._served.category_row
        limits = self._counts
        if self._room is not None:
            entries = self._fitting(entries, self._room)
        for row, evidence, probability in entries:
            if row in taken or not shown[row] or (category != NONE and category_row[row] != category):
                continue
            is_over = False
            for groups, most, counts in limits:
                group = groups[row]
                counts[group] = of_group = counts.get(group, 0) + 1
                if of_group > most[group]:
                    is_over = True
            if is_over:
                for groups, _, counts in limits:
                    counts[groups[row]] -= 1
                continue
            taken.add(row)
            picks.append((row, rung, evidence, probability if probability >= 0 else UNKNOWN))  # a NaN isn't
            if len(picks) >= n:
                return
            if above is not None:
                above.add(row)

    def _fitting(self, entries: Iterable[Entry], room: Room) -> Iterator[Entry]:
        """What may come of these where limits of brands and of categories cross."""
        taken, shown = self.taken, self._ruling.shown
        for entry in entries:
            row = entry[0]
            if row not in taken and shown[row] and room.take(row):
                yield entry

    def _scored(self, entries: Iterable[Entry]) -> Iterator[Scored]:
        """What of these may be shown, with what it counts: its probability, and where none is known what the
        last one before it falls to as 1 / place; but never more than what stands before it."""
        category, taken, shown = self.category, self.taken, self._ruling.shown
        category_row = self._served.category_row
        factors, worth = self._ruling.factor_views, self._worth
        costs = self._own.costs if self._own else None
        least, known, known_at, place = inf, 1.0, 1, 0
        for entry in entries:
            row, _, score = entry
            if row in taken or not shown[row] or (category != NONE and category_row[row] != category):
                continue
            place += 1
            if score >= 0:  # NaN isn't
                if factors is not None:
                    score *= factors[row]
                if worth is not None:
                    score = score * worth[row] - (costs.get(row, 0.0) if costs else 0.0)
            if score >= 0:
                known, known_at = score, place
            else:
                score = known * known_at / place
            least = min(least, score)
            yield least, entry
