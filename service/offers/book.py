"""Offers of a version that are on now: their products, their budgets, and each as JSON."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import UTC, datetime
from itertools import count

from models.offers.value import expected_cost
from service.versions.served import ServedVersion
from storage.record.budgets import Budget
from storage.versions.offers import ListedOffer, Offer

FOREVER = float("inf")
KEPT_S = 30.0  # at most, until it is looked again which offers are on


class OfferBook:
    """The offers of one version.

    Args:
        clock: Unix seconds.
    Attributes:
        of_product: rows of the offers of a product, on or not, by the rows of products that have any; without
            those that were over when the book was made.
        with_budget: rows of those that have a budget.
    """

    def __init__(self, served: ServedVersion, clock: Callable[[], float] = time.time) -> None:
        self.served, self._clock = served, clock
        self._offers: dict[int, Offer] = {}
        now_s, n = clock(), len(served.offers)
        self._rows = [row for row in range(n) if now_s < _period_s(self.offer(row))[1]]  # not over yet
        self.of_product: Mapping[int, frozenset[int]] = self._offers_of_products()
        self.with_budget = frozenset(row for row in self._rows if self.offer(row).budget is not None)
        self._texts: dict[int, str] = {}
        self._until_s = float("-inf")
        self._on = frozenset[int]()
        self._budgets: list[Budget] = []

    @property
    def on(self) -> frozenset[int]:
        """Rows of the offers that are on now; the same object until that changes."""
        self._look()
        return self._on

    @property
    def budgets(self) -> list[Budget]:
        """Of the offers that are on."""
        self._look()
        return self._budgets

    def offer(self, offer_row: int) -> Offer:
        offer = self._offers.get(offer_row)
        if offer is None:
            offer = self._offers[offer_row] = self.served.offers.offer(offer_row)
        return offer

    def ranked(self, customer_row: int, among: Set[int] | None = None) -> Iterator[ListedOffer]:
        """A customer's offers that are on, by what they add, the most first.

        The night left out what costs more than it brings: whoever gets it would buy anyway.

        Args:
            customer_row: -1 for somebody of whom nothing is known: the offers for everybody.
            among: rows of these offers alone; None for any.
        """
        offers, places = self.served.offers, self.places(customer_row)
        found = self.on.intersection(places if among is None else among & places.keys())
        for row in sorted(found, key=places.__getitem__):
            yield offers.at(places[row], row)

    def places(self, customer_row: int) -> dict[int, int]:
        """Where each of a customer's offers, on or not, stands in the lists of all; the first adds most."""
        rows, first = self.served.offers.listed(customer_row)  # at their end NONE, and files aren't checked
        return dict(zip(rows, count(first)))

    def cost(self, offer: Offer, listed: ListedOffer) -> float:
        """The discount of an offer by its probability; 0 where one of them isn't known."""
        if listed.probability is None or offer.discount is None:
            return 0.0
        return expected_cost(listed.probability, offer.discount)

    def costs(
        self, customer_row: int, product_rows: Iterable[int], can_be_shown: Callable[[Offer], bool]
    ) -> Mapping[int, float]:
        """What the offers of some products are expected to cost with a customer, by product row.

        A product's offer is the first of `ranked` that can be shown. Those that cost nothing are left out.
        """
        missing = self.of_products(product_rows)
        found: dict[int, float] = {}
        for one in self.ranked(customer_row, frozenset().union(*missing.values())):
            offer = self.offer(one.offer_row)
            if can_be_shown(offer):
                cost = self.cost(offer, one)
                for row in [row for row, of_it in missing.items() if one.offer_row in of_it]:
                    found[row] = cost
                    del missing[row]
        return {row: cost for row, cost in found.items() if cost}

    def of_products(self, product_rows: Iterable[int]) -> dict[int, frozenset[int]]:
        """Those of `of_product` that are of these products."""
        of_product = self.of_product
        return {row: of_product[row] for row in of_product.keys() & product_rows}

    def json(self, listed: ListedOffer, promised_until_s: float | None) -> str:
        """An offer as answers show it to a customer.

        Args:
            promised_until_s: of one with a budget; none is promised for longer than it is on.
        """
        offer_row, probability, value = listed
        text = self._texts.get(offer_row)
        if text is None:
            text = self._texts[offer_row] = _beginning(self.offer(offer_row))
        until = "null"
        if promised_until_s:
            until_s = min(promised_until_s, _period_s(self.offer(offer_row))[1])
            until = f'"{datetime.fromtimestamp(until_s, UTC).isoformat()}"'
        chance = "null" if probability is None else f"{probability:.4g}"
        worth = "null" if value is None else f"{value:.4g}"
        return f'{text}"promised_until": {until}, "probability": {chance}, "expected_value": {worth}}}'

    def _look(self) -> None:
        now_s = self._clock()
        if self._until_s - KEPT_S <= now_s < self._until_s:  # a clock may be set back
            return
        on, budgets, until_s = list[int](), [], now_s + KEPT_S
        for offer_row in self._rows:
            offer = self.offer(offer_row)
            begins_s, end_s = _period_s(offer)
            if now_s < begins_s:
                until_s = min(until_s, begins_s)
            elif now_s < end_s:
                on.append(offer_row)
                until_s = min(until_s, end_s)
                if offer.budget is not None:
                    known = (offer.redeemed, self.served.since)
                    budgets.append(Budget(offer.offer_id, offer.budget, *known))
        if self._on != set(on):
            self._on = frozenset(on)
        self._budgets, self._until_s = budgets, until_s

    def _offers_of_products(self) -> dict[int, frozenset[int]]:
        found: dict[int, list[int]] = {}
        for offer_row in self._rows:
            for row in self.offer(offer_row).product_rows.tolist():
                found.setdefault(row, []).append(offer_row)
        same: dict[frozenset[int], frozenset[int]] = {}  # many products have the same ones
        return {row: same.setdefault(rows := frozenset(offers), rows) for row, offers in found.items()}


def _period_s(offer: Offer) -> tuple[float, float]:
    """From when on and until when, in Unix seconds."""
    begins_s = -FOREVER if offer.starts_at is None else offer.starts_at.timestamp()
    return begins_s, FOREVER if offer.ends_at is None else offer.ends_at.timestamp()


def _beginning(offer: Offer) -> str:
    """What an answer says of an offer to every customer."""
    shown = {
        "offer_id": offer.offer_id,
        "discount": None if offer.discount is None else float(f"{offer.discount:.7g}"),  # a float32
        "starts_at": _iso(offer.starts_at),
        "ends_at": _iso(offer.ends_at),
    }
    return f"{json.dumps(shown)[:-1]}, "


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
