"""What a customer in an experiment gets: the arm's lists, objective and placement; and that it was shown."""

import json
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from experiments.assignment import Plan, assign, is_held_out
from models.errors import NextbestError
from service.champion import Serving
from service.errors import RefusedError
from service.languages import ENGLISH
from service.live.told import NOT_PERSONAL, Told
from service.offers.desk import NO_OFFERS
from service.own_list import Answer, WithOffers
from service.parameters import Query
from service.recommender import Recommender
from service.request_ids import new_request_id
from service.sane import check_values
from service.served import ServedVersion
from service.trials.dealt import Assigned, Dealt, dealt
from service.trials.drafted import drafted
from service.trials.explored import Drawn, explored
from service.trials.exposures import Shown

POPULAR = "popular"  # the model that needs no lists
HELD_OUT = json.dumps({"id": "holdout", "variant": POPULAR})
KEPT_CUSTOMERS = 20_000  # whose arms are remembered, about 200 bytes each
KEPT_MODELS = 16
log = structlog.get_logger()

type Slate = tuple[Serving, Answer, bool, dict[int, str] | None, Drawn | None]
"""Who answers with what; whether the champion in the arm's stead; whose each product is; what was drawn."""


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
            self._held_out()
            answer = self._recommender.popular(serving.served, query)
            offers = self._offers(serving.served, customer_id, answer, query.placement, query.rule_set)
            self._recommender.note_shown(serving.served, customer_id, query, (), offers.rows)
            body = self._as_popular(serving).writer.recommendations(
                customer_id, answer, HELD_OUT, offers=offers.texts, language=language
            )
            return answer, body
        if not arms.assigned:
            return None
        query = arms.asked(query)
        chosen, answer, is_fallback, teams, drawn = self._slate(serving, arms, customer_id, query)
        request_id = new_request_id()
        offers = self._offers(chosen.served, customer_id, answer, query.placement, query.rule_set)
        self._recommender.note_shown(chosen.served, customer_id, query, answer.picks, offers.rows)
        said = self._as_popular(chosen) if arms.model == POPULAR else chosen
        body = said.writer.recommendations(customer_id, answer, arms.told, request_id, offers.texts, language)
        self._shown(
            Shown(
                request_id=request_id,
                at_s=time.time(),
                customer_id=customer_id,
                assigned=arms.assigned,
                served=said.served,
                picks=answer.picks,
                source=answer.source,
                placement=query.placement or "",
                is_fallback=is_fallback,
                latency_ms=(time.perf_counter() - start_s) * 1000,
                is_cached=answer.level in ("worker", "redis"),
                is_forced=forced is not None,
                teams=teams,
                drawn=drawn,
            )
        )
        return answer, body

    def _slate(self, serving: Serving, arms: Dealt, customer_id: str, query: Query) -> Slate:
        """What a customer is shown by the policy of the arms."""
        chosen, answer, is_fallback = self._listed(serving, arms.model, customer_id, query)
        if query.spare:
            answer, drawn = self._explored(serving, arms, answer, customer_id, query, is_fallback=is_fallback)
            return chosen, answer, is_fallback, None, drawn
        if arms.drafting is None or is_fallback:
            return chosen, answer, is_fallback, None, None
        entry, arm = arms.drafting
        _, other, is_fallback = self._listed(serving, arm.interleave, customer_id, query)
        if is_fallback:
            return chosen, answer, is_fallback, None, None
        both = chosen.served, answer, other, query.n
        answer, teams = drafted(*both, entry=entry, customer_id=customer_id, at_s=time.time())
        return chosen, answer, is_fallback, teams, None

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
        arms: Dealt,
        answer: Answer,
        customer_id: str,
        query: Query,
        *,
        is_fallback: bool,
    ) -> tuple[Answer, Drawn | None]:
        """The answer with a place filled by lot, and what the rivals would have put there."""
        if arms.exploring is None or is_fallback:
            return answer.with_picks(answer.picks[: query.n]), None
        entry, arm = arms.exploring
        answer, drawn = explored(
            answer, query.n, entry=entry, arm=arm, customer_id=customer_id, at_s=time.time()
        )
        if drawn is None:
            return answer, None
        rows = frozenset(pick[0] for pick in drawn.pool)
        for rival in arm.rivals:
            chosen, recommender, has_no_lists = self._model(serving, rival)
            if rival == POPULAR:
                drawn.rivals[rival] = recommender.most_popular_of(chosen.served, query, rows)
            elif not has_no_lists:
                drawn.rivals[rival] = recommender.first_of(chosen.served, customer_id, query, rows)
        return answer, drawn

    def _listed(
        self, serving: Serving, model: str, customer_id: str, query: Query
    ) -> tuple[Serving, Answer, bool]:
        """What a model shows, by whom, and whether that is the champion in its stead."""
        chosen, recommender, is_fallback = self._model(serving, model)
        if model == POPULAR:
            return chosen, recommender.popular(chosen.served, query), False
        return chosen, recommender.recommend(chosen.served, customer_id, query), is_fallback

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
