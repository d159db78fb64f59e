"""Which products a customer gets: the own list first, then rung by rung down the ladder until n are found."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol

import numpy as np

from models.arrays import NONE
from service.answering.basket import Basket
from service.answering.first_level import FirstLevel
from service.answering.objectives import DISCOVERY, PROBABILITY, REORDER, VALUE
from service.answering.own_list import (
    NO_PINS,
    Answer,
    Kept,
    OwnList,
    Rung,
    entries_of,
    made_list,
    put_under_rules,
    under_factors,
)
from service.answering.packed import NO_COLUMNS, owner_of, pack, unpack
from service.answering.showings import NOTHING, Showings
from service.live.session import Session, Sessions, day_of
from service.live.told import NOT_PERSONAL, Told, has_night_of
from service.rules.book import RuleBook
from service.rules.placed import PlacedRules
from service.rules.ruling import Ruling
from service.versions.served import ServedVersion
from service.web.parameters import Query

LATEST = 500  # requests that are remembered
KEPT_ANSWERS = 8  # to one customer, within a second

type CostsOf = Callable[[ServedVersion, str, int, Told | None, Iterable[int]], Mapping[int, float]]


class ListCache(Protocol):
    """Packed lists outside this process. It never raises: what can't be read isn't there."""

    def ask(
        self, version_id: str, variant: str, customer_id: str, epoch: int, name: str | None
    ) -> Callable[[], tuple[bytes | None, bool, bytes | None]]:
        """Ask for a list and, unless the name is None, for what was shown, in one round trip.

        Returns:
            waits for the answer: the list, and what was shown as `ShowingsStore.showings` has it. It must be
            called, once, before anything else is asked.
        """

    def put(self, version_id: str, variant: str, customer_id: str, value: bytes, epoch: int) -> None: ...


def nothing_new(customer_id: str) -> Told | None:
    """What is new of every customer where nothing is learned between two nights."""
    return None


class Recommender:
    """The use case behind the routes.

    Args:
        first_level: lists of this worker.
        cache: lists outside it; None: every list is read from the version's map.
        news_of: what happened to a customer since the night, None for nothing. A list made before is no list
            of theirs.
        only_changed: leave the cache to customers with something new. The others' lists stand in the map as
            they are, which is read in less time than a cache is asked.
        book: the merchandiser's rules.
        showings: what customers were shown; None: no rule of frequency holds.
        costs_of: what the offers of some products are expected to cost with a customer, by product row.
        clock: Unix seconds.
    Attributes:
        latest: what was asked last, in this process alone.
    """

    def __init__(
        self,
        first_level: FirstLevel,
        cache: ListCache | None,
        news_of: Callable[[str], Told | None] = nothing_new,
        *,
        only_changed: bool = False,
        book: RuleBook | None = None,
        showings: Showings | None = None,
        costs_of: CostsOf = lambda *_: {},
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._costs_of = costs_of
        self._first_level, self._cache, self._showings = first_level, cache, showings
        self._book = book or RuleBook()
        self._news_of, self._only_changed, self._clock = news_of, only_changed, clock
        self._sessions = Sessions()
        self.latest: deque[tuple[str, Query]] = deque(maxlen=LATEST)

    def recommend(self, served: ServedVersion, customer_id: str, query: Query) -> Answer:
        """The next best products of a customer.

        Returns:
            exactly query.n products whenever so many may be shown, none twice, none that was excluded or that
            the rules hide.
        Raises:
            RefusedError: the category isn't known.
        """
        self.latest.append((customer_id, query))
        rules = self._book.at(served, query.placement, query.rule_set)
        told = self._news_of(customer_id)
        if told is NOT_PERSONAL:
            return self._of_nobody(rules, query)
        own, level = self._own_list(rules, customer_id, told, query.objective)
        if own is not None and query.viewed:  # which changes nothing: what is kept is the same
            query = replace(query, viewed=())
        ruling = rules.of_customer(customer_id, NONE, told) if own is None else own.ruling.fresh()
        enough = self._shown_enough(rules, ruling, customer_id, query.placement)
        seen = ruling.seen  # what changes from here on makes another answer
        kept = None if own is None or not own.answers else own.answers.get(query)
        if kept is not None and kept.fits(seen, enough):
            return Answer(kept.picks, own, level, kept.pinned, kept)
        strength = _strength(ruling, query)
        worth = served.shelf.worth if strength and query.objective == VALUE else None
        without = enough
        if own is not None and query.objective == DISCOVERY:
            without = enough.union(own.owned)
        basket = Basket(ruling, query, own=own, without=without, strength=strength, worth=worth)
        if own is None:
            level = "popular" if query.category is None else "category"
        viewed = _viewed(served, query)
        basket.fill(lambda: _take_ladder(basket, own, query.objective, viewed))
        answer = basket.answer(own, level)
        if viewed and any(rung is Rung.GOES_WITH for _, rung, _, _ in answer.picks):
            return answer._replace(viewed=viewed)
        if own is None or not self._first_level.keeps or query.exclude:
            return answer
        if len(own.answers) >= KEPT_ANSWERS:
            own.answers.clear()
        kept = own.answers[query] = Kept(seen, enough, answer.picks, answer.pinned, answer.source)
        return answer._replace(kept=kept)

    def first_of(self, served: ServedVersion, customer_id: str, query: Query, rows: Collection[int]) -> int:
        """Which of these products a customer's list has first, NONE if it has none of them."""
        rules = self._book.at(served, query.placement, query.rule_set)
        own, _ = self._own_list(rules, customer_id, self._news_of(customer_id), query.objective)
        if own is None:
            return NONE
        return next((row for row, _, _ in entries_of(own) if row in rows), NONE)

    def most_popular_of(
        self, served: ServedVersion, customer_id: str, query: Query, rows: Collection[int]
    ) -> int:
        """Which of these products is the most popular, under the rules for a customer."""
        rules, told = self._book.at(served, query.placement, query.rule_set), self._news_of(customer_id)
        ruling = rules.of_nobody()
        if told is not NOT_PERSONAL:
            ruling = rules.of_customer(customer_id, served.customer_row(customer_id), told)
        return min(rows, key=ruling.popular_places.__getitem__)

    def note_shown(
        self,
        served: ServedVersion,
        customer_id: str,
        query: Query,
        answer: Answer,
        offer_rows: Sequence[int] = (),
    ) -> None:
        """Count what a customer is given, products and offers, where a rule of frequency wants that."""
        if self._showings is None:
            return
        if answer.own is not None:  # of somebody whose answers may be personal
            rules = answer.own.rules
        elif self._news_of(customer_id) is NOT_PERSONAL:
            return
        else:
            rules = self._book.at(served, query.placement, query.rule_set)
        self._showings.note(rules, customer_id, query.placement, answer.picks, offer_rows)

    def reorder(self, served: ServedVersion, customer_id: str, query: Query) -> Answer:
        """What a customer bought before and is due again within `query.within_days`: nothing else, so it may
        be fewer than n, and of somebody of whom nothing may be known nothing."""
        rules = self._book.at(served, query.placement, query.rule_set)
        own, level, ruling, enough = self._of_person(rules, customer_id, REORDER, query.placement)
        if own is None:
            return Answer([], None, "none", NO_PINS)
        last_day = day_of(served, self._clock()) + query.within_days
        basket = Basket(ruling, query, own=own, is_of_due=True, without=enough)
        owned = islice(own.columns.entries(), len(own.owned))
        due = [entry for entry in owned if 0 < own.owned[entry[0]] <= last_day]
        basket.fill(lambda: basket.take_own(due), np.array([row for row, *_ in due], np.int32))
        return basket.answer(own, level)

    def complements(
        self, served: ServedVersion, cart: Sequence[int], customer_id: str | None, query: Query
    ) -> Answer:
        """What goes with a cart, whose products the query excludes; then what the customer, if there is one,
        may want; then what is popular.

        Args:
            cart: product rows. Of the rung GOES_WITH, evidence is a place in it.
        """
        rules = self._book.at(served, query.placement, query.rule_set)
        own, level, ruling, enough = None, "popular", rules.of_nobody(), NOTHING
        if customer_id is not None:
            own, level, ruling, enough = self._of_person(rules, customer_id, PROBABILITY, query.placement)
        basket = Basket(ruling, query, own=own, without=enough)

        def take() -> None:
            if cart:
                basket.take_complements(np.array(cart, np.int32))
            if own is not None:
                _take_list(basket, own)
            basket.take_trends(basket.category)
            if own is not None and own.session is not None:
                basket.take_held(own.session)

        basket.fill(take)
        return basket.answer(own, level)

    def popular(self, served: ServedVersion, query: Query) -> Answer:
        """The most popular products, of a category or of all; rules hold as for nobody in particular."""
        basket = Basket(self._book.at(served, query.placement, query.rule_set).of_nobody(), query)
        basket.fill(lambda: basket.take_trends(basket.category))
        return basket.answer(None, "popular")

    def popular_for(
        self, served: ServedVersion, customer_id: str, query: Query, *, is_limited: bool
    ) -> Answer:
        """The same for a customer who is to get no list of their own: what `recommend` would leave out for
        them is left out, and the rules hold as there.

        Args:
            is_limited: rules of frequency too.
        """
        rules = self._book.at(served, query.placement, query.rule_set)
        told = self._news_of(customer_id)
        if told is NOT_PERSONAL:
            return self._of_nobody(rules, query)
        ruling = rules.of_customer(customer_id, served.customer_row(customer_id), told)
        without = NOTHING
        if is_limited:
            without = self._shown_enough(rules, ruling, customer_id, query.placement)
        if ruling.bought or query.objective == DISCOVERY:
            objective = DISCOVERY if query.objective == DISCOVERY else PROBABILITY
            own, _ = self._own_list(rules, customer_id, told, objective)
            if own is not None:
                without = without.union(own.bought, own.owned)
        basket = Basket(ruling, query, without=without, strength=_strength(ruling, query))
        basket.fill(lambda: basket.take_trends(basket.category))
        return basket.answer(None, "popular")

    def similar(self, served: ServedVersion, product_row: int, query: Query) -> Answer:
        """Products that the same customers bought, then what is like it, then the trend of its category."""
        basket = Basket(
            self._book.at(served, query.placement, query.rule_set).of_nobody(), query, without=(product_row,)
        )
        category = served.category_row[product_row] if basket.category == NONE else basket.category

        def take() -> None:
            basket.take_similar(product_row)
            basket.take_alike(product_row)
            basket.take_trends(category)

        basket.fill(take)
        return basket.answer(None, "popular")

    def _of_nobody(self, rules: PlacedRules, query: Query) -> Answer:
        """What somebody gets whose answers may not be personal: nothing of them is looked at."""
        ruling = rules.of_nobody()
        basket = Basket(ruling, query, strength=_strength(ruling, query))
        basket.fill(lambda: basket.take_trends(basket.category))
        return basket.answer(None, "popular" if query.category is None else "category")

    def _of_person(
        self, rules: PlacedRules, customer_id: str, objective: str, placement: str | None
    ) -> tuple[OwnList | None, str, Ruling, frozenset[int]]:
        """A customer's list, its level, what holds for them and what they were shown often enough; no list
        where nothing is, or may be, known."""
        told = self._news_of(customer_id)
        if told is NOT_PERSONAL:
            return None, "popular", rules.of_nobody(), NOTHING
        own, level = self._own_list(rules, customer_id, told, objective)
        if own is None:
            level, ruling = "popular", rules.of_customer(customer_id, NONE, told)
        else:
            ruling = own.ruling.fresh()
        return own, level, ruling, self._shown_enough(rules, ruling, customer_id, placement)

    def _shown_enough(
        self, rules: PlacedRules, ruling: Ruling, customer_id: str, placement: str | None
    ) -> frozenset[int]:
        if self._showings is None or not ruling.often:
            return NOTHING
        return self._showings.products_shown_enough(rules, ruling, customer_id, placement)

    def _own_list(
        self, rules: PlacedRules, customer_id: str, told: Told | None, objective: str
    ) -> tuple[OwnList | None, str]:
        asked = objective, customer_id
        own = self._first_level.get(asked, rules, told)
        if own is not None and own.is_in_order:
            return own, "worker"
        served = rules.served
        customer_row = NONE
        if has_night_of(told, served.tombstone):
            customer_row = served.customer_row(customer_id)
        session = None
        if told is not None and told.lines:
            session = self._sessions.of(served, customer_id, customer_row, told, self._clock())
        if customer_row == NONE and session is None:
            return None, ""
        cache = self._cache if told is not None or not self._only_changed else None
        # Of these objectives what comes first may stand anywhere, and Redis has the beginning.
        if cache is None or objective in (VALUE, REORDER):
            own, level = _begun(rules, customer_id, customer_row, told, session), "map"
            own.columns = made_list(served, customer_row, session)
        else:
            own, level = self._looked_up(cache, rules, customer_id, customer_row, told, session)
        if objective == VALUE:
            own.costs = self._costs_of(served, customer_id, customer_row, told, own.columns.rows)
        put_under_rules(own, objective, self._clock())
        self._first_level.put(asked, own)
        return own, level

    def _looked_up(
        self,
        cache: ListCache,
        rules: PlacedRules,
        customer_id: str,
        customer_row: int,
        told: Told | None,
        session: Session | None,
    ) -> tuple[OwnList, str]:
        """A list or its beginning, as the cache has it, and the level."""
        served, showings, name = rules.served, self._showings, None
        if showings is not None and rules.counts_any:
            name = showings.to_ask(customer_id)
        epoch, mark = (told.epoch, told.mark) if told else (0, 0)
        wait = cache.ask(served.version_id, served.variant, customer_id, epoch, name)
        try:  # the cache looks meanwhile
            own = _begun(rules, customer_id, customer_row, told, session)
            if session is not None:
                mark += session.today << 32  # what steps back today does so less tomorrow
            owner = owner_of(served.version_id, served.variant, customer_id, epoch, mark)
        finally:
            value, has_answer, shown = wait()
        if showings is not None and name is not None:
            showings.take(name, has_answer, shown)
        found = unpack(owner, value, served.key) if value is not None else None
        if found is not None:
            own.columns, own.behind = found
            return own, "redis"
        own.columns = made_list(served, customer_row, session)
        value = pack(owner, own.columns, served.key)
        cache.put(served.version_id, served.variant, customer_id, value, epoch)
        return own, "map"


def _begun(
    rules: PlacedRules, customer_id: str, customer_row: int, told: Told | None, session: Session | None
) -> OwnList:
    """A customer's list without its columns: all that can be known before them."""
    ruling = rules.of_customer(customer_id, customer_row, told)
    own = OwnList(rules.served, customer_row, told, NO_COLUMNS, rules, ruling, session=session)
    if ruling.bought:
        own.bought = ruling.bought_lately(customer_row, session, rules.today)
    return own


def _viewed(served: ServedVersion, query: Query) -> list[int]:
    """Rows of the products that somebody looked at, each once, the latest first."""
    return [row for row in dict.fromkeys(map(served.product_row, query.viewed)) if row != NONE]


def _take_ladder(basket: Basket, own: OwnList | None, objective: str, viewed: list[int]) -> None:
    """Take the own list, if there is one, else what goes with what was looked at; then rung by rung."""
    if viewed:
        basket.take_viewed(viewed)
    if own is not None:
        _take_list(basket, own)
        if not basket.is_full and own.customer_row != NONE:
            basket.take_scores(own.customer_row)
    basket.take_trends(basket.category)
    if own is not None and own.session is not None and objective != DISCOVERY:
        basket.take_held(own.session)


def _take_list(basket: Basket, own: OwnList) -> None:
    """Take from a customer's list, in the order that the rules give it."""
    if own.moved is None:
        basket.take_own(entries_of(own))
    else:
        basket.take_moved(under_factors(own, basket.taken))


def _strength(ruling: Ruling, query: Query) -> float:
    """Of variety. What is due again comes first where that is what is asked for, like or not."""
    return 0 if query.objective == REORDER else ruling.strength
