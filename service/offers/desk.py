"""Next best offers: of a customer by themselves, and with the products of an answer."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import itemgetter

from models.arrays import NONE
from service.answering.languages import ENGLISH
from service.answering.own_list import Answer, Attached, WithOffers
from service.answering.reasons import Reasons, reasons_in
from service.answering.request_ids import new_request_id
from service.answering.showings import NOTHING, ROW, Showings
from service.live.session import Session, session_of
from service.live.told import NOT_PERSONAL, Told, has_night_of
from service.offers.book import OfferBook
from service.offers.promises import Promises
from service.rules.book import RuleBook
from service.rules.placed import PlacedRules
from service.rules.ruling import Ruling
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.versions.offers import ListedOffer, Offer

NO_OFFERS = WithOffers(NOTHING, NOTHING, False, {}, [])
SHOWN_PRODUCTS = 20  # of an offer that has more, the first ones are named


class OfferDesk:
    """The use cases around offers.

    Args:
        news_of: what this worker knows of a customer since the night.
        book: the merchandiser's rules.
        clock: Unix seconds.
        showings: what customers were shown; None: no rule of frequency holds.
    Attributes:
        promises: of offers with a budget; None: those aren't shown.
    """

    def __init__(
        self,
        news_of: Callable[[str], Told | None],
        book: RuleBook,
        clock: Callable[[], float] = time.time,
        *,
        showings: Showings | None = None,
    ) -> None:
        self._news_of, self._rules, self._clock, self._showings = news_of, book, clock, showings
        self.promises: Promises | None = None
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
        """The best offer of each product of an answer that has one. Whoever shows them notes that.

        Args:
            placement, rule_set: of the query that was answered.
        """
        if not served.offers.has_any:
            return NO_OFFERS
        book = self.book_of(served)
        on = book.on
        own, kept = answer.own, answer.kept
        if own:
            told, customer_row, placed, ruling = own.told, own.customer_row, own.rules, own.ruling
        else:
            told, placed = self._news_of(customer_id), self._rules.at(served, placement, rule_set)
            customer_row = _row(served, customer_id, told)
            ruling = placed.of_customer(customer_id, customer_row, told)
        enough = self._shown_enough(placed, ruling, customer_id, told, placement)
        found = kept.offers if kept is not None else None
        if found is None or found.is_for_once or found.on is not on or found.enough != enough:
            without = enough
            if told is not None and told.redeemed:
                without |= {served.offers.find(offer_id) for offer_id in told.redeemed}
            found = self._best(book, on, enough, without, customer_id, customer_row, answer)
            if kept is not None:
                kept.offers = found
        return found

    def _best(
        self,
        book: OfferBook,
        on: frozenset[int],
        enough: frozenset[int],
        without: frozenset[int],
        customer_id: str,
        customer_row: int,
        answer: Answer,
    ) -> WithOffers:
        """The best offer of each product of an answer, of those that are on, without some."""
        texts: dict[int, Attached] = {}
        tried: dict[int, Attached | None] = {}
        listed, first = book.served.offers.listed(customer_row)
        may_come = on - without if without else on
        for row in map(ROW, answer.picks):
            offers = book.of_product.get(row)
            if offers is None:
                continue
            for place, offer_row in enumerate(listed, first):
                if offer_row not in offers or offer_row not in may_come:
                    continue
                if offer_row not in tried:
                    one = book.served.offers.at(place, offer_row)
                    tried[offer_row] = self._attached(book, one, customer_id)
                attached = tried[offer_row]
                if attached is not None:
                    texts[row] = attached
                    break
        is_for_once = not book.with_budget.isdisjoint(tried)
        rows = [row for row, attached in tried.items() if attached is not None]
        return WithOffers(on, enough, is_for_once, texts, rows)

    def _attached(self, book: OfferBook, one: ListedOffer, customer_id: str) -> Attached | None:
        """An offer as a product comes with it; None if it can't be promised."""
        offer = book.offer(one.offer_row)
        text = self._json(book, offer, one, customer_id)
        if text is None:
            return None
        ends_at = offer.ends_at if offer.budget is None else None
        return Attached(text, book.cost(offer, one), offer.offer_id, ends_at)

    def costs(
        self,
        served: ServedVersion,
        customer_id: str,
        customer_row: int,
        told: Told | None,
        product_rows: Iterable[int],
    ) -> Mapping[int, float]:
        """As `OfferBook.costs`, of what this desk can show the customer now."""
        if not served.offers.has_any:
            return {}
        redeemed, promises = told.redeemed if told else frozenset(), self.promises

        def can_be_shown(offer: Offer) -> bool:
            if offer.offer_id in redeemed:
                return False
            if offer.budget is None:
                return True
            return promises is not None and promises.can_make(offer.offer_id, customer_id)

        return self.book_of(served).costs(customer_row, product_rows, can_be_shown)

    def body(self, served: ServedVersion, customer_id: str, query: Query, language: str = ENGLISH) -> str:
        """The body of `/offers/<customer_id>`: at most query.n offers, in the order of its objective."""
        book, told = self.book_of(served), self._news_of(customer_id)
        customer_row = _row(served, customer_id, told)
        session = session_of(served, customer_row, told, self._clock()) if told else None
        placed = self._rules.at(served, query.placement)
        ruling = placed.of_customer(customer_id, customer_row, told)
        enough = self._shown_enough(placed, ruling, customer_id, told, query.placement)
        found = [one for one in book.ranked(customer_row) if one.offer_row not in enough]
        if told and told.redeemed:
            found = [one for one in found if book.offer(one.offer_row).offer_id not in told.redeemed]
        if query.objective == "probability":
            found.sort(key=lambda one: -(one.probability or 0.0))
        items = list(
            islice(
                self._items(
                    *(book, found, customer_id, customer_row, session),
                    shown=ruling.shown,
                    bought=ruling.bought_lately(customer_row, session, placed.today)
                    if ruling.bought
                    else NOTHING,
                    reasons=reasons_in(language),
                ),
                query.n,
            )
        )
        if self._showings is not None and told is not NOT_PERSONAL:
            self._showings.note(placed, customer_id, query.placement, (), [row for row, _ in items])
        texts = [f'{{"rank": {rank}, {text[1:]}' for rank, (_, text) in enumerate(items, 1)]
        head = {"customer_id": customer_id, "request_id": new_request_id(), "version": served.version_id}
        source = "personal" if customer_row != NONE else "popular"
        return f'{json.dumps(head)[:-1]}, "source": "{source}", "offers": [{", ".join(texts)}]}}'

    def _items(
        self,
        book: OfferBook,
        found: list[ListedOffer],
        customer_id: str,
        customer_row: int,
        session: Session | None,
        *,
        shown: "memoryview[int]",
        bought: frozenset[int],
        reasons: Reasons,
    ) -> Iterable[tuple[int, str]]:
        """The row of each offer that can be shown, and it as JSON.

        Args:
            bought: rows of products that rules hide since the customer bought them lately.
        """
        served = book.served
        for one in found:
            offer = book.offer(one.offer_row)
            products = [row for row in offer.product_rows.tolist() if shown[row] and row not in bought]
            if not products:
                continue  # hidden by rules, or out of stock
            text = self._json(book, offer, one, customer_id)
            if text is None:
                continue
            named = [
                {"product_id": served.products[row], "title": served.title(row)}
                for row in products[:SHOWN_PRODUCTS]
            ]
            reason = _reason(served, customer_row, session, products, one, reasons)
            rest = f'"n_products": {len(products)}, "products": {json.dumps(named)}, "reason": {reason}'
            yield one.offer_row, f"{text[:-1]}, {rest}}}"

    def _shown_enough(
        self, placed: PlacedRules, ruling: Ruling, customer_id: str, told: Told | None, placement: str | None
    ) -> frozenset[int]:
        """Rows of the offers that were shown often enough at the placement."""
        if self._showings is None or not placed.counts_offers or told is NOT_PERSONAL:
            return NOTHING
        return self._showings.offers_shown_enough(placed, ruling, customer_id, placement)

    def _json(self, book: OfferBook, offer: Offer, one: ListedOffer, customer_id: str) -> str | None:
        """An offer as JSON, promised if it has a budget; None if it can't be."""
        until_s = None
        if offer.budget is not None:
            until_s = self.promises.make(offer.offer_id, customer_id) if self.promises else None
            if until_s is None:
                return None
        return book.json(one, until_s)


def _row(served: ServedVersion, customer_id: str, told: Told | None) -> int:
    """The customer's row of lists of offers; NONE, whose list is everybody's, of one who isn't known."""
    return served.customer_row(customer_id) if has_night_of(told, served.tombstone) else NONE


def _reason(
    served: ServedVersion,
    customer_row: int,
    session: Session | None,
    products: list[int],
    one: ListedOffer,
    reasons: Reasons,
) -> str:
    """The product of the offer that the customer bought last, else what others did who buy like them."""
    bought = _bought_last(served, customer_row, session, set(products))
    if bought is not None:
        row, times, last_day = bought
        return reasons.bought_before(served.products[row], served.title(row), times, last_day)
    if customer_row == NONE or one.probability is None:
        return reasons.for_everybody()
    return reasons.others_redeem()


def _bought_last(
    served: ServedVersion, customer_row: int, session: Session | None, of_it: set[int]
) -> tuple[int, int, int] | None:
    """Of some products the one that the customer bought last: its row, in how many orders, the last day."""
    histories, found = served.histories, []
    if session is not None:
        since = next((one for one in session.bought if one.product_row in of_it), None)  # the latest first
        if since is not None:
            before = 0 if since.place == NONE else histories.times[since.place]
            found.append((since.product_row, before + since.times, since.day))
    if customer_row != NONE:
        for place in range(*served.history_of(customer_row)):  # the most recent first
            row = histories.product[place]
            if row in of_it and (session is None or row not in session.by_row):
                found.append((row, histories.times[place], histories.last_day[place]))
                break
    return max(found, key=itemgetter(2), default=None)
