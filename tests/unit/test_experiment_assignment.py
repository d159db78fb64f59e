"""Assignment is a function of names alone: known answers for other languages, independence, growth."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.assignment import Arm, Entry, Plan, arm_of, assign, is_held_out, is_in, place

GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "assignment.json").read_text(encoding="utf-8"))
HALVES = (Arm("control", 0.5), Arm("new", 0.5))


def entry(name: str = "a", *, start: float = 0.0, width: float = 1.0, version: int = 1) -> Entry:
    return Entry(name, version, "", "recommend", start, width, HALVES)


@pytest.mark.parametrize("case", GOLDEN["places"], ids=lambda case: f"{case['salt']}|{case['customer_id']}")
def test_the_golden_vectors_hold_in_every_language(case: dict[str, object]) -> None:
    assert place(str(case["salt"]), str(case["customer_id"])) == case["place"]


@given(st.text(max_size=40))
def test_every_id_has_a_place_on_the_ring(customer_id: str) -> None:
    assert 0 <= place("layer/recommend", customer_id) < 1


def test_customers_are_dealt_by_weight() -> None:
    arms = (Arm("control", 0.2), Arm("b", 0.3), Arm("c", 0.5))
    dealt = Counter(arm_of(Entry("w", 1, "", "l", 0, 1, arms), str(n)).name for n in range(20_000))
    assert [round(dealt[arm.name] / 20_000, 2) for arm in arms] == pytest.approx([0.2, 0.3, 0.5], abs=0.011)


def test_a_version_deals_anew_and_two_layers_are_independent() -> None:
    assert (entry().salt, entry(version=2).salt) == ("variant/a/1", "variant/a/2")  # as others know it
    pairs = Counter(
        (arm_of(entry(), str(n)).name, arm_of(entry(version=2), str(n)).name) for n in range(20_000)
    )
    assert all(abs(count - 5_000) < 4 * 62 for count in pairs.values()), pairs  # 4 standard deviations


def test_experiments_of_one_layer_share_nobody() -> None:
    plan = Plan((entry("a", width=0.5), entry("b", start=0.5, width=0.5)))
    assert all(len(assign(plan, str(n))) == 1 for n in range(2_000))


@given(st.text(min_size=1, max_size=20), st.floats(0.01, 0.5))
def test_a_slot_that_grows_keeps_its_customers_and_their_variants(customer_id: str, width: float) -> None:
    small, large = entry(width=width), entry(width=2 * width)
    if is_in(small, customer_id):
        assert is_in(large, customer_id)
        assert arm_of(small, customer_id) == arm_of(large, customer_id)


def test_nobody_of_the_holdout_is_in_an_experiment() -> None:
    plan = Plan((entry(),), holdout_share=0.1)
    held = [n for n in range(10_000) if is_held_out(plan, str(n))]
    assert len(held) == pytest.approx(1_000, abs=120)
    assert not any(assign(plan, str(n)) for n in held)
    assert is_held_out(Plan(), "1") is False
