"""Which folds can be measured, what is said about those that can't, and that no model sees its window."""

from datetime import date
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from structlog.testing import capture_logs

from models.errors import BadConfigError
from models.history.interactions import Interactions
from models.registry import VARIANTS
from storage.local_days import local_day
from tests.data.scores import history_of
from training.evaluation.backtest import backtest, choose_folds
from training.progress import Progress


def weekly(n_days: int = 35) -> Interactions:
    """30 customers who each buy one of their three products every day, on 1970-01-01 and the days after."""
    lines = [
        (customer, (customer + day) % 3 + customer % 5, float(day) + 0.5, customer * 100 + day)
        for customer in range(30)
        for day in range(n_days)
    ]
    return history_of(lines, n_customers=30, n_products=8, as_of_day=n_days)


def quiet() -> Progress:
    return Progress(Console(file=StringIO(), force_terminal=False))


def days_of(folds: list[object]) -> list[date]:
    return [local_day(fold.as_of_s, "UTC") for fold in folds]  # type: ignore[attr-defined]


def test_without_a_wish_the_last_three_windows_are_taken() -> None:
    folds = choose_folds(weekly(), [], 7, "UTC")
    assert days_of(folds) == [date(1970, 1, 15), date(1970, 1, 22), date(1970, 1, 29)]


def test_a_short_history_gives_the_windows_that_it_has() -> None:
    assert days_of(choose_folds(weekly(10), [], 7, "UTC")) == [date(1970, 1, 4)]


def test_days_are_sorted_and_taken_once() -> None:
    wanted = [date(1970, 1, 20), date(1970, 1, 10), date(1970, 1, 20)]
    assert days_of(choose_folds(weekly(), wanted, 7, "UTC")) == [date(1970, 1, 10), date(1970, 1, 20)]


def test_the_latest_window_ends_with_the_history() -> None:
    assert len(choose_folds(weekly(), [date(1970, 1, 29)], 7, "UTC")) == 1
    with pytest.raises(BadConfigError, match=r"ends on 1970-02-04: 1970-01-29 is the latest") as refusal:
        choose_folds(weekly(), [date(1970, 1, 30)], 7, "UTC")
    assert str(refusal.value).startswith("--as-of 1970-01-30: ")


def test_a_window_before_the_history_is_refused() -> None:
    with pytest.raises(BadConfigError, match="the history begins on 1970-01-01"):
        choose_folds(weekly(), [date(1970, 1, 1)], 7, "UTC")


def test_a_window_in_which_nobody_known_buys_is_refused() -> None:
    quiet = history_of(
        [(0, 0, 1, 0), (1, 0, 12, 1), (1, 0, 30, 2)], n_customers=2, n_products=1, as_of_day=31
    )
    with pytest.raises(BadConfigError, match="nobody who bought before it bought in the 7 days"):
        choose_folds(quiet, [date(1970, 1, 11)], 7, "UTC")


def test_a_history_shorter_than_a_window_is_refused_with_its_dates() -> None:
    with pytest.raises(BadConfigError, match="in the history of 1970-01-01 to 1970-01-05 nobody"):
        choose_folds(weekly(5), [], 7, "UTC")


def test_every_variant_is_measured_on_every_fold_and_folds_are_told() -> None:
    folds = choose_folds(weekly(), [], 7, "UTC")[1:]
    variants = {"repeat": {}, "popular": {}}
    with capture_logs() as told:
        results, seconds, _ = backtest(weekly(), folds, variants, progress=quiet())
    assert [(line["event"], line["number"], line["of"]) for line in told] == [("fold", 1, 2), ("fold", 2, 2)]
    assert [list(result.lists) for result in results] == [["popular", "repeat"]] * 2
    assert {name: len(took.fit) for name, took in seconds.items()} == {"repeat": 2, "popular": 2}
    assert all(took > 0 for took in seconds["repeat"].fit + seconds["repeat"].score)


def test_popular_fills_the_lists_also_when_it_is_not_compared() -> None:
    folds = choose_folds(weekly(), [], 7, "UTC")[2:]
    alone, _, _ = backtest(weekly(), folds, {"repeat": {}}, progress=quiet())
    both, _, _ = backtest(weekly(), folds, {"repeat": {}, "popular": {}}, progress=quiet())
    assert np.array_equal(alone[0].per_customer("repeat"), both[0].per_customer("repeat"))


def test_no_variant_sees_what_was_bought_in_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    repeat = VARIANTS["repeat"]

    class Spy(repeat):  # type: ignore[misc, valid-type]  # whatever the registry holds
        def fit(self, interactions: Interactions) -> "Spy":
            seen.append(int(interactions.at_s.max()))
            return super().fit(interactions)  # type: ignore[no-any-return]

    monkeypatch.setitem(VARIANTS, "repeat", Spy)
    folds = choose_folds(weekly(), [], 7, "UTC")
    backtest(weekly(), folds, {"repeat": {}}, progress=quiet())
    assert len(seen) == 3
    assert all(last_s < fold.as_of_s for last_s, fold in zip(seen, folds, strict=True))
