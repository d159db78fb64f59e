"""Next best offers: of a customer by themselves, and with the products of an answer."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from service.languages import ENGLISH
from service.live.told import Told
from service.offers.book import FOREVER, OfferBook, Ranked, row_of
from service.offers.promises import Promises
from service.own_list import Answer, Attached, WithOffers
from service.parameters import Query
from service.reasons import Reasons, reasons_in
from service.rules.book import RuleBook
from service.rules.placed import PlacedRules
from service.rules.ruling import Ruling
from service.served import NONE, ServedVersion
from service.showings import NOTHING, Showings

NO_OFFERS = WithOffers(None, NOTHING, FOREVER, {}, [])
SHOWN_PRODUCTS = 20  # of an offer that has more, the first ones are named


class OfferDesk:
    """The use cases around offers.

    Args:
        promises: of offers with a budget; None: those aren't shown.
        news_of: what this worker knows of a customer since the night.
        book: the merchandiser's rules.
        clock: Unix seconds.
        showings: what customers were shown; None: no rule of frequency holds.
    """

    def __init__(
        self,
        promises: Promises | None,
        news_of: Callable[[str], Told | None],
        book: RuleBook,
        clock: Callable[[], float] = time.time,
        *,
        showings: Showings | None = None,
    ) -> None:
        self.promises, self._news_of, self._rules, self._clock = promises, news_of, book, clock
        self._showings = showings
        self._book: OfferBook | None = None

    def book_of(self, served: ServedVersion) -> OfferBook:
        """The offers of a version; those of another variant of it are the same."""
        book = self._book
        if book is None or book.served.offers is not served.offers:
            book = self._book = OfferBook(served, self._clock)
        return book

    def with_products(
        self,
        served: ServedVersion,
        customer_id: str,
        answer: Answer,
        placement: str | None = None,
        rule_set: str = "",
    ) -> WithOffers:
        """The best offer of each product of an answer that has one. Whoever shows them notes that."""
        if not served.offers.has_any:
            return NO_OFFERS
        book = self.book_of(served)
        on = book.on
        placed, own, kept = self._rules.at(served, placement, rule_set), answer.own, answer.kept
        customer_row = own.customer_row if own else self._row(served, customer_id)
        ruling = own.ruling if own and own.rules is placed else _ruling_of(placed, customer_id, customer_row)
        enough = self._shown_enough(placed, ruling, customer_id, placement)
        found = kept.offers if kept is not None else None
        if (
            found is None
            or found.on is not on
            or found.enough != enough
            or (found.until_s != FOREVER and found.until_s <= self._clock())
        ):
            found = self._best(book, on, enough, customer_id, customer_row, answer)
            if kept is not None:
                kept.offers = found
        return found

    def _best(
        self,
        book: OfferBook,
        on: Mapping[int, frozenset[int]],
        enough: frozenset[int],
        customer_id: str,
        customer_row: int,
        answer: Answer,
    ) -> WithOffers:
        """The best offer of each product of an answer, without those that were shown often enough."""
        missing = {pick[0] for pick in answer.picks}
        among = {
            row
            for row in book.served.offers.listed(customer_row)
            if row not in enough and row in on and not on[row].isdisjoint(missing)
        }
        texts: dict[int, Attached] = {}
        rows: list[int] = []
        for one in book.ranked(customer_row, among) if among else ():
            wanted = missing & on[one.offer_row]
            text = self._json(book, one, customer_id) if wanted else None
            if text is not None:
                texts.update(dict.fromkeys(wanted, Attached(text, one.cost)))
                missing.difference_update(wanted)
                rows.append(one.offer_row)
                if not missing:
                    break
        return WithOffers(on, enough, book.ends_s(among), texts, rows)

    def costs(self, served: ServedVersion, customer_row: int) -> Mapping[int, float]:
        """As `OfferBook.costs`, of what this desk can show."""
        if not served.offers.has_any:
            return {}
        return self.book_of(served).costs(customer_row, with_budgets=self.promises is not None)

    def body(self, served: ServedVersion, customer_id: str, query: Query, language: str = ENGLISH) -> str:
        """The body of `/offers/<customer_id>`: at most query.n offers, by what they add, the most first."""
        book, customer_row = self.book_of(served), self._row(served, customer_id)
        placed = self._rules.at(served, query.placement)
        ruling = _ruling_of(placed, customer_id, customer_row)
        enough = self._shown_enough(placed, ruling, customer_id, query.placement)
        found = [one for one in book.ranked(customer_row) if one.offer_row not in enough]
        if query.objective == "probability":
            found.sort(key=lambda one: -(one.probability or 0.0))
        items = list(
            islice(
                self._items(book, found, customer_id, customer_row, ruling.shown, reasons_in(language)),
                query.n,
            )
        )
        if self._showings is not None:
            self._showings.note(placed, customer_id, query.placement, (), [row for row, _ in items])
        texts = [f'{{"rank": {rank}, {text[1:]}' for rank, (_, text) in enumerate(items, 1)]
        head = {"customer_id": customer_id, "request_id": os.urandom(12).hex(), "version": served.version_id}
        source = "personal" if customer_row != NONE else "popular"
        return f'{json.dumps(head)[:-1]}, "source": "{source}", "offers": [{", ".join(texts)}]}}'

    def _items(
        self,
        book: OfferBook,
        found: list[Ranked],
        customer_id: str,
        customer_row: int,
        shown: "memoryview[int]",
        reasons: Reasons,
    ) -> Iterable[tuple[int, str]]:
        """The row of each offer that can be shown, and it as JSON."""
        served = book.served
        for one in found:
            products = [row for row in book.offer(one.offer_row).product_rows.tolist() if shown[row]]
            if not products:
                continue  # hidden by rules, or out of stock
            text = self._json(book, one, customer_id)
            if text is None:
                continue
            named = [
                {"product_id": served.products[row], "title": served.title(row)}
                for row in products[:SHOWN_PRODUCTS]
            ]
            reason = self._reason(served, customer_row, products, one, reasons)
            rest = f'"n_products": {len(products)}, "products": {json.dumps(named)}, "reason": {reason}'
            yield one.offer_row, f"{text[:-1]}, {rest}}}"

    def _shown_enough(
        self, placed: PlacedRules, ruling: Ruling, customer_id: str, placement: str | None
    ) -> frozenset[int]:
        """Rows of the offers that were shown often enough at the placement."""
        if self._showings is None or not placed.counts_offers:
            return NOTHING
        return self._showings.offers_shown_enough(placed, ruling, customer_id, placement)

    def _json(self, book: OfferBook, one: Ranked, customer_id: str) -> str | None:
        """An offer as JSON, promised if it has a budget; None if it can't be."""
        offer, until_s = book.offer(one.offer_row), None
        if offer.budget is not None:
            until_s = self.promises.make(offer.offer_id, customer_id) if self.promises else None
            if until_s is None:
                return None
        return book.json(one, until_s)

    def _row(self, served: ServedVersion, customer_id: str) -> int:
        told = self._news_of(customer_id)
        return row_of(served, customer_id, has_night=told is None or told.has_night_of(served.tombstone))

    @staticmethod
    def _reason(
        served: ServedVersion, customer_row: int, products: list[int], one: Ranked, reasons: Reasons
    ) -> str:
        """The product of the offer that the customer bought last, else what others did."""
        if customer_row != NONE:
            start, stop = served.history_of(customer_row)
            of_it = set(products)
            for place in range(start, stop):  # the most recent first
                row = served.histories.product[place]
                if row in of_it:
                    times, last_day = served.histories.times[place], served.histories.last_day[place]
                    return reasons.bought_before(served.products[row], served.title(row), times, last_day)
        return reasons.others_redeem() if one.probability is not None else reasons.for_everybody()


def _ruling_of(placed: PlacedRules, customer_id: str, customer_row: int) -> Ruling:
    return placed.of_stranger(customer_id) if customer_row == NONE else placed.of_person(customer_row)
