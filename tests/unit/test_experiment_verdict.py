"""The rules fire in one order, each on evidence written by hand."""

from dataclasses import replace

import pytest

from experiments.judge import headline_of, judge, open_case
from experiments.specification import hash_of, parse
from experiments.statistics.effects import Effect
from experiments.statistics.health import Finding
from experiments.statistics.looks import Look
from experiments.statistics.measures import Sequence
from experiments.statistics.power import ALWAYS, drift_of
from experiments.verdict import Evidence, Guard, Verdict, Word, decide, needed_n, unproven, waits_for
from tests.data.shop_logs import SPECIFICATION, Truth, at, logs, specification_of

SPEC = specification_of()
GUARD = SPEC.guardrails[0]  # units_per_customer, up, margin a quarter
EFFECT = Effect(3500, 3500, 2.0, 2.2, 0.2, 0.05, 0.35, 0.1, 0.02, 0.18, 0.01, 0.0058)
LOOK = Look("rec", 1, "revenue_per_customer", "ranker", 0, 0.5, 2.6, 2.9, 0.001)
HARMLESS = Guard(GUARD, EFFECT, Sequence(-0.1, 0.5))
BAD = Finding("sample ratio", "invalid", 0.001, 0.01, "control 90, ranker 10")
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
            replace(EVIDENCE, look=WON, guards=(Guard(GUARD, None, Sequence(-float("inf"), float("inf"))),)),
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


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (replace(EVIDENCE, n=6), "too few attribution windows are over"),  # a thousandth of 14,000 is 14
        (replace(EVIDENCE, n=20), "all looks that were taken came later"),
        (replace(EVIDENCE, n=6, primary=None), "too few attribution windows are over"),
        (
            replace(EVIDENCE, n=20, primary=None),
            "20 customers are judged, and revenue_per_customer is the same for all, "
            "or an arm has fewer than two",
        ),
    ],
)
def test_without_a_look_the_verdict_says_why_there_is_none(evidence: Evidence, why: str) -> None:
    assert decide(replace(evidence, look=None)).text == why


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


def test_what_is_needed_follows_from_todays_variance_and_pays_for_each_look() -> None:
    # One look would need (1.95996 + .84162)^2 * .0058 / (.1 * 2)^2 * 7000
    drift = drift_of(0.05, 0.8, 28)
    needed = needed_n(EVIDENCE)
    assert needed is not None
    assert needed == pytest.approx(7966 * (drift / 2.80158) ** 2, abs=2)
    assert 1.02 * 7966 < needed < 1.06 * 7966
    assert f"a new version planned for {needed:,} customers" in decide(replace(EVIDENCE, look=LAST)).text


def test_a_size_that_was_judged_is_not_called_for() -> None:
    found = decide(replace(EVIDENCE, look=LAST, n=14_000, primary=replace(EFFECT, variance=0.0029)))
    assert (found.rule, found.needed_n) == ("planned size reached", None)
    found = decide(replace(EVIDENCE, look=LAST, n=14_000))
    assert found.needed_n == pytest.approx(1.05 * 2 * 7966, rel=0.01)


def test_a_guardrail_calls_for_the_customers_that_would_show_it_harmless() -> None:
    wide = Guard(GUARD, replace(EFFECT, variance=0.04), Sequence(-0.8, 0.6))
    found = decide(replace(EVIDENCE, look=WON, guards=(wide, HARMLESS)))
    drift = drift_of(SPEC.guard_alpha, 0.8, ALWAYS)
    assert found.rule == "guardrail not shown harmless"
    assert found.needed_n == pytest.approx(7000 * 0.04 * (drift / 0.5) ** 2, abs=2)
    assert f"planned for {found.needed_n:,} customers would show that" in found.text


def test_a_guardrail_that_no_number_of_customers_shows_harmless_says_so() -> None:
    """As `fallback` where neither model ever left a list to another."""
    everything = Sequence(-float("inf"), float("inf"))
    some_in_the_arm = replace(EFFECT, control=0.0, treatment=0.01)
    for guard in (Guard(GUARD, None, everything), Guard(GUARD, some_in_the_arm, Sequence(-0.1, 0.1))):
        for look in (WON, CROSSED):
            found = decide(replace(EVIDENCE, look=look, guards=(guard,)))
            assert "units_per_customer (0 in the control, or the same for everybody: no margin" in found.text
            assert found.needed_n is None


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
    gains = {
        comparison.arm: comparison.effect.difference
        for comparison in found.comparisons
        if comparison.role == "primary" and comparison.effect is not None
    }
    assert of(Word.SHIP, Word.SHIP) == (max(gains, key=lambda arm: gains[arm]), Word.SHIP)
