"""Offers of a version that are on now: their products, their budgets, and each as JSON."""

import json
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import isnan
from typing import NamedTuple

from models.offer_value import expected_cost, expected_value, uplift
from service.served import NONE, ServedVersion
from storage.offers import Offer
from storage.record.budgets import Budget

FOREVER = float("inf")
KEPT_S = 30.0  # until it is looked again which offers are on


class Ranked(NamedTuple):
    """An offer for a customer.

    Attributes:
        probability: of redeeming, None where nobody ever redeemed anything.
        value: what it adds, in the shop's currency; None where that isn't known.
        added: purchases that it adds; 0 where the probability isn't known.
        cost: its discount by its probability, in the shop's currency; 0 where one of them isn't known.
    """

    offer_row: int
    probability: float | None
    value: float | None
    added: float
    cost: float


class OfferBook:
    """The offers of one version.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, served: ServedVersion, clock: Callable[[], float] = time.time) -> None:
        self.served, self._clock = served, clock
        self._offers: dict[int, Offer] = {}
        self._ends_s: dict[int, float] = {}
        self._figures: dict[int, tuple[float | None, float | None]] = {}
        self._products_of: dict[int, frozenset[int]] = {}
        self._texts: dict[int, str] = {}
        self._until_s = float("-inf")
        self._on: Mapping[int, frozenset[int]] = {}
        self._budgets: list[Budget] = []

    @property
    def on(self) -> Mapping[int, frozenset[int]]:
        """Rows of the products of each offer that is on, by offer row. A new object whenever it was looked
        again."""
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

    def ends_s(self, offer_rows: Iterable[int]) -> float:
        """When the first of these ends, in Unix seconds; 0 if one has a budget, since it is promised each
        time, or is over: another thread may have looked again since they were on."""
        ends_s = self._ends_s
        return min([ends_s.get(row, 0.0) for row in offer_rows], default=FOREVER)

    def ranked(self, customer_row: int, among: Container[int] | None = None) -> Iterator[Ranked]:
        """A customer's offers that are on and worth showing, by what they add, the most first.

        An offer that costs more than it brings is left out: whoever gets it would buy anyway. Where its value
        isn't known, it stands below those whose is, by the purchases that it adds.

        Args:
            customer_row: -1 for somebody of whom nothing is known: the offers for everybody.
            among: offer rows; None for any.
        """
        found, figures = [], self._figures
        listed = self.served.offers.of(customer_row, self._clock(), among)
        for place, (offer_row, probability, anyway) in enumerate(listed):
            discount, margin = figures.get(offer_row) or self._figures_of(offer_row)
            value, added, cost = None, 0.0, 0.0
            if probability is not None and not isnan(anyway):
                added = uplift(probability, anyway)
                if discount is not None:
                    cost = expected_cost(probability, discount)
                    if margin is not None:
                        value = expected_value(probability, anyway, margin, discount)
            if value is None or value > 0:
                order = value is None, -(value or 0.0), -added, place
                found.append((order, (offer_row, probability, value, added, cost)))
        found.sort()
        for _, one in found:
            yield Ranked(*one)

    def _figures_of(self, offer_row: int) -> tuple[float | None, float | None]:
        offer = self.offer(offer_row)
        figures = self._figures[offer_row] = offer.discount, offer.margin
        return figures

    def costs(self, customer_row: int, *, with_budgets: bool) -> Mapping[int, float]:
        """What the offer of each product is expected to cost with a customer, by product row; without those
        that cost nothing. A product's offer is the first of `ranked`.

        Args:
            with_budgets: offers that have a budget can be shown.
        """
        found: dict[int, float] = {}
        for one in self.ranked(customer_row) if self.on else ():
            offer = self.offer(one.offer_row)
            if with_budgets or offer.budget is None:
                for product_row in offer.product_rows.tolist():
                    found.setdefault(product_row, one.cost)
        return {product_row: cost for product_row, cost in found.items() if cost}

    def json(self, ranked: Ranked, promised_until_s: float | None) -> str:
        """An offer as answers show it to a customer.

        Args:
            promised_until_s: of one with a budget.
        """
        text = self._texts.get(ranked.offer_row)
        if text is None:
            text = self._texts[ranked.offer_row] = _beginning(self.offer(ranked.offer_row))
        until = "null"
        if promised_until_s:
            until = f'"{datetime.fromtimestamp(promised_until_s, UTC).isoformat()}"'
        return (
            f'{text}"promised_until": {until}, "probability": {_round(ranked.probability)}, '
            f'"expected_value": {_round(ranked.value)}}}'
        )

    def _look(self) -> None:
        now_s = self._clock()
        if now_s < self._until_s:
            return
        on, budgets, ends_s = {}, [], {}
        since = self.served.since
        for offer_row in range(len(self.served.offers)):
            offer = self.offer(offer_row)
            if not _is_on(offer, now_s):
                continue
            on[offer_row] = self._products(offer_row)
            ends_s[offer_row] = FOREVER if offer.ends_at is None else offer.ends_at.timestamp()
            if offer.budget is not None:
                ends_s[offer_row] = 0.0
                known = (offer.redeemed, since.as_of_ms, since.made_ms)
                budgets.append(Budget(offer.offer_id, offer.budget, *known))
        self._ends_s, self._budgets, self._until_s = ends_s, budgets, now_s + KEPT_S
        self._on = on

    def _products(self, offer_row: int) -> frozenset[int]:
        rows = self._products_of.get(offer_row)
        if rows is None:
            rows = self._products_of[offer_row] = frozenset(self.offer(offer_row).product_rows.tolist())
        return rows


def _is_on(offer: Offer, now_s: float) -> bool:
    begins = offer.starts_at is None or offer.starts_at.timestamp() <= now_s
    return begins and (offer.ends_at is None or now_s < offer.ends_at.timestamp())


def _beginning(offer: Offer) -> str:
    """What an answer says of an offer to every customer."""
    shown = {
        "offer_id": offer.offer_id,
        "discount": None if offer.discount is None else float(_round(offer.discount)),
        "starts_at": _iso(offer.starts_at),
        "ends_at": _iso(offer.ends_at),
    }
    return f"{json.dumps(shown)[:-1]}, "


def _round(value: float | None) -> str:
    """Four digits, as JSON."""
    return "null" if value is None else f"{value:.4g}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def row_of(served: ServedVersion, customer_id: str, *, has_night: bool) -> int:
    """The customer's row of lists of offers; -1, which is that of everybody, for somebody who isn't known."""
    return served.customers.find(customer_id) if has_night else NONE
