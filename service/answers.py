"""Answers as JSON text: what is said of a product is written once, an answer joins the pieces."""

import json
import os
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted  # a text as json.dumps writes it
from math import isfinite

from service import reasons
from service.recommender import Answer, OwnList, Pick, Rung
from service.served import NONE, UNKNOWN, ServedVersion
from storage.evidence import ITSELF, NO_EVIDENCE

KEPT_PRODUCTS = 20_000  # about 400 bytes each
PROBABILITY = ', "probability": '
MOST = 0.999  # nothing is certain, and a float16 above .9997 is 1


class AnswerWriter:
    """Writes the answers of one version. What it doesn't know is null, a missing title the product's id."""

    def __init__(self, served: ServedVersion) -> None:
        self._served = served
        names = json.dumps({"version": served.version_id, "variant": served.variant, "experiments": []})
        self._names = names[1:-1]
        self._product = lru_cache(KEPT_PRODUCTS)(self._write_product)
        self._popular = lru_cache(KEPT_PRODUCTS)(self._write_popular)
        self._because = lru_cache(KEPT_PRODUCTS)(self._write_because)

    def recommendations(self, customer_id: str, answer: Answer) -> str:
        """The body of `/recommend/<customer_id>`."""
        own = answer.own
        items = self._own_items(answer.picks, own) if own else self._items(answer.picks)
        return (
            f'{{"customer_id": {quoted(customer_id)}, "request_id": "{os.urandom(12).hex()}", '
            f'{self._names}, "source": "{answer.source}", "recommendations": [{items}]}}'
        )

    def popular(self, answer: Answer) -> str:
        """The body of `/popular`."""
        return self._of_all("popular", self._items(answer.picks))

    def similar(self, product_row: int, answer: Answer) -> str:
        """The body of `/similar/<product_id>`."""
        product_id = self._served.products[product_row]
        items = self._items(answer.picks, reasons.similar(product_id, self._title(product_row)))
        return self._of_all("similar", items, f'"product_id": {quoted(product_id)}, ')

    def _of_all(self, source: str, items: str, about: str = "") -> str:
        return (
            f'{{{about}"request_id": "{os.urandom(12).hex()}", {self._names}, '
            f'"source": "{source}", "recommendations": [{items}]}}'
        )

    def _own_items(self, picks: list[Pick], own: OwnList) -> str:
        written, product, items = own.written, self._product, []
        for rank, (row, rung, evidence, probability) in enumerate(picks, 1):
            head, middle = product(row)
            tail = written.get(row) if rung is Rung.OWN else None
            if tail is None:
                why = self._own_reason(row, evidence, own.customer_row)
                tail = f"{PROBABILITY}{_told(probability)}{middle}{why}}}"
                if rung is Rung.OWN:
                    written[row] = tail
            items.append(f"{head}{rank}{tail}")
        return ", ".join(items)

    def _items(self, picks: list[Pick], similar: str = "") -> str:
        items = []
        for rank, (row, rung, _, _) in enumerate(picks, 1):
            head, tail = self._product(row)
            why = similar if rung is Rung.SIMILAR else self._popular(row)
            items.append(f"{head}{rank}{PROBABILITY}null{tail}{why}}}")
        return ", ".join(items)

    def _own_reason(self, product_row: int, evidence: int, customer_row: int) -> str:
        if evidence == NO_EVIDENCE:
            return self._popular(product_row)
        if evidence == ITSELF:
            return self._why(product_row, self._served.place_of(customer_row, product_row))
        return self._why(product_row, self._served.history_of(customer_row)[0] + evidence)

    def _why(self, product_row: int, place: int) -> str:
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
        """What stands before the rank of a product and after its probability."""
        served = self._served
        category_row, price = served.category_row[product_row], served.prices[product_row]
        category = quoted(served.categories[category_row]) if category_row != NONE else "null"
        # 2.99, not the nearest double of a float32
        told_price = str(float(str(price))) if isfinite(price) else "null"
        head = f'{{"product_id": {quoted(served.products[product_row])}, "rank": '
        return head, (
            f', "expected_value": null, "title": {quoted(self._title(product_row))}, "category": {category}, '
            f'"price": {told_price}, "url": {_or_null(served.urls[product_row])}, '
            f'"image_url": {_or_null(served.image_urls[product_row])}, "offer": null, "reason": '
        )


def _or_null(text: str) -> str:
    return quoted(text) if text else "null"


@lru_cache(4096)
def _told(probability: float) -> str:
    """Three digits, which are what a float16 holds; null where it isn't known."""
    return "null" if probability == UNKNOWN else f"{min(probability, MOST):.3g}"
