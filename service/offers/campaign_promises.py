"""The promises of a campaign, which has time: it asks the record for more whenever a lease is used up."""

import time
from collections.abc import Callable, Sequence

from service.live.reader import Door
from service.offers.promises import Promises
from storage.record.budgets import Budget, promised_until
from storage.record.record import Record


class CampaignPromises(Promises):
    """As a worker's. Whom a worker or an earlier file promised an offer has it still.

    Each method raises RefusedError where the record can't be used.
    """

    def __init__(
        self,
        door: Door,
        budgets: Callable[[], Sequence[Budget]],
        worker: str,
        *,
        life_s: float,
        stores_by_default: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            door, budgets, worker, life_s=life_s, stores_by_default=stores_by_default, clock=clock
        )
        self._before: dict[tuple[str, str], int] | None = None
        self._spent: set[str] = set()

    def make(self, offer_id: str, customer_id: str) -> float | None:
        """As a worker's, but only None once nothing is left, or all that is left is leased by others."""
        if self._before is None:
            self._before = self._read()
        ends_s = self._before.get((offer_id, customer_id), 0) / 1000
        if ends_s > self._clock():
            return ends_s
        return super().make(offer_id, customer_id) or self._from_more(offer_id, customer_id)

    def turn(self) -> None:
        """As a worker's; offers of which nothing was left are asked for again."""
        self._spent.clear()
        super().turn()

    def _from_more(self, offer_id: str, customer_id: str) -> float | None:
        if offer_id in self._spent:
            return None
        if (held := self._held.get(offer_id)) is not None:
            self._tell(held)
        self._lease()
        self._spent = {offer_id, *(one.offer_id for one in self._budgets())} - self._held.keys()
        return super().make(offer_id, customer_id)

    def _read(self) -> dict[tuple[str, str], int]:
        offer_ids, now_ms = [one.offer_id for one in self._budgets()], int(self._clock() * 1000)

        def work(record: Record) -> dict[tuple[str, str], int]:
            with record.reading() as connection:
                return promised_until(connection, offer_ids, now_ms)

        return self._door.do(work)
