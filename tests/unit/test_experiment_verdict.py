"""The rules fire in one order, each on evidence written by hand."""

from dataclasses import replace

import pytest

from experiments.effects import Effect
from experiments.health import Finding
from experiments.judge import headline_of, judge, open_case
from experiments.looks import Look
from experiments.measures import Sequence
from experiments.specification import hash_of, parse
from experiments.verdict import Evidence, Guard, Verdict, Word, decide, needed_n, unproven, waits_for
from tests.data.shop_logs import SPECIFICATION, Truth, at, logs, specification_of

SPEC = specification_of()
GUARD = SPEC.guardrails[0]  # units_per_customer, up, margin a quarter
EFFECT = Effect(3500, 3500, 2.0, 2.2, 0.2, 0.05, 0.35, 0.1, 0.02, 0.18, 0.01, 0.0058)
LOOK = Look("rec", 1, "revenue_per_customer", "ranker", 0, 0.5, 2.6, 2.9, 0.001)
HARMLESS = Guard(GUARD, EFFECT, Sequence(-0.1, 0.5))
BAD = Finding("sample ratio", "invalid", 0.001, 0.05, "control 90, ranker 10")
EVIDENCE = Evidence(SPEC, (), 21, 7000, EFFECT, LOOK, (HARMLESS,))
CROSSED = replace(LOOK, statistic=3.0)
WORSE = replace(LOOK, statistic=-3.0)
LAST = replace(LOOK, information=1.0, statistic=1.0, bound=2.0, difference=0.08, error=0.08)
WON = replace(LAST, statistic=3.0)


@pytest.mark.parametrize(
    ("evidence", "word", "rule"),
    [
        (EVIDENCE, Word.CONTINUE, "planned size not reached"),
        (replace(EVIDENCE, look=None, primary=None), Word.CONTINUE, "nothing to look at yet"),
        (replace(EVIDENCE, look=CROSSED), Word.SHIP, "primary above its upper bound"),
        (replace(EVIDENCE, look=CROSSED, health=(BAD,)), Word.INVALID, "health: sample ratio"),
        (
            replace(EVIDENCE, look=CROSSED, guards=(Guard(GUARD, EFFECT, Sequence(-0.3, -0.1)),)),
            Word.ROLLBACK,
            "guardrail units_per_customer",
        ),
        (
            replace(EVIDENCE, look=replace(LOOK, statistic=-3.0)),
            Word.ROLLBACK,
            "primary below its lower bound",
        ),
        (replace(EVIDENCE, look=CROSSED, elapsed_days=20), Word.CONTINUE, "primary above its upper bound"),
        (replace(EVIDENCE, look=CROSSED, elapsed_days=5), Word.CONTINUE, "primary above its upper bound"),
        (
            replace(EVIDENCE, look=CROSSED, guards=(Guard(GUARD, EFFECT, Sequence(-0.6, 0.5)),)),
            Word.CONTINUE,
            "primary above its upper bound",
        ),
        (replace(EVIDENCE, look=LAST), Word.INCONCLUSIVE, "planned size reached"),
        (
            replace(EVIDENCE, look=replace(LAST, difference=0.01)),
            Word.NO_MATERIAL_DIFFERENCE,
            "interval inside the smallest effect that matters",
        ),
        (
            replace(
                EVIDENCE,
                look=WON,
                guards=(Guard(GUARD, None, Sequence(-float("inf"), float("inf"))),),
            ),
            Word.INCONCLUSIVE,
            "guardrail not shown harmless",
        ),
        (
            replace(EVIDENCE, look=replace(LAST, statistic=3.0), elapsed_days=36),
            Word.SHIP,
            "primary above its upper bound",
        ),
    ],
)
def test_the_first_rule_that_fires_decides(evidence: Evidence, word: Word, rule: str) -> None:
    found = decide(evidence)
    assert (found.word, found.rule) == (word, rule)


def test_what_came_after_the_planned_size_was_looked_at_makes_no_difference_immaterial() -> None:
    later = replace(EFFECT, difference=0.01, variance=0.0001)
    assert decide(replace(EVIDENCE, look=LAST, primary=later)).word is Word.INCONCLUSIVE


def test_a_guardrail_may_be_worse_by_its_margin_and_no_more() -> None:
    # A quarter of the control's 2.0 is 0.5.
    just = replace(EVIDENCE, guards=(Guard(GUARD, EFFECT, Sequence(-0.5, 0.1)),))
    over = replace(EVIDENCE, guards=(Guard(GUARD, EFFECT, Sequence(-0.51, 0.1)),))
    assert (unproven(just), unproven(over)) == ((), ("units_per_customer",))


def test_where_less_is_better_the_sides_change() -> None:
    down = GUARD.model_copy(update={"direction": "down"})
    worse = replace(EVIDENCE, guards=(Guard(down, EFFECT, Sequence(0.1, 0.3)),))
    assert decide(worse).word is Word.ROLLBACK
    better = replace(EVIDENCE, guards=(Guard(down, EFFECT, Sequence(-0.3, -0.1)),))
    assert unproven(better) == ()


def test_those_who_are_judged_entered_over_whole_weeks() -> None:
    assert waits_for(EVIDENCE) == ""
    assert "13 days" in waits_for(replace(EVIDENCE, elapsed_days=20))
    assert "day 5 of at least 7" in waits_for(replace(EVIDENCE, elapsed_days=5))


def test_what_is_needed_follows_from_todays_variance() -> None:
    # (1.95996 + .84162)^2 * .0058 / (.1 * 2)^2 * 7000
    assert needed_n(EVIDENCE) == pytest.approx(7966, abs=2)


THREE = (
    SPECIFICATION.format(id="three", planned_n=14_000)
    .replace("weight = 0.5", "weight = 0.34")
    .replace("[analysis]\n", '[[variants]]\nname = "als"\nweight = 0.32\nmodel = "als"\n[analysis]\n')
)


def test_of_three_arms_each_has_a_verdict_and_the_best_makes_the_headline() -> None:
    spec = parse(THREE)
    case = open_case(spec, *logs(spec, Truth(customers=3000), 1), at(21))
    found = judge(case)
    assert [arm.verdict is None for arm in found.arms] == [True, False, False]
    assert found.alpha == 0.025
    assert {look.arm for look in found.new_looks} == {"ranker", "als"}
    assert found.spec_hash == hash_of(spec)
    assert found.headline_arm == ""  # nothing to say of one

    def of(ranker: Word, als: Word) -> tuple[str, Word]:
        name, verdict = headline_of(
            case, {"ranker": Verdict(ranker, "rule", "text"), "als": Verdict(als, "rule", "text")}
        )
        return name, verdict.word

    assert of(Word.SHIP, Word.ROLLBACK) == ("ranker", Word.SHIP)
    assert of(Word.ROLLBACK, Word.CONTINUE) == ("ranker", Word.ROLLBACK)
    assert of(Word.INCONCLUSIVE, Word.CONTINUE) == ("", Word.CONTINUE)
    assert of(Word.SHIP, Word.SHIP)[0] in ("ranker", "als")
