"""The sentences say what the figures say, and warn where they must."""

from dataclasses import replace

import numpy as np
import pytest

from tests.data.scores import DAY_S, Fixed, history_of
from training.evaluation.calibration import Calibration, JudgedPairs, Kept, WindowFigures, judge
from training.evaluation.comparison import Evaluation, summarise
from training.evaluation.contribution import Contribution, KindFigures, SourceFigures, Step
from training.evaluation.folds import Fold
from training.evaluation.one_fold import evaluate_fold
from training.evaluation.reliability import Ratio, reliability
from training.reports.findings import (
    about_all_candidates,
    about_better,
    about_candidates,
    about_kept,
    about_pairs,
    about_windows,
    warnings,
)


def kind(found: float, **on_top: float) -> KindFigures:
    sources = {name: SourceFigures(found / 2, share, 10.0) for name, share in on_top.items()}
    return KindFigures(2_000, found, 30.0, sources, [Step(name, found, 30.0) for name in on_top])


def window(day: int, ratio: float | None, first: float | None = 1.0) -> WindowFigures:
    def told(mean: float | None) -> Ratio | None:
        return None if mean is None else Ratio(mean, mean - 0.1, mean + 0.1)

    return WindowFigures(day * 86_400, 10, 5, told(ratio), 0.01, 0.01, told(first), 0.01, 0.01)


def pairs(p: float, bought: int, n: int) -> JudgedPairs:
    customers = np.arange(n)
    return JudgedPairs(0, np.full(n, p), customers < bought, customers, np.zeros(n, np.int32), customers)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (0.7, "Of 100 products that customers bought again, 70 were among the candidates."),
        (0.23, "Of 100 products that customers bought again, 23 were among"),
        (0.0512, "Of 1,000 products that customers bought again, 51 were among"),
        (0.00101, "Of 10,000 products that customers bought again, 10 were among"),
        (0.000001, "Of 1,000,000 products that customers bought again, 1 was among"),
        (0.0, "None of the 2,000 products that customers bought again was among the candidates."),
    ],
)
def test_a_share_is_told_in_whole_products(found: float, said: str) -> None:
    assert about_candidates(kind(found, own=found), "repeats").startswith(said)


def test_the_source_that_would_be_missed_and_those_that_would_not_are_named() -> None:
    said = about_candidates(kind(0.2, ease=0.01, als=0.05, trend=0.0, season=0.0), "new")
    assert "new products" in said
    assert "By itself, ease finds most." in said
    assert "Leaving out als would lose most: 25% of what is found." in said
    assert "What trend or season finds, others find too." in said


def test_a_single_source_is_not_compared_with_itself() -> None:
    assert "By itself" not in about_candidates(kind(0.2, own=0.2), "new")


def test_all_kinds_stand_in_one_line() -> None:
    kinds = {"all": kind(0.37, a=0.1), "repeats": kind(0.7, a=0.1), "new": kind(0.05, a=0.1)}
    assert about_all_candidates(Contribution(9, kinds)) == (  # type: ignore[arg-type]  # literals of Kind
        "Candidates hold 37% of all that was bought, 70% of the repeats and 5.0% of the new products."
    )
    assert about_all_candidates(Contribution(9, {})).startswith("Nothing was bought")


def test_pairs_are_told_by_what_happened_where_100_were_expected() -> None:
    said = about_pairs(reliability(np.full(100, 0.5), np.arange(100) < 60))
    assert said.startswith("Where 100 purchases were expected, 120 happened.")
    assert "10.0 points apart" in said
    near = about_pairs(reliability(np.full(10_000, 0.0205), np.arange(10_000) < 200))
    assert "0.05 points apart" in near  # one digit would say 0.1, twice as much
    assert about_pairs(None) == "No probability was judged."
    assert about_pairs(reliability(np.zeros(3), np.arange(3) < 1)).startswith(
        "Every probability was 0, and 1 "
    )


@pytest.mark.parametrize(
    ("kept", "share", "ending"),
    [
        (Kept(0.7, 0.1, 0.6, 0.071, 0.79, 0.72, 0.85), "79", "."),
        (Kept(0.7, 0.1, 0.6, 0.071, 0.72, 0.61, 0.81), "72", " (61 to 81 by the interval)."),
        (Kept(0.7, 0.1, 0.6, 0.071, 0.5, 0.4, 0.6), "50", ", fewer than promised."),
    ],
)
def test_a_promise_is_told_with_its_doubt(kept: Kept, share: str, ending: str) -> None:
    assert about_kept(Calibration(None, None, 100, [kept], [])) == (
        "For 7.1% of the active customers, the first product has a probability of 0.7 or more: "
        f"{share} of 100 such products were bought{ending}"
    )


def test_where_nothing_can_be_promised_it_says_so() -> None:
    assert "nothing can be promised" in about_kept(Calibration(None, None, 0, [], []))
    none = Kept(0.7, 0.0, None, 0.0, None, None, None)
    assert about_kept(Calibration(None, None, 9, [none], [])).startswith("No active customer's first product")


def test_windows_are_told_by_their_extremes() -> None:
    windows = [window(1, 0.92), window(2, 1.15), window(3, None)]
    assert about_windows(windows) == "Over 2 windows, 92 to 115 purchases happened where 100 were expected."
    assert "not known" in about_windows(windows[1:])


def test_good_probabilities_come_without_a_warning() -> None:
    found = judge([pairs(0.5, 500, 1_000)], [window(1, 0.8), window(2, 1.25), window(3, None, None)])
    assert warnings(found, list("abcd")) == []


def test_a_large_error_is_warned_of_and_called_chance_where_it_may_be() -> None:
    sure = warnings(judge([pairs(0.5, 550, 1_000)]), ["a"])
    assert len(sure) == 2
    assert "all pairs are 5.0 points off (ECE above 0.02): promise nothing" in sure[0]
    assert "first products" in sure[1]
    small = warnings(judge([pairs(0.5, 22, 40)]), ["a"])
    assert len(small) == 2
    assert "may be chance" in small[0]


def test_a_window_that_ran_low_or_high_is_named() -> None:
    quiet = replace(judge([pairs(0.5, 500, 1_000)]), windows=[window(1, 1.26), window(2, 1.0, 0.79)])
    assert warnings(quiet, ["2017-11-24", "2017-12-01"]) == [
        "Probabilities of all pairs ran low in the window from 2017-11-24: "
        "126 purchases where 100 were expected.",
        "Probabilities of first products ran high in the window from 2017-12-01: "
        "79 purchases where 100 were expected.",
    ]


def test_a_window_whose_interval_holds_1_is_called_chance() -> None:
    quiet = replace(judge([pairs(0.5, 500, 1_000)]), windows=[window(1, 1.0, 0.48)])
    few = replace(quiet.windows[0], first_ratio=Ratio(0.48, 0.0, 1.03))
    assert warnings(replace(quiet, windows=[few]), ["2025-04-10"]) == [
        "Probabilities of first products ran high in the window from 2025-04-10: 48 purchases where 100 were "
        "expected, but on so few customers this may be chance: judge by more windows."
    ]


def compared(default: str, **share: float) -> Evaluation:
    """Of 40 customers each buys the product of their number again; a variant knows it of so many of them."""
    lines = [(c, c, day, 2 * c + int(day == 12)) for c in range(40) for day in (1.0, 12.0)]
    history = history_of(lines, n_customers=40, n_products=40, as_of_day=20)
    knows = {name: np.eye(40, dtype=np.float32) * (np.arange(40) < 40 * part) for name, part in share.items()}
    models = {name: Fixed(scores) for name, scores in knows.items()}
    fill = np.arange(39, -1, -1, dtype=np.int32)
    result = evaluate_fold(history, Fold(10 * DAY_S, 7), models, fill=fill)
    return summarise([result], default=default, resamples=200)


def test_a_variant_that_is_surely_better_than_the_default_is_named() -> None:
    said = about_better(compared("ranker", popular=0.0, als=0.8, blend=1.0, ranker=0.3), min_customers=40)
    assert said is not None
    assert said.startswith("blend was surely better than ranker, the default: NDCG@10 1.0000 against ")
    assert said.endswith("If other weeks say the same, make it the default_variant.")


def test_nothing_is_said_where_none_is_surely_better_or_too_few_were_judged() -> None:
    assert about_better(compared("ranker", popular=0.0, als=0.3, ranker=0.3), min_customers=1) is None
    assert about_better(compared("ranker", popular=0.1, ranker=0.9), min_customers=1) is None
    assert about_better(compared("ranker", popular=0.0, als=1.0, ranker=0.3), min_customers=41) is None
    assert about_better(compared("ranker", ranker=0.3), min_customers=1) is None


def test_without_the_default_among_them_none_is_recommended_and_the_others_are_still_compared() -> None:
    found = compared("ranker", popular=0.0, blend=1.0)
    assert about_better(found, min_customers=1) is None
    assert found.reference == "popular"
    found = compared("ranker", als=0.0, blend=1.0)
    assert found.reference == "als"
    assert list(found.variants["blend"].differences) == ["als"]


def test_the_champions_own_recipe_is_left_to_the_gate() -> None:
    assert about_better(compared("ranker", popular=0.0, champion=1.0, ranker=0.3), min_customers=1) is None
