"""A customer's list in the order of its objective, what rules change of it, and what was answered from it."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple

from models.arrays import NONE
from service.answering.objectives import DISCOVERY, REORDER, VALUE, by_value, due_first, owned_by
from service.answering.packed import WHOLE, Columns, Entry, Scored
from service.live.session import Session, day_of
from service.live.told import Told
from service.rules.placed import PlacedRules
from service.rules.ruling import Moved, Ruling, in_new_order
from service.versions.served import UNKNOWN, ServedVersion
from service.web.parameters import Query
from storage.versions.evidence import NO_EVIDENCE

NO_PINS: Mapping[int, str] = {}
ENTRY = itemgetter(1)  # of what it counts and itself


class Rung(Enum):
    """Where a product of an answer came from, in the order of the ladder; the shop's pins stand beside it."""

    PINNED = "pinned"
    OWN = "own"
    GOES_WITH = "goes_with"
    SCORES = "scores"
    SIMILAR = "similar"
    ALIKE = "alike"
    CATEGORY = "category"
    POPULAR = "popular"


type Pick = tuple[int, Rung, int, float]
"""One product of an answer: its row, its rung, its evidence (as `storage.versions.evidence` has it; below the
rung SCORES there is none, and of GOES_WITH it is a place in the cart, or what `Basket.take_viewed` says) and
its probability, UNKNOWN or 0 to 1. A plain tuple: answers make ten."""


class Attached(NamedTuple):
    """The offer that a product comes with.

    Attributes:
        text: it as JSON.
        cost: that it is expected to have.
        ends_at: None where it is open, or ends when its budget does.
    """

    text: str
    cost: float
    offer_id: str = ""
    ends_at: datetime | None = None


class WithOffers(NamedTuple):
    """The best offer of each product of an answer that has one.

    Attributes:
        on: rows of the offers that were on, and `enough` of those that were held back.
        is_for_once: one has a budget: it is promised each time, or can't be any more.
        texts: by product row.
        rows: of the offers.
    """

    on: frozenset[int]
    enough: frozenset[int]
    is_for_once: bool
    texts: dict[int, Attached]
    rows: list[int]


@dataclass(slots=True)
class Kept:
    """An answer that was given from a list, and what others made of it: asked for again, it is the same.

    Attributes:
        seen: which changes of the shelf it knows, as in `Ruling`.
        without: rows that were shown often enough.
        source: as in `Answer`.
        offers: of its products.
        written: in which language and at which prices, with which offers, and its products as JSON.
    """

    seen: int
    without: frozenset[int]
    picks: list[Pick]
    pinned: Mapping[int, str]
    source: str
    offers: WithOffers | None = None
    written: tuple[tuple[str, int], Mapping[int, Attached], str] | None = None

    def fits(self, seen: int, without: frozenset[int]) -> bool:
        """Whether nothing changed meanwhile. Sets that are the same object needn't be compared."""
        return self.seen == seen and (self.without is without or self.without == without)


@dataclass(slots=True)
class OwnList:
    """A customer's assembled list.

    Attributes:
        customer_row: NONE of somebody whom the night didn't see, or may not be seen with.
        told: what the worker knew when it was assembled; None if there was nothing new.
        columns: as it was assembled; it may be only the beginning.
        behind: what counts most behind them, as `Columns.most_from` has it.
        rules, ruling: what was in force, and of it what concerns this customer.
        moved: products of the columns that factors move; None where they move nothing of the list.
        bought: what the rules leave out because it was bought lately.
        session: what was bought since the night.
        owned: what the customer ever bought and on which day each is due again (days since 1970-01-01, 0
            where that isn't known); only where the objective asks for it.
        costs: that the offers of products are expected to have, likewise.
        prices: up to which change of prices and worth its order goes, as the shelf counts them; None where it
            goes by none.
        answers: what was answered from it last, by question.
    """

    served: ServedVersion
    customer_row: int
    told: Told | None
    columns: Columns
    rules: PlacedRules
    ruling: Ruling
    behind: float = WHOLE
    moved: list[Moved] | None = None
    bought: frozenset[int] = frozenset()
    session: Session | None = None
    owned: Mapping[int, int] = field(default_factory=dict)
    costs: Mapping[int, float] = field(default_factory=dict)
    prices: int | None = None
    answers: dict[Query, Kept] = field(default_factory=dict)

    @property
    def is_in_order(self) -> bool:
        """Whether no price or worth changed since that its order goes by."""
        return self.prices is None or self.prices == self.served.shelf.price_changes

    def probability(self, product_row: int) -> float:
        """Of a product, UNKNOWN if it is neither in the columns nor in the night's list."""
        found = self.columns.probability_of(product_row)
        was_bought = self.session is not None and product_row in self.session.by_row  # then none is known
        if found is None and self.customer_row != NONE and not was_bought:
            found = self.served.candidates(self.customer_row).probability_of(product_row)
        return UNKNOWN if found is None else found


class Answer(NamedTuple):
    """Products, best first.

    Attributes:
        own: None for an unknown customer.
        level: where the list was read.
        pinned: the rule that put a product where it stands, by product row.
        kept: where this answer, as it is, is kept for the next time; None: nowhere.
        viewed: rows of what a stranger looked at, where the answer begins with what goes with it.
    """

    picks: list[Pick]
    own: OwnList | None
    level: str
    pinned: Mapping[int, str]
    kept: Kept | None = None
    viewed: Sequence[int] = ()

    def with_picks(self, picks: list[Pick]) -> "Answer":
        """The same of other products."""
        return self._replace(picks=picks, kept=None)

    @property
    def source(self) -> str:
        """`session` if the customer bought something since the night; `viewed` if what a stranger looked at
        says something; else `personal` if the customer's own history is the reason of at least one product.

        Being in the own list isn't enough: the night fills it with what is popular.
        """
        if self.kept is not None:
            return self.kept.source
        if self.own is not None and self.own.session is not None:
            return "session"
        if self.viewed:
            return "viewed"
        for pick in self.picks:
            if pick[2] != NO_EVIDENCE:
                return "personal"
        return "popular"


def made_list(served: ServedVersion, customer_row: int, session: Session | None) -> Columns:
    return session.columns if session else served.candidates(customer_row)


def entries_of(own: OwnList) -> Iterator[Entry]:
    """All of a list in its order; what comes after a beginning isn't made before it is asked for."""
    if own.moved is not None:
        return map(ENTRY, under_factors(own))
    return chain(own.columns.entries(), _rest_of(own))


def under_factors(own: OwnList, without: Container[int] = ()) -> Iterator[Scored]:
    """The same of a list of which factors move something, with what each counts.

    Args:
        without: rows that are left out.
    """
    most = own.behind * own.ruling.most_factor  # what nothing behind the beginning counts more than
    beginning = in_new_order(own.columns, own.moved or [], without, most)
    return beginning if own.behind == WHOLE else chain(beginning, _behind(own, without, most))


def _behind(own: OwnList, without: Container[int], most: float) -> Iterator[Scored]:
    """What counts no more than the beginning of a list says for itself."""
    whole = own.columns.followed_by(made_list(own.served, own.customer_row, own.session))
    for scored in in_new_order(whole, own.ruling.moved(whole), without):
        if scored[0] <= most:
            yield scored


def _rest_of(own: OwnList) -> Iterator[Entry]:
    if own.behind != WHOLE:
        whole = made_list(own.served, own.customer_row, own.session)
        yield from islice(whole.entries(), len(own.columns.rows), None)


def put_under_rules(own: OwnList, objective: str, now_s: float) -> None:
    """Put a list into the order of its objective, and note what the rules change of it."""
    ruling, served = own.ruling, own.served
    if objective == VALUE:
        own.prices = served.shelf.price_changes  # first: what changes meanwhile is seen the next time
        own.columns = by_value(own.columns, served.shelf.worth, ruling.factors, own.costs)
    elif ruling.factors is not None:
        moved = ruling.moved(own.columns)
        own.moved = moved if moved or own.behind != WHOLE else None
    if objective in (DISCOVERY, REORDER):
        owned = owned_by(served, own.customer_row, own.session)
        own.owned = {one.product_row: one.due_day for one in owned}
        if objective == REORDER:
            columns = Columns.of(entries_of(own)) if own.moved else own.columns
            own.columns = due_first(columns, owned, day_of(served, now_s))
            own.moved = None
