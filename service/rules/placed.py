"""The rules of one placement that hold now, and from them the ruling of each customer."""

from collections import OrderedDict
from collections.abc import Sequence

from models.arrays import NONE
from service.live.told import Told, has_night_of
from service.rules.binding import BoundRule
from service.rules.effects import Effect, Often
from service.rules.ruling import Ruling
from service.rules.who import NOBODY_KNOWN
from service.versions.served import ServedVersion

RULINGS = 64  # that differ by customer and are kept; each takes up to five bytes for a product


class PlacedRules:
    """Rules at a placement, as long as none begins or ends.

    Attributes:
        since_s, until_s: Unix seconds from which on, and at which no more, this is so.
        today: the shop's local date, in days since 1970-01-01.
        counts_products, counts_offers: whether it matters, for anybody, how often these are shown.
    """

    def __init__(
        self, served: ServedVersion, parts: Sequence[BoundRule], *, since_s: float, until_s: float, today: int
    ) -> None:
        self.served, self.today = served, today
        self.since_s, self.until_s = since_s, until_s
        self._parts = tuple(parts)
        often = [part.effect for part in parts if isinstance(part.effect, Often)]
        self.counts_products = any(not rule.is_of_offers for rule in often)
        self.counts_offers = any(rule.is_of_offers for rule in often)
        self._for_some = [(n, part.who) for n, part in enumerate(parts) if not part.who.is_everybody]
        self._rulings: OrderedDict[tuple[int, ...], Ruling] = OrderedDict()
        self._everybodys = Ruling(served, self._effects(()))
        self._nobodys = self.of_person(NOBODY_KNOWN)

    @property
    def counts_any(self) -> bool:
        return self.counts_products or self.counts_offers

    def of_person(self, person_row: int) -> Ruling:
        """The ruling of a person by the row that `storage.versions.people` has them at."""
        if not self._for_some:
            return self._everybodys.fresh()
        key = tuple([n for n, who in self._for_some if who.holds(person_row)])
        if not key:
            return self._everybodys.fresh()
        ruling = self._rulings.get(key)
        if ruling is None:
            ruling = self._rulings[key] = Ruling(self.served, self._effects(key))
            if len(self._rulings) > RULINGS:
                self._rulings.popitem(last=False)
        else:
            self._rulings.move_to_end(key)
        return ruling.fresh()

    def of_customer(self, customer_id: str, customer_row: int, told: Told | None) -> Ruling:
        """The ruling of a customer.

        Args:
            customer_row: NONE of one who bought nothing before the night.
            told: what is new of them: after an erasure nothing that the night knew is looked at.
        """
        if not self._for_some:
            return self._everybodys.fresh()
        if not has_night_of(told, self.served.tombstone):
            return self._nobodys.fresh()
        if customer_row == NONE:
            customer_row = self.served.people.find_other(customer_id)
        return self.of_person(customer_row)

    def of_nobody(self) -> Ruling:
        """The ruling where nobody in particular is asked for."""
        return self._nobodys.fresh()

    def _effects(self, key: tuple[int, ...]) -> list[Effect]:
        """Of the rules for all, and of these of the others, in the order of the file."""
        return [part.effect for n, part in enumerate(self._parts) if part.who.is_everybody or n in key]
