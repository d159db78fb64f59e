"""Why each product of an answer is shown: from the evidence in a list to a reason in one language."""

from datetime import datetime, timedelta
from functools import lru_cache
from math import nan

from models.arrays import NONE
from service.answering.own_list import Attached, OwnList
from service.answering.reasons import reasons_in
from service.live.session import FIRST_LINE, Bought, Session
from service.versions.served import EPOCH, ServedVersion
from storage.versions.evidence import ITSELF, NO_EVIDENCE

KEPT_REASONS = 20_000  # of each kind, of about 200 bytes


class Explainer:
    """The reasons of one version in one language. What isn't a customer's own is written once.

    Attributes:
        reasons: the sentences.
    """

    def __init__(self, served: ServedVersion, language: str) -> None:
        self._served, self.reasons = served, reasons_in(language)
        self.of_all = lru_cache(KEPT_REASONS)(self._write_of_all)
        self._on_offer = lru_cache(KEPT_REASONS)(self._write_on_offer)
        self._because = lru_cache(KEPT_REASONS)(self._write_because)
        self.why = lru_cache(KEPT_REASONS)(self._write_why)

    def own(self, product_row: int, evidence: int, own: OwnList) -> str:
        """The reason of a product that no purchase near in the history explains by itself."""
        if evidence == NO_EVIDENCE:
            return self.of_all(product_row)
        if own.session is not None:
            return self._with_session(product_row, evidence, own.session)
        return self.why(product_row, self._served.place_of(own.customer_row, product_row))

    def offered(self, product_row: int, offer: Attached) -> str:
        """The reason of a product that comes with an offer and that no purchase of the customer explains."""
        served = self._served
        is_only_popular = not served.is_popular_in[product_row] and not served.is_new[product_row]
        if is_only_popular and served.buyers[product_row]:
            return self._on_offer(offer.offer_id, offer.ends_at)
        return self.of_all(product_row)

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
            return self.why(product_row, place)
        bought = since.product_row
        if bought == product_row:
            return self.reasons.due_again(*self._purchases(since), since.day, since.due_day)
        return self._because(bought) + self.reasons.bought_on(since.day)

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
            return self.reasons.due_again(times[place], intervals_days[place], last_day, due_days[place])
        return self._because(bought) + self.reasons.bought_on(last_day)

    def _write_because(self, product_row: int) -> str:
        return self.reasons.because_you_bought(
            self._served.products[product_row], self._served.title(product_row)
        )

    def _write_of_all(self, product_row: int) -> str:
        """The reason that is everybody's: new, popular in its category, or else popular."""
        served, reasons = self._served, self.reasons
        recent, ever = int(served.recent_buyers[product_row]), int(served.buyers[product_row])
        if not ever or served.is_new[product_row]:
            first_day = int(served.first_day[product_row])
            return reasons.new_in(ever, first_day, served.recent_days, served.last_day)
        if served.is_popular_in[product_row]:
            category = served.categories[served.category_row[product_row]]
            return reasons.popular_in(category, recent, served.recent_days, served.last_day)
        return reasons.popular(recent, ever, served.recent_days, served.last_day)

    def _write_on_offer(self, offer_id: str, ends_at: datetime | None) -> str:
        last_day = None
        if ends_at is not None:  # the first moment at which it isn't on any more
            last_day = ((ends_at - timedelta(seconds=1)).astimezone(self._served.zone).date() - EPOCH).days
        return self.reasons.on_offer(offer_id, ends_at, last_day)
