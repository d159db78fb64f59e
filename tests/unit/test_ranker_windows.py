"""Which past windows a ranker learns from: no more than are lacking, and none made twice."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import models.ranker as ranker_module
from models.ranker import Discovery, Ranker
from models.ranking.windows import Window
from tests.data.rankers import COUNTED, EVERYONE, OPTIONS, discovery, ranker
from tests.data.shops import market


def counted_windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the windows begin that are made from now on."""
    ranker(), discovery()  # fitted once for all tests: that must not be counted in the first of them
    made: list[int] = []
    original = ranker_module.window

    def noted(interactions: Any, start_s: int, *others: Any) -> Window | None:
        made.append(start_s)
        return original(interactions, start_s, *others)

    monkeypatch.setattr(ranker_module, "window", noted)
    return made


def test_no_more_windows_are_made_than_are_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are made at a time, of about 600 products bought each; the last of five is alone."""
    made, shared = counted_windows(monkeypatch), dict[Any, Window]()
    options = replace(COUNTED, enough_bought=3000, n_folds=8)
    model = Ranker(options, ranker().sources_, shared).fit(market().interactions())
    each = [window.n_bought for window in shared.values()]
    assert len(made) == len(model.windows_) == 5, each
    assert 2700 < sum(each) < 3300


def test_remembered_windows_are_not_made_again_and_serve_discovery_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, shared = counted_windows(monkeypatch), dict[Any, Window]()
    history = market().interactions()
    fitted = ranker().sources_
    Ranker(COUNTED, fitted, shared).fit(history)
    assert len(made) == len(shared) == 4
    found = Discovery(OPTIONS, fitted, shared).fit(history)
    assert len(made) == 4
    np.testing.assert_array_equal(found.score(EVERYONE), discovery().score(EVERYONE))


def test_a_window_that_is_made_alone_is_the_one_that_is_made_beside_another() -> None:
    shared, options, history = dict[Any, Window](), replace(COUNTED, n_folds=2), market().interactions()
    Ranker(options, ranker().sources_, shared).fit(history)
    key, beside = shared.popitem()
    Ranker(options, ranker().sources_, shared).fit(history)
    alone = shared[key]
    assert alone is not beside
    for name in ("customer_row", "features", "is_bought", "weight", "share", "is_even"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(beside, name), err_msg=name)


def test_windows_made_otherwise_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made, shared = counted_windows(monkeypatch), dict[Any, Window]()
    history = market().interactions()
    fitted = ranker().sources_
    two = replace(COUNTED, n_folds=2)
    for options in (two, replace(two, negatives=20), replace(two, new_candidates=9)):
        Ranker(options, fitted, shared).fit(history)
    assert len(made) == len(shared) == 6


def test_a_time_budget_stops_once_there_is_enough_to_correct_probabilities_by_and_none_does_not() -> None:
    """Two windows are made at a time, and three are needed."""
    options = replace(COUNTED, n_folds=8)
    late = Ranker(replace(options, time_budget_s=1e-6)).fit(market().interactions())
    assert len(late.windows_) == 4
    assert late.why_not_ == ""
    assert len(Ranker(replace(options, time_budget_s=1e6)).fit(market().interactions()).windows_) > 4


def test_enough_customers_need_no_further_window() -> None:
    model = Ranker(replace(COUNTED, enough_customers=200)).fit(market().interactions())
    assert len(model.windows_) == 2  # of 130 or so each
