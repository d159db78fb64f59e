"""A campaign's lists: what `/recommend` would answer, for everybody but those who must not get any."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from experiments.assignment import Plan, is_held_out
from models.arrays import NONE
from service.answering.languages import ENGLISH
from service.answering.own_list import Answer
from service.answering.showings import Showings
from service.errors import RefusedError
from service.live.customers import LiveCustomers
from service.live.told import NOT_PERSONAL
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.trials.desk import HELD_OUT
from service.versions.champion import Serving
from service.web.parameters import Query
from service.web.questions import id_of
from storage.record.experiments import POPULAR

TURN_EACH = 1000  # customers, after which promises and showings are kept
NOT_YET, MET, PERSONAL, STRANGERS, FOR_ALL = range(5)  # a customer: not asked for, without a list, with which


@dataclass
class Tally:
    """How it went.

    Attributes:
        strangers: of those with a list, who is no known customer: they got what is popular.
        first_stranger: the first who was asked for, if it was one of these.
        left_out: customers without a list, by reason.
    """

    listed: int = 0
    strangers: int = 0
    first_stranger: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def looked_at(self) -> int:
        return self.listed + self.left_out.total()


class Campaign:
    """Makes the lists, one customer after another.

    Args:
        look: brings what the record says up to date, and raises where it can't: nobody is written to whose
            consent isn't known.
        turn: the same of what was promised, after each TURN_EACH customers.
        poll_s: how long after a look the next one comes.
        suppressed: ids that get no list, whatever else holds; without blanks around them.
        is_for_all: those who allow no personal answers get what a stranger gets; else no list. Who was erased
            never gets one.
        showings: what customers were shown, these lists too; None: no rule of frequency holds.
        plan: who is held out of all experiments now, and gets what is popular as by `/recommend`. Whoever is
            in an experiment gets the champion's list: it isn't noted who got which.
    """

    def __init__(
        self,
        serving: Serving,
        recommender: Recommender,
        offers: OfferDesk,
        customers: LiveCustomers,
        look: Callable[[], None],
        *,
        suppressed: frozenset[str],
        is_for_all: bool,
        turn: Callable[[], None] = lambda: None,
        poll_s: float = 0.25,
        showings: Showings | None = None,
        plan: Callable[[], Plan] = Plan,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turn, self._poll_s, self._clock = turn, poll_s, clock
        self._serving, self._recommender, self._offers = serving, recommender, offers
        self._customers, self._look, self.showings = customers, look, showings
        self._suppressed, self._is_for_all, self.plan = suppressed, is_for_all, plan
        named = serving.served.named(POPULAR)
        self._popular = Serving(named, serving.writer.of_variant(named))
        # Each is one of NOT_YET to FOR_ALL, and none of STRANGERS.
        self._of_rows = bytearray(len(serving.served.customers))
        self._of_others: dict[str, int] = {}
        self._met: set[str] = set()
        self._latest_erasure = customers.latest_erasure()
        self.tally = Tally()

    def everybody(self) -> Iterator[str]:
        """The customers of the version, and those who bought for the first time since."""
        customers = self._serving.served.customers
        yield from (customers[row] for row in range(len(customers)))
        yield from (one for one in self._customers.known() if customers.find(one) == NONE)

    def unmet(self) -> int:
        """How many of the ids to suppress are neither of a known customer nor of one who was asked for."""
        customers, known = self._serving.served.customers, set(self._customers.known())
        others = self._suppressed - self._met - known
        return sum(customers.find(one) == NONE for one in others)

    def lists(self, customer_ids: Iterable[str], query: Query, language: str = ENGLISH) -> Iterator[str]:
        """The answers, each as `/recommend` has it, in the order asked, with reasons in this language.

        Raises:
            RefusedError: the category isn't known, or the record can't be used any more.
        """
        served = self._serving.served
        look_at_s = self._clock()
        for number, customer_id in enumerate(customer_ids):
            if number % TURN_EACH == 0:
                self._turn()
                self._settle()
            if number % TURN_EACH == 0 or self._clock() >= look_at_s:
                self._look()
                look_at_s = self._clock() + self._poll_s
            why = self._why_not(customer_id)
            if why is None:
                answer, by, experiments = self._listed(customer_id, query)
                if answer.picks:
                    self._note_listed(customer_id)
                    offers = self._offers.with_products(served, customer_id, answer, query.placement)
                    counted = answer.with_picks([]) if experiments else answer
                    self._recommender.note_shown(served, customer_id, query, counted, offers.rows)
                    yield by.writer.recommendations(
                        customer_id, answer, experiments, offers=offers.texts, language=language
                    )
                    continue
                why = "nothing to show"
            self.tally.left_out[why] += 1
        self._settle()

    def _listed(self, customer_id: str, query: Query) -> tuple[Answer, Serving, str]:
        """A customer's answer, whose it is, and what it says of experiments."""
        served, customers = self._serving.served, self._customers
        may = customers.of(customer_id) is not NOT_PERSONAL and customers.may_experiment(customer_id)
        if may and is_held_out(self.plan(), customer_id):
            answer = self._recommender.popular_for(served, customer_id, query, is_limited=False)
            return answer, self._popular, HELD_OUT
        return self._recommender.recommend(served, customer_id, query), self._serving, ""

    def keep_promises(self) -> None:
        """Note in the record whom offers with a budget were promised, and give back what wasn't.

        Raises:
            RefusedError: it can't be; what was taken of a budget counts as spent then.
        """
        if self._offers.promises is not None:
            self._offers.promises.end()

    def withdrawn(self) -> frozenset[str]:
        """Who got a list and must not have one any more: by what the record says now. Whoever was erased
        meanwhile goes also after a new consent: the list may be of before.

        Raises:
            RefusedError: the record can't be used.
        """
        self._look()
        customers = self._serving.served.customers
        listed = ((customers[row], kind) for row, kind in enumerate(self._of_rows) if kind > MET)
        others = ((one, kind) for one, kind in self._of_others.items() if kind > MET)
        gone = set()
        for customer_id, kind in chain(listed, others):
            why = self._why_withdrawn(customer_id, kind)
            if why is not None:
                gone.add(customer_id)
                self.tally.listed -= 1
                self.tally.strangers -= kind == STRANGERS
                self.tally.left_out[why] += 1
        return frozenset(gone)

    def _why_withdrawn(self, customer_id: str, kind: int) -> str | None:
        if self._customers.erased(customer_id) > self._latest_erasure:
            return "erased"
        if self._customers.of(customer_id) is not NOT_PERSONAL:
            return None
        if self._customers.was_erased(customer_id):
            return "erased"
        return None if kind == FOR_ALL else "no consent"

    def _settle(self) -> None:
        """Wait until it is kept what was shown: more of it would be dropped."""
        if self.showings is not None:
            self.showings.flush()

    def _why_not(self, customer_id: str) -> str | None:
        """Why a customer gets no list; None for one who does."""
        try:
            id_of("customer_id", customer_id)
        except RefusedError:
            return "no id"
        bare = customer_id.strip()  # a history may keep blanks that a suppression list has lost
        if bare in self._suppressed:
            self._met.add(bare)
            return "suppressed"
        if self._was_seen(customer_id):
            return "named twice"
        if self._customers.of(customer_id) is NOT_PERSONAL:
            if self._customers.was_erased(customer_id):
                return "erased"
            if not self._is_for_all:
                return "no consent"
        return None

    def _was_seen(self, customer_id: str) -> bool:
        row = self._serving.served.customers.find(customer_id)
        if row == NONE:
            was_seen = customer_id in self._of_others
            self._of_others.setdefault(customer_id, MET)
            return was_seen
        was_seen = self._of_rows[row] != NOT_YET
        self._of_rows[row] = self._of_rows[row] or MET
        return was_seen

    def _note_listed(self, customer_id: str) -> None:
        told, row = self._customers.of(customer_id), self._serving.served.customers.find(customer_id)
        kind = FOR_ALL if told is NOT_PERSONAL else PERSONAL
        is_first = not self.tally.looked_at
        self.tally.listed += 1
        if row != NONE:
            self._of_rows[row] = kind
            return
        kind = STRANGERS if told is None else kind
        if kind == STRANGERS:
            self.tally.strangers += 1
            self.tally.first_stranger = customer_id if is_first else self.tally.first_stranger
        self._of_others[customer_id] = kind
