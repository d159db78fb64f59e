"""What a customer in an experiment gets: the arm's lists, objective and placement; and that it was shown."""

import json
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import structlog

from experiments.assignment import Arm, Entry, Plan, assign, is_held_out
from models.errors import NextbestError
from service.answering.languages import ENGLISH
from service.answering.own_list import Answer, WithOffers
from service.answering.request_ids import new_request_id
from service.errors import RefusedError
from service.live.told import NOT_PERSONAL, Told
from service.offers.desk import NO_OFFERS
from service.recommender import Recommender
from service.trials.dealt import Assigned, Dealt, dealt
from service.trials.drafted import drafted
from service.trials.explored import Drawn, explored
from service.trials.exposures import Shown
from service.versions.champion import Serving
from service.versions.sane import check_values
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.experiments import HOLDOUT, POPULAR

HELD_OUT = json.dumps({"id": HOLDOUT, "variant": POPULAR})
KEPT_CUSTOMERS = 20_000  # whose arms are remembered, about 200 bytes each
KEPT_MODELS = 16
log = structlog.get_logger()


class Slate(NamedTuple):
    """What a customer in an experiment is shown.

    Attributes:
        by: what answers.
        is_fallback: that is the champion, in the stead of a variant that can't be served.
        teams: of two lists dealt into one, the side that each product counts for, by product row.
        drawn: of a place that was filled by lot.
    """

    by: Serving
    answer: Answer
    is_fallback: bool = False
    teams: dict[int, str] | None = None
    drawn: Drawn | None = None


class Plans(Protocol):
    """Who knows which experiments run."""

    @property
    def current(self) -> Plan: ...


class Wishes(Protocol):
    """Who knows what customers allow, and what is new of them."""

    def of(self, customer_id: str) -> Told | None: ...
    def may_experiment(self, customer_id: str) -> bool: ...


type OffersOf = Callable[[ServedVersion, str, Answer, str | None, str], WithOffers]


class Trials:
    """The use case around the recommender for as long as anything is tried.

    Args:
        new_recommender: makes one for each other model, whose lists must not be mixed up.
        shown: takes what was shown.
        offers: the offers of an answer's products.
        held_out: called for each answer to a customer who is held out of all experiments.
    """

    def __init__(
        self,
        plans: Plans,
        customers: Wishes,
        recommender: Recommender,
        new_recommender: Callable[[], Recommender],
        shown: Callable[[Shown], None],
        offers: OffersOf = lambda *_: NO_OFFERS,
        held_out: Callable[[], None] = lambda: None,
    ) -> None:
        self._plans, self._customers, self._shown, self._offers = plans, customers, shown, offers
        self._held_out = held_out
        self._recommender, self._new_recommender = recommender, new_recommender
        self._plan = Plan()
        self._dealt: dict[str, Dealt | None] = {}
        self._serving: Serving | None = None
        self._popular: Serving | None = None
        self._others: dict[str, tuple[Serving, Recommender] | None] = {}

    def answer(
        self, serving: Serving, customer_id: str, query: Query, language: str = ENGLISH
    ) -> tuple[Answer, str] | None:
        """The answer of an experiment, and its body; None for a customer who is in none.

        Args:
            language: of the reasons.
        Raises:
            RefusedError: the category isn't known, or the variant that was forced doesn't run.
        """
        if serving is not self._serving:  # also where no experiment runs: a version before must be let go
            self._serving, self._popular, self._others = serving, None, {}
        plan = self._plans.current
        forced = None if query.variant is None else _forced(plan, query.variant)
        if plan.is_empty:
            return None
        start_s = time.perf_counter()
        told = self._customers.of(customer_id)
        if told is NOT_PERSONAL or not self._customers.may_experiment(customer_id):
            return None
        arms = self._arms(plan, customer_id) if forced is None else dealt(forced)
        if arms is None:
            return self._of_held_out(serving, customer_id, query, language)
        if not arms.assigned:
            return None
        query, at_s, request_id = arms.asked(query), time.time(), new_request_id()
        slate = self._slate(serving, arms, customer_id, query, at_s)
        by, answer = slate.by, slate.answer
        offers = self._offers(by.served, customer_id, answer, query.placement, query.rule_set)
        self._recommender.note_shown(by.served, customer_id, query, answer, offers.rows)
        said = self._as_popular(by) if arms.model == POPULAR else by
        body = said.writer.recommendations(
            customer_id, answer, arms.experiments, request_id, offers.texts, language
        )
        self._shown(
            Shown(
                request_id=request_id,
                at_s=at_s,
                customer_id=customer_id,
                assigned=arms.assigned,
                served=said.served,
                picks=answer.picks,
                source=answer.source,
                placement=query.placement or "",
                is_fallback=slate.is_fallback,
                latency_ms=(time.perf_counter() - start_s) * 1000,
                is_cached=answer.level in ("worker", "redis"),
                is_forced=forced is not None,
                teams=slate.teams,
                drawn=slate.drawn,
            )
        )
        return answer, body

    def _of_held_out(
        self, serving: Serving, customer_id: str, query: Query, language: str
    ) -> tuple[Answer, str]:
        """What is popular, for a customer who is held out of all experiments, and its body."""
        self._held_out()
        answer = self._recommender.popular_for(serving.served, customer_id, query, is_limited=False)
        offers = self._offers(serving.served, customer_id, answer, query.placement, query.rule_set)
        self._recommender.note_shown(serving.served, customer_id, query, answer.with_picks([]), offers.rows)
        writer = self._as_popular(serving).writer
        body = writer.recommendations(customer_id, answer, HELD_OUT, offers=offers.texts, language=language)
        return answer, body

    def _slate(self, serving: Serving, arms: Dealt, customer_id: str, query: Query, at_s: float) -> Slate:
        """What a customer is shown by the policy of the arms."""
        listed = self._listed(serving, arms.model, customer_id, query)
        if arms.exploring is not None and query.spare:
            return self._explored(serving, arms.exploring, listed, customer_id, query, at_s)
        if arms.drafting is not None and not listed.is_fallback:
            return self._drafted(serving, arms.drafting, listed, customer_id, query, at_s)
        return listed

    def _drafted(
        self,
        serving: Serving,
        drafting: tuple[Entry, Arm],
        listed: Slate,
        customer_id: str,
        query: Query,
        at_s: float,
    ) -> Slate:
        """The list of the arm and that of its other model in one."""
        entry, arm = drafting
        other = self._listed(serving, arm.interleave, customer_id, query)
        if other.is_fallback:
            return listed._replace(is_fallback=True)
        both = listed.by.served, listed.answer, other.answer, query.n
        answer, teams = drafted(*both, entry=entry, customer_id=customer_id, at_s=at_s)
        return listed._replace(answer=answer, teams=teams)

    def _arms(self, plan: Plan, customer_id: str) -> Dealt | None:
        """The arms of a customer; None of one who is held out of all experiments."""
        if plan is not self._plan:
            self._plan, self._dealt = plan, {}
        try:
            return self._dealt[customer_id]
        except KeyError:
            pass
        found = None if is_held_out(plan, customer_id) else dealt(assign(plan, customer_id))
        if len(self._dealt) >= KEPT_CUSTOMERS:
            self._dealt.clear()
        self._dealt[customer_id] = found
        return found

    def _explored(
        self,
        serving: Serving,
        exploring: tuple[Entry, Arm],
        listed: Slate,
        customer_id: str,
        query: Query,
        at_s: float,
    ) -> Slate:
        """The list of the arm with a place filled by lot, and what the rivals would have put there."""
        if listed.is_fallback:
            return listed._replace(answer=listed.answer.with_picks(listed.answer.picks[: query.n]))
        entry, arm = exploring
        answer, drawn = explored(
            listed.answer, query.n, entry=entry, arm=arm, customer_id=customer_id, at_s=at_s
        )
        if drawn is None:
            return listed._replace(answer=answer)
        rows = frozenset(pick[0] for pick in drawn.pool)
        for rival in arm.rivals:
            chosen, recommender, has_no_lists = self._model(serving, rival)
            if rival == POPULAR:
                drawn.rivals[rival] = recommender.most_popular_of(chosen.served, customer_id, query, rows)
            elif not has_no_lists:
                drawn.rivals[rival] = recommender.first_of(chosen.served, customer_id, query, rows)
        return listed._replace(answer=answer, drawn=drawn)

    def _listed(self, serving: Serving, model: str, customer_id: str, query: Query) -> Slate:
        """What a model shows."""
        by, recommender, is_fallback = self._model(serving, model)
        if model == POPULAR:
            return Slate(by, recommender.popular_for(by.served, customer_id, query, is_limited=True))
        return Slate(by, recommender.recommend(by.served, customer_id, query), is_fallback)

    def _model(self, serving: Serving, model: str) -> tuple[Serving, Recommender, bool]:
        """What answers for a model, and whether that is the champion in its stead."""
        if model in ("", POPULAR, serving.served.variant):
            return serving, self._recommender, False
        if model not in self._others:
            if len(self._others) >= KEPT_MODELS:
                self._others.clear()
            self._others[model] = self._opened(serving, model)
        other = self._others[model]
        return (serving, self._recommender, True) if other is None else (*other, False)

    def _as_popular(self, serving: Serving) -> Serving:
        """Who answers with what is popular: the version that serves, under the name of that model."""
        if self._popular is None:
            served = serving.served.named(POPULAR)
            self._popular = Serving(served, serving.writer.of_variant(served))
        return self._popular

    def _opened(self, serving: Serving, model: str) -> tuple[Serving, Recommender] | None:
        try:
            served = serving.served.of_variant(model)
            check_values(served)
        except NextbestError as err:
            log.error(
                "a variant can't be served, its customers get the champion", variant=model, why=str(err)
            )
            return None
        return Serving(served, serving.writer.of_variant(served)), self._new_recommender()


def _forced(plan: Plan, variant: str) -> Assigned:
    """The one experiment and arm that an operator asks for, whoever the customer is."""
    for entry in plan.entries:
        for arm in entry.arms:
            if variant == f"{entry.experiment_id}:{arm.name}":
                return ((entry, arm),)
    raise RefusedError("bad_parameter", "variant", "no experiment with such a variant runs")
