"""Answers as JSON text: what is said of a product is written once, an answer joins the pieces."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted  # a text as json.dumps writes it
from math import isfinite, isnan, nan

from service import reasons
from service.live.session import FIRST_LINE, Bought, Session
from service.own_list import Answer, OwnList, Rung
from service.served import NONE, UNKNOWN, ServedVersion
from storage.evidence import ITSELF, NO_EVIDENCE

KEPT_PRODUCTS = 20_000  # about 400 bytes each
PROBABILITY, EXPECTED = ', "probability": ', ', "expected_value": '
NO_OFFER = '"offer": null'
MOST = 0.999  # nothing is certain, and a float16 above .9997 is 1


class AnswerWriter:
    """Writes the answers of one version. What it doesn't know is null, a missing title the product's id."""

    def __init__(self, served: ServedVersion) -> None:
        self._served = served
        self._names = json.dumps({"version": served.version_id, "variant": served.variant})[1:-1]
        self._products: dict[int, tuple[str, str]] = {}
        self._worth = memoryview(served.shelf.worth)
        self._popular = lru_cache(KEPT_PRODUCTS)(self._write_popular)
        self._because = lru_cache(KEPT_PRODUCTS)(self._write_because)
        self._why = lru_cache(KEPT_PRODUCTS)(self._write_why)

    def recommendations(
        self,
        customer_id: str,
        answer: Answer,
        experiments: str = "",
        request_id: str = "",
        offers: Mapping[int, str] | None = None,
    ) -> str:
        """The body of `/recommend/<customer_id>`.

        Args:
            offers: as JSON, by product row.
            experiments: what stands in the list of that name, as JSON.
            request_id: a new one without it.
        """
        own = answer.own
        items = self._own_items(answer, own) if own else self._items(answer)
        if offers:
            for place, pick in enumerate(answer.picks):
                if pick[0] in offers:
                    items[place] = items[place].replace(NO_OFFER, f'"offer": {offers[pick[0]]}', 1)
        return (
            f'{{"customer_id": {quoted(customer_id)}, "request_id": "{request_id or os.urandom(12).hex()}", '
            f'{self._names}, "experiments": [{experiments}], "source": "{answer.source}", '
            f'"recommendations": [{", ".join(items)}]}}'
        )

    def reorder(self, customer_id: str, answer: Answer) -> str:
        """The body of `/reorder/<customer_id>`. `unknown` is whoever nothing is known of, or may be."""
        own = answer.own
        source = "unknown" if own is None else "session" if own.session else "personal"
        items = self._own_items(answer, own) if own else []
        return self._of_all(source, items, f'"customer_id": {quoted(customer_id)}, ')

    def complements(self, cart: Sequence[int], answer: Answer) -> str:
        """The body of `/basket`, whose products have these rows."""
        source = "personal" if answer.own else "basket" if cart else "popular"
        titles = [(self._served.products[row], self._title(row)) for row in cart]
        why = [reasons.similar(*title, "bought_with") for title in titles]
        items = self._own_items(answer, answer.own, why) if answer.own else self._items(answer, "", why)
        return self._of_all(source, items)

    def popular(self, answer: Answer) -> str:
        """The body of `/popular`."""
        return self._of_all("popular", self._items(answer))

    def similar(self, product_row: int, answer: Answer) -> str:
        """The body of `/similar/<product_id>`."""
        product_id = self._served.products[product_row]
        items = self._items(answer, reasons.similar(product_id, self._title(product_row)))
        return self._of_all("similar", items, f'"product_id": {quoted(product_id)}, ')

    def _of_all(self, source: str, items: list[str], about: str = "") -> str:
        return (
            f'{{{about}"request_id": "{os.urandom(12).hex()}", {self._names}, "experiments": [], '
            f'"source": "{source}", "recommendations": [{", ".join(items)}]}}'
        )

    def _own_items(self, answer: Answer, own: OwnList, goes_with: Sequence[str] = ()) -> list[str]:
        shelf = self._served.shelf
        if shelf.repriced or own.price_changes != shelf.price_changes:
            self._take_new_prices(own)
        said = (answer.picks, answer.pinned)
        if own.written is not None and own.written[0] == said and not goes_with:
            return own.written[1].copy()
        products, worth_of, items = self._products, self._worth, []
        first = self._served.history_of(own.customer_row)[0]
        for rank, (row, rung, evidence, probability) in enumerate(answer.picks, 1):
            head, middle = products.get(row) or self._write_product(row)
            if evidence < ITSELF and own.session is None and rung is not Rung.GOES_WITH:
                why = self._why(row, first + evidence)
            elif rung is Rung.PINNED:
                why = reasons.chosen_by_shop(answer.pinned[row])
            elif rung is Rung.GOES_WITH:
                why = goes_with[evidence]
            else:
                why = self._own_reason(row, evidence, own)
            if probability == UNKNOWN:
                told = value = "null"
            else:  # what showing it is expected to earn: its probability times what one of it earns
                told, worth = _told(probability), worth_of[row]
                value = "null" if isnan(worth) else f"{min(probability, MOST) * worth:.4g}"
            items.append(f"{head}{rank}{PROBABILITY}{told}{EXPECTED}{value}{middle}{why}}}")
        if not goes_with:
            own.written = said, items.copy()
        return items

    def _items(self, answer: Answer, similar: str = "", goes_with: Sequence[str] = ()) -> list[str]:
        if self._served.shelf.repriced:
            self._forget_prices()
        items = []
        for rank, (row, rung, evidence, _) in enumerate(answer.picks, 1):
            head, tail = self._products.get(row) or self._write_product(row)
            if rung is Rung.PINNED:
                why = reasons.chosen_by_shop(answer.pinned[row])
            elif rung is Rung.GOES_WITH:
                why = goes_with[evidence]
            else:
                why = similar if rung is Rung.SIMILAR else self._popular(row)
            items.append(f"{head}{rank}{PROBABILITY}null{EXPECTED}null{tail}{why}}}")
        return items

    def _take_new_prices(self, own: OwnList) -> None:
        own.price_changes = self._served.shelf.price_changes  # first: what changes meanwhile comes again
        own.written = None
        self._forget_prices()

    def _forget_prices(self) -> None:
        repriced = self._served.shelf.repriced
        while repriced:
            self._products.pop(repriced.pop(), None)

    def _own_reason(self, product_row: int, evidence: int, own: OwnList) -> str:
        """The reason of a product that no purchase near in the history explains by itself."""
        if evidence == NO_EVIDENCE:
            return self._popular(product_row)
        if own.session is not None:
            return self._with_session(product_row, evidence, own.session)
        return self._why(product_row, self._served.place_of(own.customer_row, product_row))

    def _with_session(self, product_row: int, evidence: int, session: Session) -> str:
        """The reason of a product of a list with something new; dates are those of the latest purchase."""
        if FIRST_LINE <= evidence < ITSELF:
            since: Bought | None = session.bought[evidence - FIRST_LINE]
        elif evidence == ITSELF:
            since = session.by_row.get(product_row)
            place = NONE if since else self._served.place_of(session.customer_row, product_row)
        else:
            place = self._served.history_of(session.customer_row)[0] + evidence
            since = session.by_row.get(self._served.histories.product[place])
        if since is None:
            return self._why(product_row, place)
        bought = since.product_row
        if bought == product_row:
            return reasons.due_again(*self._purchases(since), since.day, since.due_day)
        return self._because(bought) + reasons.bought_on(since.day)

    def _purchases(self, since: Bought) -> tuple[int, float]:
        """In how many orders a product was bought, before the night and since; mean days between them."""
        if since.place == NONE:
            return since.times, nan
        _, all_times, last_days, intervals_days, _ = self._served.histories
        times, interval_days = all_times[since.place], intervals_days[since.place]
        known_days = interval_days * (times - 1) if times > 1 else 0.0
        days = known_days + max(since.day - last_days[since.place], 0)
        return times + since.times, days / (times + since.times - 1)

    def _write_why(self, product_row: int, place: int) -> str:
        """The reason of a product, from a place in the histories."""
        products, times, last_days, intervals_days, due_days = self._served.histories
        bought, last_day = products[place], last_days[place]
        if bought == product_row:
            return reasons.due_again(times[place], intervals_days[place], last_day, due_days[place])
        return self._because(bought) + reasons.bought_on(last_day)

    def _write_because(self, product_row: int) -> str:
        return reasons.because_you_bought(self._served.products[product_row], self._title(product_row))

    def _write_popular(self, product_row: int) -> str:
        served = self._served
        recent, ever = int(served.recent_buyers[product_row]), int(served.buyers[product_row])
        return reasons.popular(recent, ever, served.recent_days, served.last_day)

    def _title(self, product_row: int) -> str:
        return self._served.titles[product_row] or self._served.products[product_row]

    def _write_product(self, product_row: int) -> tuple[str, str]:
        """What stands before the rank of a product and after its probability, which is kept."""
        served = self._served
        category_row, price = served.category_row[product_row], served.prices[product_row]
        category = quoted(served.categories[category_row]) if category_row != NONE else "null"
        # 2.99, not the nearest double of a float32
        told_price = str(float(str(price))) if isfinite(price) else "null"
        head = f'{{"product_id": {quoted(served.products[product_row])}, "rank": '
        middle = (
            f', "title": {quoted(self._title(product_row))}, "category": {category}, '
            f'"price": {told_price}, "url": {_or_null(served.urls[product_row])}, '
            f'"image_url": {_or_null(served.image_urls[product_row])}, {NO_OFFER}, "reason": '
        )
        if len(self._products) >= KEPT_PRODUCTS:
            self._products.clear()
        self._products[product_row] = head, middle
        return head, middle


def _or_null(text: str) -> str:
    return quoted(text) if text else "null"


@lru_cache(4096)
def _told(probability: float) -> str:
    """Three digits, which are what a float16 holds."""
    return f"{min(probability, MOST):.3g}"
