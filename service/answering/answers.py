"""Answers as JSON text: what is said of a product is written once, an answer joins the pieces."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted  # a text as json.dumps writes it
from math import isfinite, isnan

from models.arrays import NONE
from service.answering.explaining import Explainer
from service.answering.languages import ENGLISH
from service.answering.own_list import Answer, Attached, OwnList, Rung
from service.answering.reasons import reasons_in
from service.answering.request_ids import new_request_id
from service.versions.served import UNKNOWN, ServedVersion
from storage.versions.evidence import ITSELF, NO_EVIDENCE

KEPT_PRODUCTS = 20_000  # about 400 bytes each
NOTHING_ATTACHED = Attached("null", 0.0)
NO_OFFERS: Mapping[int, Attached] = {}
NO_REASONS: Mapping[Rung, str] = {}
MOST = 0.999  # nothing is certain, and a float16 above .9997 is 1


class AnswerWriter:
    """Writes the answers of one version. What it doesn't know is null, a missing title the product's id."""

    def __init__(self, served: ServedVersion) -> None:
        self._served = served
        self._names = _names(served)
        self._products: dict[int, tuple[str, str]] = {}
        self._worth = memoryview(served.shelf.worth)
        self._explainers = {ENGLISH: Explainer(served, ENGLISH)}

    def of_variant(self, served: ServedVersion) -> "AnswerWriter":
        """The writer of another variant of the version. It keeps what it writes where this one does: both
        show the same products, and a new price is told once, to whoever asks first."""
        other = copy(self)
        other._served, other._names = served, _names(served)
        return other

    def recommendations(
        self,
        customer_id: str,
        answer: Answer,
        experiments: str = "",
        request_id: str = "",
        offers: Mapping[int, Attached] = NO_OFFERS,
        language: str = ENGLISH,
    ) -> str:
        """The body of `/recommend/<customer_id>`.

        Args:
            offers: by product row.
            language: of the reasons.
            experiments: what stands in the list of that name, as JSON.
            request_id: a new one without it.
        """
        return (
            f'{{"customer_id": {quoted(customer_id)}, "request_id": "{request_id or new_request_id()}", '
            f'{self._names}, "experiments": [{experiments}], "source": "{answer.source}", '
            f'"recommendations": [{self._products_of(answer, offers, language)}]}}'
        )

    def _products_of(self, answer: Answer, offers: Mapping[int, Attached], language: str) -> str:
        """The products of an answer, with offers; of one that is kept, written once while nothing changes."""
        kept = answer.kept
        now = language, self._served.shelf.price_changes  # first: what changes meanwhile comes again
        if kept is not None and kept.written is not None and kept.written[:2] == (now, offers):
            return kept.written[2]
        own = answer.own
        if own:
            items = self._own_items(answer, own, language, offers=offers)
        else:
            why = self._with_viewed(answer, language)
            items = self._items(answer, language, goes_with=why, offers=offers)
        text = ", ".join(items)
        if kept is not None:
            kept.written = now, offers, text
        return text

    def _with_viewed(self, answer: Answer, language: str) -> list[str]:
        """Reasons by what a stranger looked at, as `Basket.take_viewed` counts them."""
        titles = [(self._served.products[row], self._served.title(row)) for row in answer.viewed]
        reasons = reasons_in(language)
        return [why(*title) for why in (reasons.similar, reasons.alike) for title in titles]

    def reorder(self, customer_id: str, answer: Answer, language: str = ENGLISH) -> str:
        """The body of `/reorder/<customer_id>`. `unknown` is whoever nothing is known of, or may be."""
        own = answer.own
        source = "unknown" if own is None else "session" if own.session else "personal"
        items = self._own_items(answer, own, language) if own else []
        return self._of_all(source, items, f'"customer_id": {quoted(customer_id)}, ')

    def complements(self, cart: Sequence[int], answer: Answer, language: str = ENGLISH) -> str:
        """The body of `/basket`, whose products have these rows."""
        source = "personal" if answer.own else "basket" if cart else "popular"
        titles = [(self._served.products[row], self._served.title(row)) for row in cart]
        why = [reasons_in(language).similar(*title, "bought_with") for title in titles]
        if answer.own:
            items = self._own_items(answer, answer.own, language, why)
        else:
            items = self._items(answer, language, goes_with=why)
        return self._of_all(source, items)

    def popular(self, answer: Answer, language: str = ENGLISH) -> str:
        """The body of `/popular`."""
        return self._of_all("popular", self._items(answer, language))

    def similar(self, product_row: int, answer: Answer, language: str = ENGLISH) -> str:
        """The body of `/similar/<product_id>`."""
        product_id = self._served.products[product_row]
        title, reasons = self._served.title(product_row), reasons_in(language)
        why_of = {
            Rung.SIMILAR: reasons.similar(product_id, title),
            Rung.ALIKE: reasons.alike(product_id, title),
        }
        items = self._items(answer, language, why_of)
        return self._of_all("similar", items, f'"product_id": {quoted(product_id)}, ')

    def _of_all(self, source: str, items: list[str], about: str = "") -> str:
        return (
            f'{{{about}"request_id": "{new_request_id()}", {self._names}, "experiments": [], '
            f'"source": "{source}", "recommendations": [{", ".join(items)}]}}'
        )

    def _own_items(
        self,
        answer: Answer,
        own: OwnList,
        language: str,
        goes_with: Sequence[str] = (),
        offers: Mapping[int, Attached] = NO_OFFERS,
    ) -> list[str]:
        if self._served.shelf.repriced:
            self._forget_prices()
        known, worth_of, items = self._products, self._worth, []
        explain = self._explainer(language)
        bought, goes_with_cart = explain.why, Rung.GOES_WITH
        nearest = ITSELF if own.session is None else 0  # evidence below it is a place in the history
        first = self._served.history_of(own.customer_row)[0]
        for rank, (row, rung, evidence, probability) in enumerate(answer.picks, 1):
            head, middle = known.get(row) or self._write_product(row)
            if evidence < nearest and rung is not goes_with_cart:
                why = bought(row, first + evidence)
            elif rung is Rung.PINNED:
                why = explain.reasons.chosen_by_shop(answer.pinned[row])
            elif rung is goes_with_cart:
                why = goes_with[evidence]
            elif evidence == NO_EVIDENCE and row in offers:
                why = explain.offered(row, offers[row])
            else:
                why = explain.own(row, evidence, own)
            offer, cost, _, _ = offers.get(row, NOTHING_ATTACHED)
            if probability == UNKNOWN:
                probability_text = value = "null"
            else:  # what showing it is expected to earn: its probability times what one of it earns
                (probability_text, below_1), worth = _probability_text(probability), worth_of[row]
                value = "null" if isnan(worth) else f"{below_1 * worth - cost:.4g}"
            items.append(
                f'{head}{rank}, "probability": {probability_text}, "expected_value": {value}'
                f'{middle}{offer}, "reason": {why}}}'
            )
        return items

    def _items(
        self,
        answer: Answer,
        language: str,
        why_of: Mapping[Rung, str] = NO_REASONS,
        goes_with: Sequence[str] = (),
        offers: Mapping[int, Attached] = NO_OFFERS,
    ) -> list[str]:
        if self._served.shelf.repriced:
            self._forget_prices()
        items: list[str] = []
        explain = self._explainer(language)
        for rank, (row, rung, evidence, _) in enumerate(answer.picks, 1):
            head, middle = self._products.get(row) or self._write_product(row)
            if rung is Rung.PINNED:
                why = explain.reasons.chosen_by_shop(answer.pinned[row])
            elif rung is Rung.GOES_WITH and evidence != NO_EVIDENCE:
                why = goes_with[evidence]
            elif rung in why_of:
                why = why_of[rung]
            else:
                why = explain.offered(row, offers[row]) if row in offers else explain.of_all(row)
            offer = offers.get(row, NOTHING_ATTACHED).text
            items.append(
                f'{head}{rank}, "probability": null, "expected_value": null{middle}{offer}, "reason": {why}}}'
            )
        return items

    def _explainer(self, language: str) -> Explainer:
        explainer = self._explainers.get(language)
        if explainer is None:
            explainer = self._explainers[language] = Explainer(self._served, language)
        return explainer

    def _forget_prices(self) -> None:
        repriced = self._served.shelf.repriced
        while repriced:
            self._products.pop(repriced.pop(), None)

    def _write_product(self, product_row: int) -> tuple[str, str]:
        """What stands before the rank of a product, and between what it earns and its offer; it is kept."""
        served = self._served
        category_row, price = served.category_row[product_row], served.prices[product_row]
        category = quoted(served.categories[category_row]) if category_row != NONE else "null"
        # 2.99, not the nearest double of a float32
        price_text = str(float(str(price))) if isfinite(price) else "null"
        head = f'{{"product_id": {quoted(served.products[product_row])}, "rank": '
        middle = (
            f', "title": {quoted(self._served.title(product_row))}, "category": {category}, '
            f'"price": {price_text}, "url": {_or_null(served.urls[product_row])}, '
            f'"image_url": {_or_null(served.image_urls[product_row])}, "offer": '
        )
        if len(self._products) >= KEPT_PRODUCTS:
            self._products.clear()
        self._products[product_row] = head, middle
        return head, middle


def _names(served: ServedVersion) -> str:
    return json.dumps({"version": served.version_id, "variant": served.variant})[1:-1]


def _or_null(text: str) -> str:
    return quoted(text) if text else "null"


@lru_cache(4096)
def _probability_text(probability: float) -> tuple[str, float]:
    """A probability that isn't certain: in three digits, which are what a float16 holds, and as it is."""
    probability = min(probability, MOST)
    return f"{probability:.3g}", probability
