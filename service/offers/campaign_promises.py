"""The promises of a campaign, which has time: it asks the record for more whenever a lease is used up."""

from functools import cached_property

from service.offers.promises import Promises


class CampaignPromises(Promises):
    """As a worker's. Whom a worker or an earlier file promised an offer has it still.

    Each method raises RefusedError where the record can't be used.
    """

    _spent: frozenset[str] = frozenset()

    def make(self, offer_id: str, customer_id: str) -> float | None:
        """As a worker's, but only None once nothing is left, or all that is left is leased by others."""
        ends_s = self._before.get((offer_id, customer_id), 0) / 1000
        if ends_s > self._clock():
            return ends_s
        return super().make(offer_id, customer_id) or self._from_more(offer_id, customer_id)

    def can_make(self, offer_id: str, customer_id: str) -> bool:
        """As a worker's; of an offer that wasn't asked for in vain there may be more."""
        if self._before.get((offer_id, customer_id), 0) / 1000 > self._clock():
            return True
        return super().can_make(offer_id, customer_id) or offer_id not in self._spent

    def turn(self) -> None:
        """As a worker's; offers of which nothing was left are asked for again, as soon as a worker would."""
        self._spent = frozenset()
        super().turn()

    def _from_more(self, offer_id: str, customer_id: str) -> float | None:
        if offer_id in self._spent:
            return None
        if (held := self._held.get(offer_id)) is not None:
            self._tell([held])
        self._lease()
        known = {offer_id, *(one.offer_id for one in self._budgets())}
        self._spent = frozenset(known - self._held.keys())
        return super().make(offer_id, customer_id)

    @cached_property
    def _before(self) -> dict[tuple[str, str], int]:
        """Until when what was promised before holds, by offer and customer."""
        offer_ids = {one.offer_id for one in self._budgets()}
        return {
            (one.offer_id, one.customer_id): one.ends_ms
            for piece in self._pieces(0, int(self._clock() * 1000))
            for one in piece
            if one.offer_id in offer_ids
        }
