"""A customer in an experiment gets the arm's lists, is told so, and leaves an exposure; others nothing."""

import gc
import json
import weakref
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from experiments.assignment import Arm, Entry, Plan
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.answering.showings import Showings
from service.errors import RefusedError
from service.live.customers import LiveCustomers
from service.live.products import LiveProducts
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.trials.desk import Trials
from service.trials.exposures import Shown, rows_of
from service.trials.reading import plan_of
from service.versions.champion import Serving
from service.versions.served import ServedVersion
from service.web.parameters import Query, parse_personal_query
from storage.record.changes import ProductState
from storage.record.experiments import RecordedExperiment, Running, State
from storage.versions.store import Store
from tests.data.tiny_version import VARIANT, TinyShop, publish

PLAIN = parse_personal_query(b"n=3")


def arms(*models: str) -> tuple[Arm, ...]:
    """The control, to which nobody is dealt, and one arm for everybody."""
    return (Arm("control", 0.0), *(Arm(f"arm-{model or 'same'}", 1.0, model) for model in models))


def entry(*models: str, name: str = "a", **more: Any) -> Entry:
    return Entry(name, 1, "hash", more.pop("layer", "recommend"), 0.0, 1.0, more.pop("arms", arms(*models)))


@dataclass
class Fixed:
    current: Plan = field(default_factory=Plan)


@dataclass
class Desk:
    """Trials over a tiny version of two variants, of which the second's lists can be told apart."""

    trials: Trials
    serving: Serving
    plans: Fixed
    live: LiveCustomers
    shown: list[Shown]
    recommender: Recommender
    held_out: list[None]

    def ask(self, customer_id: str = "anna", query: Any = PLAIN) -> Any:
        found = self.trials.answer(self.serving, customer_id, query)
        return None if found is None else json.loads(found[1])

    def plain(self, query: Any, customer_id: str = "anna") -> Any:
        """What the customer would get if nothing were tried."""
        answer = self.recommender.recommend(self.serving.served, customer_id, query)
        return json.loads(self.serving.writer.recommendations(customer_id, answer))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_of(tmp_path)


def desk_of(
    tmp_path: Path, book: RuleBook | None = None, shop: TinyShop | None = None, *, counts: bool = False
) -> Desk:
    """A desk.

    Args:
        counts: whether what is shown is counted, for rules of frequency.
    """
    version = Store(tmp_path).open(publish(Store(tmp_path), shop, variants=(VARIANT, "als")))
    served = ServedVersion(version, VARIANT)
    plans, shown = Fixed(), list[Shown]()
    live = LiveCustomers(most=10, clock=lambda: 0.0)
    live.heard()
    showings = Showings(live, None) if counts else None

    def recommender() -> Recommender:
        return Recommender(FirstLevel(10, 1), None, live.of, book=book, showings=showings)

    champions = recommender()
    held_out: list[None] = []
    trials = Trials(plans, live, champions, recommender, shown.append, held_out=lambda: held_out.append(None))
    return Desk(trials, Serving(served, AnswerWriter(served)), plans, live, shown, champions, held_out)


def test_where_nothing_is_tried_nothing_is_done(desk: Desk) -> None:
    assert desk.ask() is None
    assert desk.shown == []


def test_an_arm_answers_with_its_own_variant_says_so_and_leaves_an_exposure(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"),))
    body = desk.ask()
    assert (body["variant"], body["experiments"]) == ("als", [{"id": "a", "variant": "arm-als"}])
    (shown,) = desk.shown
    (row,) = rows_of(shown)
    assert (row.request_id, row.customer_id, row.variant) == (body["request_id"], "anna", "arm-als")
    assert (row.is_fallback, row.is_forced, row.spec_hash) == (False, False, "hash")
    assert row.model_version == f"{body['version']}/als"
    items = json.loads(row.items)
    assert [one[0] for one in items] == [one["product_id"] for one in body["recommendations"]]
    assert items[0][1] == pytest.approx(body["recommendations"][0]["probability"], abs=1e-3)
    assert items[0][2:] == [None, None]


def test_a_variant_without_lists_is_answered_by_the_champion_and_that_is_noted(desk: Desk) -> None:
    desk.plans.current = Plan((entry("ease"),))
    with capture_logs() as lines:
        assert desk.ask()["variant"] == VARIANT
    assert rows_of(desk.shown[0])[0].is_fallback
    (line,) = lines
    assert line["why"].endswith(
        f"no lists of 'ease', only of: {VARIANT}, als; `routed` in [night] adds to them"
    )


def test_an_interleaved_arm_deals_both_lists_and_says_whose_each_product_is(desk: Desk) -> None:
    both = (Arm("control", 0.0), Arm("both", 1.0, "popular", interleave="als"))
    desk.plans.current = Plan((entry(arms=both),))
    body = desk.ask("käthe/1", parse_personal_query(b"n=4"))
    shown = [one["product_id"] for one in body["recommendations"]]
    items = json.loads(rows_of(desk.shown[0])[0].items)
    assert [one[0] for one in items] == shown
    assert len(set(shown)) == 4
    teams = {one[0]: one[3] for one in items}
    # Popular: milk, bread, apple, butter; her own: bread, butter. Nobody picks what is there already.
    assert sorted(teams.values()) == ["A", "A", "B", "B"]
    assert teams["milk"] == "A"
    assert desk.ask("käthe/1", parse_personal_query(b"n=4"))["recommendations"] == body["recommendations"]


@pytest.mark.parametrize(("model", "interleave"), [("als", ""), ("popular", "als"), ("als", "popular")])
def test_in_an_experiment_too_a_stranger_is_told_what_they_looked_at(
    desk: Desk, model: str, interleave: str
) -> None:
    """Of two lists dealt into one the reasons were missing, and the answer was an error."""
    arm = Arm("seen", 1.0, model, interleave=interleave)
    desk.plans.current = Plan((entry(arms=(Arm("control", 0.0), arm)),))
    body = desk.ask("nobody", parse_personal_query(b"n=4&viewed=bread"))
    assert body["source"] == desk.shown[-1].source == "viewed"
    reasons = [one["reason"] for one in body["recommendations"]]
    assert {"product_id": "bread"} in [reason["evidence"] for reason in reasons]


def test_without_one_of_both_lists_the_champion_answers_for_an_interleaved_arm(desk: Desk) -> None:
    desk.plans.current = Plan((entry(arms=(Arm("control", 0.0), Arm("both", 1.0, interleave="ease"))),))
    assert desk.ask()["variant"] == VARIANT
    assert rows_of(desk.shown[0])[0].is_fallback
    assert desk.shown[0].teams is None


def test_popular_needs_no_lists(desk: Desk) -> None:
    desk.plans.current = Plan((entry("popular"),))
    body = desk.ask()
    assert (body["source"], body["recommendations"][0]["reason"]["code"]) == ("popular", "popular_in")
    assert not rows_of(desk.shown[0])[0].is_fallback


FOR_SOME = """schema = 1
[[rules]]
id = "no-milk-for-members"
kind = "block"
products = ["milk"]
segments = ["members"]
[[rules]]
id = "bread-is-for-adults"
kind = "eligible"
products = ["bread"]
require = [["customer.age", ">=", 18]]
"""


@pytest.mark.parametrize("plan", [Plan((entry("popular"),)), Plan((entry("als"),), holdout_share=1.0)])
def test_rules_for_some_customers_hold_for_who_gets_what_is_popular(tmp_path: Path, plan: Plan) -> None:
    shop = TinyShop(
        audiences={"members": ["anna", "zoe"]}, people={"anna": {"age": "40"}, "ben": {"age": "9"}}
    )
    desk = desk_of(tmp_path, RuleBook(parse_rules(FOR_SOME)), shop)
    desk.plans.current = plan
    first = {
        customer: [one["product_id"] for one in desk.ask(customer)["recommendations"]]
        for customer in ("anna", "ben", "zoe", "a stranger")
    }
    assert first == {
        "anna": ["bread", "apple", "butter"],
        "ben": ["milk", "apple", "butter"],
        "zoe": ["apple", "butter", "rolls"],  # a member who never bought anything, of unknown age
        "a stranger": ["milk", "apple", "butter"],
    }


def test_layers_change_different_things_and_each_leaves_an_exposure(desk: Desk) -> None:
    objective = (Arm("control", 0.0), Arm("new only", 1.0, objective="discovery"))
    desk.plans.current = Plan((entry("als"), entry(name="b", layer="order", arms=objective)))
    body = desk.ask()
    assert [one["id"] for one in body["experiments"]] == ["a", "b"]
    assert not {"milk", "bread"} & {one["product_id"] for one in body["recommendations"]}
    assert [row.experiment_id for row in rows_of(desk.shown[0])] == ["a", "b"]
    assert len({row.event_id for row in rows_of(desk.shown[0])}) == 2


def test_of_two_experiments_with_long_names_both_leave_an_exposure(desk: Desk) -> None:
    name = "the-lists-of-the-home-page-before-christmas-"
    objective = (Arm("control", 0.0), Arm("new only", 1.0, objective="discovery"))
    second = entry(name=f"{name}second", layer="order", arms=objective)
    desk.plans.current = Plan((entry("als", name=f"{name}first"), second))
    desk.ask()
    ids = {row.event_id for row in rows_of(desk.shown[0])}
    assert len(ids) == 2
    assert all(len(one) <= 64 for one in ids)


def test_who_gets_what_is_popular_is_told_so(desk: Desk) -> None:
    desk.plans.current = Plan((entry("popular"),))
    body = desk.ask()
    assert body["variant"] == "popular"
    assert rows_of(desk.shown[0])[0].model_version == f"{body['version']}/popular"
    desk.plans.current = Plan((), holdout_share=1.0)
    assert desk.ask()["variant"] == "popular"


RULES = """
schema = 1
[[rules]]
id = "bags-first"
kind = "pin"
products = ["bag"]
position = 1
only_for = ["bold"]
[[rules]]
id = "no-milk"
kind = "block"
products = ["milk"]
not_for = ["bold"]
"""


def test_an_arm_has_rules_of_its_own_and_others_hold_for_all_but_it(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, RuleBook(parse_rules(RULES)))

    def shown(**arm: Any) -> list[str]:
        desk.plans.current = Plan((entry(arms=(Arm("control", 0.0), Arm("tried", 1.0, **arm))),))
        return [one["product_id"] for one in desk.ask()["recommendations"]]

    assert shown(rules="bold") == ["bag", "milk", "bread"]
    assert shown(rules="bold", placement="mail") == ["bag", "milk", "bread"]
    assert shown() == shown(rules="of no rule") == ["bread", "butter", "apple"]
    assert shown(rules="bold", explore=2, explore_among=2)[0] == "bag"
    desk.plans.current = Plan()
    assert [one["product_id"] for one in desk.plain(PLAIN)["recommendations"]] == ["bread", "butter", "apple"]


def test_an_operator_sees_an_arm_whoever_the_customer_is_and_that_is_marked(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"), entry("", name="b", layer="order")), holdout_share=1.0)
    body = desk.ask(query=parse_personal_query(b"n=3&variant=a:control"))
    assert (body["variant"], body["experiments"]) == (VARIANT, [{"id": "a", "variant": "control"}])
    body = desk.ask(query=parse_personal_query(b"n=3&variant=a:arm-als"))
    assert (body["variant"], len(body["recommendations"])) == ("als", 3)
    assert [row.is_forced for shown in desk.shown for row in rows_of(shown)] == [True, True]
    for unknown in (b"variant=a:nope", b"variant=c:control"):
        with pytest.raises(RefusedError):
            desk.ask(query=parse_personal_query(unknown))
    desk.plans.current = Plan()
    with pytest.raises(RefusedError):
        desk.ask(query=parse_personal_query(b"variant=a:control"))


def test_nobody_is_forced_into_an_experiment_who_allows_none(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"),))
    desk.live.take(now("anna", True, False))
    assert desk.ask(query=parse_personal_query(b"variant=a:arm-als")) is None
    assert desk.shown == []


def test_a_held_out_customer_gets_what_is_popular_and_leaves_no_exposure(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"),), holdout_share=1.0)
    body = desk.ask()
    assert (body["source"], body["experiments"]) == ("popular", [{"id": "holdout", "variant": "popular"}])
    assert desk.shown == []
    assert len(desk.held_out) == 1


def test_who_allows_no_experiments_or_no_personal_answers_is_in_none(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"),), holdout_share=0.0)
    for personalise, experiment in ((True, False), (False, True)):
        desk.live.take(now("anna", personalise, experiment))
        assert desk.ask() is None
    desk.live.take(now("anna", True, True))
    assert desk.ask() is not None
    assert len(desk.shown) == 1


def now(customer_id: str, personalise: bool, experiment: bool) -> Any:
    from storage.record.live import CustomerNow

    return CustomerNow(customer_id, 1, personalise, experiment, ())


def test_a_new_plan_deals_anew_at_once(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"),))
    assert desk.ask()["variant"] == "als"
    desk.plans.current = Plan((entry(""),))
    assert (desk.ask()["variant"], desk.ask()["experiments"][0]["variant"]) == (VARIANT, "arm-same")
    desk.plans.current = Plan()
    assert desk.ask() is None


def test_lists_of_two_variants_are_not_mixed_up_by_the_first_level(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"),))
    first = desk.ask()
    desk.plans.current = Plan((entry(""),))
    second = desk.ask()
    desk.plans.current = Plan((entry("als"),))
    assert [desk.ask()["variant"], first["variant"], second["variant"]] == ["als", "als", VARIANT]


SPEC = """
[experiment]
id = "a"
[[variants]]
name = "new"
weight = 0.5
model = "als"
[[variants]]
name = "control"
weight = 0.5
"""
RECORDED = RecordedExperiment("a", 1, SPEC, "hash", "recommend", 0.25, 0.5, State.RUNNING, 0, None)


def test_the_plan_is_of_what_runs_with_the_control_first() -> None:
    paused, broken = replace(RECORDED, state=State.PAUSED), replace(RECORDED, content="[[variants]]\n")
    ahead = replace(RECORDED, experiment_id="b", started_ms=2)
    plan = plan_of(Running((RECORDED, paused, broken, ahead), 0.05, "first"), now_ms=1)
    (one,) = plan.entries
    assert [arm.name for arm in one.arms] == ["control", "new"]
    assert (one.slot_start, one.slot_width, plan.holdout_share, plan.holdout_salt) == (
        0.25,
        0.5,
        0.05,
        "holdout/first",
    )


def test_a_new_price_is_in_the_answers_of_every_variant(desk: Desk) -> None:
    served, live = desk.serving.served, LiveProducts()
    live.carry_to(served.shelf)

    def prices() -> list[float]:
        champion = desk.trials._recommender.recommend(served, "anna", Query(1))
        texts = [desk.serving.writer.recommendations("anna", champion), json.dumps(desk.ask())]
        return [json.loads(text)["recommendations"][0]["price"] for text in texts]

    desk.plans.current = Plan((entry("als"),))
    assert prices() == [1.19, 1.19]
    live.apply(ProductState("milk", None, 0.79, None), 1)
    assert prices() == [0.79, 0.79]


def test_a_version_before_is_let_go_also_where_nothing_is_tried_any_more(desk: Desk) -> None:
    desk.plans.current = Plan((entry("als"),))
    desk.ask()
    opened = desk.trials._others["als"]
    assert opened
    before, opened = weakref.ref(opened[0].served), None
    desk.plans.current = Plan()
    desk.shown.clear()
    desk.serving = copy(desk.serving)  # as of the next night
    desk.ask()
    gc.collect()
    assert before() is None
