"""Answers as JSON text: what is said of a product is written once, an answer joins the pieces."""

import json
import os
from functools import lru_cache
from math import isfinite

from service import reasons
from service.recommender import Answer, OwnList, Pick, Rung
from service.served import NONE, ServedVersion

KEPT_PRODUCTS = 20_000  # about 400 bytes each


class AnswerWriter:
    """Writes the answers of one version. What it doesn't know is null, a missing title the product's id."""

    def __init__(self, served: ServedVersion) -> None:
        self._served = served
        names = json.dumps({"version": served.version_id, "variant": served.variant, "experiments": []})
        self._names = names[1:-1]
        self._product = lru_cache(KEPT_PRODUCTS)(self._write_product)
        self._popular = lru_cache(KEPT_PRODUCTS)(self._write_popular)

    def recommendations(self, customer_id: str, answer: Answer) -> str:
        """The body of `/recommend/<customer_id>`."""
        own = answer.own
        items = self._own_items(answer.picks, own) if own else self._items(answer.picks)
        return (
            f'{{"customer_id": {json.dumps(customer_id)}, "request_id": "{os.urandom(12).hex()}", '
            f'{self._names}, "source": "{answer.source}", "recommendations": [{items}]}}'
        )

    def popular(self, answer: Answer) -> str:
        """The body of `/popular`."""
        return self._of_all("popular", self._items(answer.picks))

    def similar(self, product_row: int, answer: Answer) -> str:
        """The body of `/similar/<product_id>`."""
        product_id = json.dumps(self._served.products[product_row])
        return self._of_all(
            "similar", self._items(answer.picks, product_row), f'"product_id": {product_id}, '
        )

    def _of_all(self, source: str, items: str, about: str = "") -> str:
        return (
            f'{{{about}"request_id": "{os.urandom(12).hex()}", {self._names}, '
            f'"source": "{source}", "recommendations": [{items}]}}'
        )

    def _own_items(self, picks: list[Pick], own: OwnList) -> str:
        written, product, items = own.written, self._product, []
        for rank, pick in enumerate(picks, 1):
            tail = written.get(pick)
            if tail is None:
                tail = written[pick] = product(pick.product_row)[1] + self._why(pick, own)
            items.append(f"{product(pick.product_row)[0]}{rank}{tail}")
        return ", ".join(items)

    def _items(self, picks: list[Pick], similar_to: int = NONE) -> str:
        items = []
        for rank, pick in enumerate(picks, 1):
            head, tail = self._product(pick.product_row)
            why = self._similar(similar_to) if pick.rung is Rung.SIMILAR else self._popular(pick.product_row)
            items.append(f"{head}{rank}{tail}{why}")
        return ", ".join(items)

    def _why(self, pick: Pick, own: OwnList) -> str:
        if pick.evidence == NONE:
            return self._popular(pick.product_row)
        served = self._served
        place = served.history_of(own.customer_row)[0] + pick.evidence
        bought, last_day = int(served.history_product[place]), int(served.history_last_day[place])
        if bought == pick.product_row:
            interval_days = float(served.history_interval_days[place])
            return _end(reasons.due_again(int(served.history_times[place]), interval_days, last_day))
        return _end(reasons.because_you_bought(served.products[bought], self._title(bought), last_day))

    def _similar(self, product_row: int) -> str:
        return _end(reasons.similar(self._served.products[product_row], self._title(product_row)))

    def _write_popular(self, product_row: int) -> str:
        served = self._served
        return _end(reasons.popular(int(served.recent_buyers[product_row]), int(served.buyers[product_row])))

    def _title(self, product_row: int) -> str:
        return self._served.titles[product_row] or self._served.products[product_row]

    def _write_product(self, product_row: int) -> tuple[str, str]:
        """What stands before and after the rank of a product."""
        served = self._served
        category_row = served.category_row[product_row]
        price = served.prices[product_row]
        known = {
            "probability": None,
            "expected_value": None,
            "title": self._title(product_row),
            "category": served.categories[category_row] if category_row != NONE else None,
            "price": float(str(price))
            if isfinite(price)
            else None,  # 2.99, not the nearest double of a float32
            "url": served.urls[product_row] or None,
            "image_url": served.image_urls[product_row] or None,
            "offer": None,
        }
        head = f'{{"product_id": {json.dumps(served.products[product_row])}, "rank": '
        return head, f', {json.dumps(known)[1:-1]}, "reason": '


def _end(reason: reasons.Reason) -> str:
    """A reason, and the end of the product that it stands in."""
    written = json.dumps({"code": reason.code, "text": reason.text, "evidence": reason.evidence})
    return f"{written}}}"
