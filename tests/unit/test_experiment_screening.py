"""Interleaved lists and off-policy values: pure, deterministic, and silent where nothing can be said."""

import json
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import TooFarError
from experiments.interleaving import FIRST, SECOND, team_draft
from experiments.logs.cohort import Cohort
from experiments.logs.frames import OUTCOMES
from experiments.statistics.interleaved import preference
from experiments.statistics.off_policy import doubly_robust, effective_n, snips

DAY = date(2026, 12, 1)
LISTS = st.lists(st.sampled_from([f"p{i}" for i in range(30)]), unique=True, max_size=20)


def draft(first: list[str], second: list[str], n: int, customer_id: str = "anna") -> list[tuple[str, str]]:
    return team_draft(first, second, n, customer_id=customer_id, day=DAY, salt="interleave/rec/1")


def test_a_draft_is_the_same_wherever_it_is_made() -> None:
    lists = (["a", "b", "c", "d", "e"], ["b", "x", "a", "y", "z"])
    golden = [("b", SECOND), ("a", FIRST), ("c", FIRST), ("x", SECOND), ("d", FIRST), ("y", SECOND)]
    assert draft(*lists, 6) == golden
    assert draft(["a", "b"], [], 3) == [("a", FIRST), ("b", FIRST)]
    assert draft([], [], 3) == []


@given(LISTS, LISTS, st.integers(1, 12), st.text(max_size=8))
def test_asked_n_got_n_without_repetition_and_each_side_in_its_own_order(
    first: list[str], second: list[str], n: int, customer_id: str
) -> None:
    found = draft(first, second, n, customer_id)
    products = [product for product, _ in found]
    assert len(set(products)) == len(products) == min(n, len({*first, *second}))
    for team, own in ((FIRST, first), (SECOND, second)):
        places = [own.index(product) for product, side in found if side == team]
        assert places == sorted(places)
    if len(set(first) - set(second)) >= n and len(set(second) - set(first)) >= n:
        assert abs(sum(1 if side == FIRST else -1 for _, side in found)) <= 1


def test_each_side_begins_for_half_of_the_customers() -> None:
    begins = [draft(["a"], ["b"], 1, f"c{i}")[0][1] for i in range(4000)]
    assert begins.count(FIRST) / 4000 == pytest.approx(0.5, abs=0.025)


def test_another_day_deals_anew() -> None:
    lists = ([f"a{i}" for i in range(20)], [f"b{i}" for i in range(20)])
    days = {
        tuple(team_draft(*lists, 20, customer_id="anna", day=date(2026, 12, day), salt="s"))
        for day in range(1, 9)
    }
    assert len(days) == 8


def shown(customer: str, request: str) -> dict[str, object]:
    items = [["p1", 0.5, None, "A"], ["p2", 0.4, None, "B"], ["p3", 0.4, None, None]]
    return {"customer_id": customer, "request_id": request, "arm": 1, "items": json.dumps(items)}


def clicks(*places: tuple[str, str, int]) -> pl.DataFrame:
    lines = [
        {"event_id": f"{i}", "kind": "click", "customer_id": c, "request_id": r, "position": p, "at_ms": i}
        for i, (c, r, p) in enumerate(places)
    ]
    return pl.DataFrame(lines, schema=OUTCOMES)


def test_each_customer_has_one_voice() -> None:
    exposures = pl.DataFrame([shown(c, f"r{c}") for c in "abcde"])
    cohort = Cohort(exposures, pl.DataFrame({"customer_id": list("abcd")}), {})  # e saw two variants
    done = clicks(
        *(("a", "ra", 1), ("a", "ra", 1), ("b", "rb", 1), ("c", "rc", 2), ("d", "rd", 1), ("d", "rd", 2)),
        ("e", "re", 1),
        *(("a", "rb", 2), ("b", "rb", 9), ("c", "rc", 3)),  # another's answer, no such place, no team
    )
    found = preference(cohort, done, 1)
    assert (found.customers, found.first, found.second) == (4, 2, 1)
    assert found.share == pytest.approx(2.5 / 4)
    assert found.p == 1.0  # two of three
    nobody = preference(cohort, clicks(), 1)
    assert (nobody.share, nobody.p) == (None, 1.0)


def test_of_several_answers_to_one_request_the_first_has_the_teams() -> None:
    later = {**shown("a", "ra"), "items": json.dumps([["p9", 0.5, None, "B"]])}
    cohort = Cohort(pl.DataFrame([shown("a", "ra"), later]), pl.DataFrame({"customer_id": ["a"]}), {})
    found = preference(cohort, clicks(("a", "ra", 1)), 1)
    assert (found.first, found.second) == (1, 0)


@pytest.mark.parametrize(
    "items",
    ["hello", '{"a": 1}', "[1, 2]", '[["p1"]]', '[["p1", 1, null, "C"]]', '[["p1", 1, 1, null, {"a": 1}]]'],
)
def test_a_list_that_the_service_did_not_write_is_of_no_side(items: str) -> None:
    lines = [shown("a", "ra"), shown("b", "rb") | {"items": items}]
    cohort = Cohort(pl.DataFrame(lines), pl.DataFrame({"customer_id": ["a", "b"]}), {})
    assert preference(cohort, clicks(("a", "ra", 1), ("b", "rb", 1)), 1).customers == 1


def test_a_few_voices_of_one_mind_leave_room_for_others() -> None:
    """Three of three: two more on each side (Agresti, Coull 1998) make it 5 of 7, give or take .335."""
    exposures = pl.DataFrame([shown(c, f"r{c}") for c in "abc"])
    cohort = Cohort(exposures, pl.DataFrame({"customer_id": list("abc")}), {})
    found = preference(cohort, clicks(*((c, f"r{c}", 1) for c in "abc")), 1)
    assert found.share == 1
    assert (found.low, found.high) == (pytest.approx(5 / 7 - 1.96 * (10 / 7**3) ** 0.5, abs=1e-4), 1.0)


def test_a_value_is_worked_out_by_hand() -> None:
    # Weights 2, 1/2, 2, 1/2 each 100 times: (2 * 1 + 2 * 0 + 1/2 + 1/2 * 0) / 5; (5 * 100)^2 / (8.5 * 100)
    many = 100
    rewards, propensities = np.tile([1.0, 1.0, 0.0, 0.0], many), np.tile([0.25, 0.5, 0.25, 0.5], many)
    targets = np.tile([0.5, 0.25, 0.5, 0.25], many)
    found = snips(rewards, propensities, targets, np.arange(4 * many))
    assert found.value == pytest.approx(0.5)
    assert found.effective_n == pytest.approx(500**2 / 850)
    assert effective_n(np.zeros(3)) == 0


def test_far_policies_are_refused() -> None:
    rewards, far = np.ones(1000), np.r_[np.full(10, 100.0), np.full(990, 0.01)] / 101
    with pytest.raises(TooFarError, match=r"1,000 customers are worth 1[0-9] of the other's"):
        snips(rewards, np.full(1000, 0.5), far, np.arange(1000))
    with pytest.raises(TooFarError):
        snips(np.ones(99), np.full(99, 0.5), np.full(99, 0.5), np.arange(99))


@pytest.mark.parametrize("estimate", ["snips", "doubly robust"])
def test_intervals_of_another_policy_cover_its_true_value(estimate: str) -> None:
    rng = np.random.default_rng(8)
    pays = np.array([0.1, 0.3, 0.5])
    logged, target = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    guess = np.array([0.2, 0.2, 0.4])  # a bad one
    truth = float(pays @ target)
    covered = []
    for _ in range(400):
        customer = np.repeat(np.arange(500), 2)
        action = rng.choice(3, 1000, p=logged)
        reward = (rng.random(1000) < pays[action]).astype(float)
        given = (reward, logged[action], target[action], customer)
        if estimate == "snips":
            found = snips(*given)
        else:
            expected = np.full(1000, guess @ target)
            found = doubly_robust(*given, guessed=guess[action], guessed_target=expected)
        covered.append(found.low <= truth <= found.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_customer_who_sees_the_same_again_and_again_counts_once() -> None:
    customers, seen = np.repeat(np.arange(150), 10), np.repeat(np.arange(150) % 2, 10).astype(float)
    with pytest.raises(TooFarError, match="150 customers are worth 75 of"):
        snips(np.ones(1500), np.full(1500, 0.5), seen, customers)
