"""Rankers among a night's variants: what they take from the others, and which windows they make anew."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from models import ranker as ranker_module
from models.arrays import DAY_S
from models.history.interactions import Interactions
from models.popular import Popular
from models.ranker import Ranker
from models.ranking.windows import Window, window_starts
from models.registry import build
from tests.data.shops import gift_shop, grocer
from training.budget import SHARE, Budget
from training.evaluation.inside import budget_notes, fallback_notes
from training.fitting import fit_variants, recipe_of, with_horizon

HISTORY = grocer().interactions()
WEEK_S = 7 * DAY_S
PAST = HISTORY.before(HISTORY.as_of_s - WEEK_S)
QUICK: dict[str, Any] = {
    "trees": {"n_trees": 5},
    "without": ["als", "ease", "neighbours", "content"],
    "n_folds": 6,
}
NIGHT: dict[str, dict[str, Any]] = {"popular": {}, "repeat": {}, "due": {}, "item_item": {}, "ranker": QUICK}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Where the windows begin that are made, in weeks before the end of HISTORY."""
    starts: list[int] = []
    make = ranker_module.window

    def spy(interactions: Interactions, start_s: int, *more: Any) -> Window | None:
        starts.append((HISTORY.as_of_s - start_s) // WEEK_S)
        return make(interactions, start_s, *more)

    monkeypatch.setattr(ranker_module, "window", spy)
    return starts


def fitted(history: Interactions, variants: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return fit_variants(history, variants, horizon_days=7, **more)[0]


def learned(models: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: asdict(model.options_) for name, model in models.items()}


def test_the_fit_on_all_makes_the_one_window_that_the_gates_did_not_have(made: list[int]) -> None:
    windows: dict[Any, Window] = {}
    gate = fitted(PAST, NIGHT, windows=windows)
    assert gate["ranker"].why_not_ == ""
    assert made == [2, 3, 4, 5, 6, 7]
    on_all = fitted(HISTORY, learned(gate), windows=windows)
    assert made == [2, 3, 4, 5, 6, 7, 1]
    assert on_all["ranker"].windows_ == [HISTORY.as_of_s - number * WEEK_S for number in range(1, 7)]
    alone = fitted(HISTORY, learned(gate))  # nothing at hand: the same windows, all made anew
    assert_same_trees(on_all["ranker"], alone["ranker"])


def test_it_is_told_which_window_a_ranker_is_at_since_its_fit_takes_most_of_a_night() -> None:
    steps: list[str] = []
    fitted(PAST, NIGHT, on_step=steps.append)
    of_ranker = [step for step in steps if step.startswith("ranker")]
    assert of_ranker == [
        "ranker",
        *(f"ranker, past window {number} of 6 at most" for number in (1, 3, 5)),  # two at a time
        "ranker, trees",
    ]


def test_discovery_learns_from_the_rankers_windows(made: list[int]) -> None:
    models = fitted(PAST, {**NIGHT, "discovery": QUICK})
    assert made == [2, 3, 4, 5, 6, 7]
    assert list(models)[-2:] == ["ranker", "discovery"]
    assert models["discovery"].windows_ == models["ranker"].windows_


def test_a_ranker_takes_fitted_sources_of_its_own_options_alone() -> None:
    variants = {**NIGHT, "repeat": {"half_life_days": 11.0}}
    models = fitted(PAST, variants)
    sources = models["ranker"].sources_
    assert sources["popular"] is models["popular"]
    assert sources["due"] is models["due"]
    assert sources["repeat"] is not models["repeat"]


def test_with_little_history_the_nights_blend_answers_and_it_is_said() -> None:
    history = gift_shop().interactions()
    night: dict[str, Any] = {
        name: {} for name in ("popular", "repeat", "item_item", "als", "blend", "ranker")
    }
    models = fitted(history, night)
    rows = np.arange(5, dtype=np.int32)
    np.testing.assert_array_equal(models["ranker"].score(rows), models["blend"].score(rows))
    assert models["ranker"]._blend is models["blend"]
    (note,) = fallback_notes(models).values()
    assert note.startswith("ranker: too little history, the blend answers instead (the history has ")
    others = fitted(history, {**night, "als": {"factors": 3}, "blend": {"als": {"factors": 3}}})
    assert others["ranker"]._blend is not others["blend"]  # made of other parts


def test_a_budget_gives_rankers_a_share_of_what_is_left() -> None:
    budget = Budget(100, lambda: 130.0, 110.0)
    assert budget.for_ranker(1) == pytest.approx(SHARE * 80)
    assert budget.for_ranker(2) == pytest.approx(SHARE * 80 / 2)
    assert Budget(100, lambda: 300.0, 110.0).for_ranker(1) == 1.0  # never 0, which would be no limit


def test_windows_that_took_too_long_are_the_last_and_the_second_fit_takes_as_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter(range(0, 10**6, 10))
    monkeypatch.setattr("models.ranker.time.monotonic", lambda: float(next(seconds)))
    cut = Ranker(with_options(time_budget_s=100.0, n_folds=8)).fit(PAST)
    assert cut.why_not_ == ""  # it goes on until it can learn
    assert len(cut.windows_) == 6  # 40 customers each, 200 are enough, and two are made at a time
    assert (cut.options_.n_folds, cut.options_.time_budget_s) == (len(cut.windows_), 0.0)
    again = Ranker(cut.options_).fit(PAST)
    assert again.windows_ == cut.windows_
    assert budget_notes({"popular": Popular(), "ranker": cut, "again": again}) == {
        "ranker": "ranker: the time budget left it 6 past windows to learn from, where its options allow 8"
    }
    all_there = PAST.before(PAST.as_of_s)
    weeks = 1
    while len(window_starts(all_there, 7, 8)) > 6:
        all_there, weeks = PAST.before(PAST.as_of_s - weeks * WEEK_S), weeks + 1
    whole = Ranker(with_options(time_budget_s=100.0, n_folds=8)).fit(all_there)
    assert (len(whole.windows_), budget_notes({"ranker": whole})) == (6, {})  # no more were to be had
    assert_same_trees(again, cut)


def assert_same_trees(one: Any, other: Any) -> None:
    kept = other._ensembles.arrays()
    assert one._ensembles.arrays().keys() == kept.keys()
    for name, text in one._ensembles.arrays().items():
        assert text.tobytes() == kept[name].tobytes()


def with_options(**more: Any) -> Any:
    return build("ranker", with_horizon("ranker", {**QUICK, **more}, 7)).options


def test_a_budget_of_the_night_is_no_part_of_the_recipe() -> None:
    plain = with_horizon("ranker", QUICK, 7)
    fitted(PAST, {**NIGHT, "ranker": plain}, budget=Budget(1000))
    assert recipe_of("ranker", plain) == recipe_of("ranker", with_horizon("ranker", QUICK, 7))
    assert "time_budget_s" not in plain
