"""Folds inside the history, how lists are judged in them, and how options are chosen by that."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import sparse

from models.arrays import DAY_S
from models.validation.folds import (
    FoldOptions,
    InnerFold,
    Judged,
    balanced_ndcg,
    chosen,
    inner_folds,
    new_ndcg,
)
from models.validation.metrics import ndcg
from tests.data.scores import history_of

SECOND, THIRD = 1 / np.log2(3), 1 / 2  # what a hit at these places is worth; the first is worth 1


def every_day(days: range, customers: range) -> list[tuple[int, int, float, int]]:
    return [(c, day % 5, day, day * 1000 + c) for day in days for c in customers]


def folds_of(lines: list, n_folds: int = 3, max_customers: int = 1000, seed: int = 0) -> list[InnerFold]:
    history = history_of(lines, n_customers=60, n_products=5, as_of_day=50)
    return list(inner_folds(history, FoldOptions(n_folds=n_folds, max_customers=max_customers, seed=seed)))


def test_folds_end_where_the_later_one_begins_and_see_nothing_after() -> None:
    folds = folds_of(every_day(range(50), range(25)))
    assert [fold.history.as_of_s / DAY_S for fold in folds] == [43, 36, 29]
    for start, fold in zip((43, 36, 29), folds, strict=True):
        assert fold.history.at_s.max() == (start - 1) * DAY_S
        assert fold.rows.tolist() == list(range(25))


def test_the_first_second_of_a_horizon_is_truth_and_its_end_is_not() -> None:
    lines = [*every_day(range(30), range(25))]
    lines += [(c, 4, 43, 90_000 + c) for c in range(25)]  # the very start of the last horizon
    lines += [(c, 3, 36, 91_000 + c) for c in range(25)]
    last, before = folds_of(lines, n_folds=2)
    assert last.truth[[0]].indices.tolist() == [4]
    assert before.truth[[0]].indices.tolist() == [3]


def test_truth_counts_a_product_once_and_rows_have_purchases_on_both_sides() -> None:
    lines = every_day(range(40), range(30))  # 30 were there before
    lines += [(c, 1, day, 90_000 + c * 10 + day) for day in (44, 45) for c in range(5, 60)]
    (fold,) = folds_of(lines, n_folds=1)
    assert fold.rows.tolist() == list(range(5, 30))
    assert set(fold.truth.data.tolist()) == {1.0}
    assert fold.rows.dtype == np.int32


@pytest.mark.parametrize(("customers", "n_folds"), [(19, 0), (20, 1)])
def test_a_fold_needs_twenty_customers(customers: int, n_folds: int) -> None:
    assert len(folds_of(every_day(range(50), range(customers)), n_folds=1)) == n_folds


def test_weeks_in_which_hardly_anybody_came_are_passed_over() -> None:
    """Nobody came from day 22 to 49; 19 in the week from day 15; so those from day 8 and day 1 are left."""
    lines = [*every_day(range(15), range(25)), *every_day(range(15, 22), range(19))]
    folds = folds_of(lines, n_folds=2)
    assert [fold.history.as_of_s / DAY_S for fold in folds] == [8]  # before day 1 too little is known
    assert folds[0].rows.tolist() == list(range(25))


def test_a_fold_needs_a_history_as_long_as_its_horizon() -> None:
    assert len(folds_of(every_day(range(36, 50), range(25)))) == 1  # 7 days before the last 7
    assert len(folds_of(every_day(range(37, 50), range(25)))) == 0


def test_a_sample_of_customers_is_drawn_by_the_seed() -> None:
    lines = every_day(range(50), range(40))
    first, again, other = (folds_of(lines, 1, 25, seed)[0].rows for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() == sorted(set(first.tolist()))
    assert len(first) == 25
    assert first.tolist() != other.tolist()


@pytest.mark.parametrize(("enough", "n_folds"), [(1, 1), (25, 1), (26, 2), (51, 3), (1000, 4)])
def test_folds_end_once_they_have_customers_enough(enough: int, n_folds: int) -> None:
    history = history_of(every_day(range(50), range(25)), n_customers=25, n_products=5, as_of_day=50)
    folds = list(inner_folds(history, FoldOptions(n_folds=4, enough_customers=enough)))
    assert [fold.history.as_of_s / DAY_S for fold in folds] == [43, 36, 29, 22][:n_folds]


def test_ndcg_by_hand() -> None:
    hits = np.array([[True, False, True], [False, True, False], [True, True, False], [False] * 3])
    found = ndcg(hits, np.array([2, 1, 5, 3]), 3)
    ideal = 1 + SECOND + THIRD
    wanted = [(1 + THIRD) / (1 + SECOND), SECOND, (1 + SECOND) / ideal, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_judged_ndcg_by_hand() -> None:
    """Customer 0: candidates miss, hit (2 bought). 1: none, bought 1. 2: two hits and a miss (2 bought)."""
    judged = Judged(
        customer=np.array([0, 0, 2, 2, 2]),
        is_bought=np.array([False, True, True, False, True]),
        n_truth=np.array([2, 1, 2]),
    )
    ideal = 1 + SECOND
    # in order of score: 0 hits second; 2 hits first and third
    found = judged.ndcg(np.array([0.9, 0.5, 0.1, 0.2, 0.3], np.float32))
    assert found == pytest.approx((SECOND / ideal + 0 + (1 + THIRD) / ideal) / 3)
    # all alike: by place, so 0 hits second again, 2 first and third
    assert judged.ndcg(np.ones(5, np.float32)) == pytest.approx(found)


def test_new_ndcg_leaves_out_what_customers_had_and_who_bought_nothing_new() -> None:
    """Customer 0 has 0 and buys 0 and 2; 1 has 1 and buys only that; 2 has 0 and buys 1 and 3."""
    history = history_of([(0, 0, 1, 0), (1, 1, 1, 1), (2, 0, 1, 2)], n_customers=3, n_products=4, as_of_day=5)
    truth = sparse.csr_array(np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 1]], np.float32))
    fold = InnerFold(history, truth, np.arange(3, dtype=np.int32))
    scores = np.array([[9, 8, 7, np.nan], [1, 9, 1, 1], [9, 2, 3, 1]], np.float32)
    # 0 is shown 1, 2: a hit in second place. 2 is shown 2, 1, 3: hits second and third, of two.
    wanted = (SECOND + (SECOND + THIRD) / (1 + SECOND)) / 2
    assert new_ndcg(fold, lambda rows: scores[rows].copy()) == pytest.approx(wanted)


def test_new_ndcg_is_zero_where_nobody_bought_anything_new() -> None:
    history = history_of([(0, 0, 1, 0)], n_customers=1, n_products=2, as_of_day=5)
    fold = InnerFold(history, sparse.csr_array(np.array([[1, 0]], np.float32)), np.zeros(1, np.int32))
    assert new_ndcg(fold, lambda rows: np.ones((1, 2), np.float32)) == 0.0


def test_balanced_ndcg_is_the_geometric_mean_over_all_and_over_new_products() -> None:
    truth = sparse.csr_array(np.array([[1, 0, 1], [1, 0, 0]], np.float32))
    history = history_of([(0, 0, 1, 0), (1, 0, 1, 1)], n_customers=2, n_products=3, as_of_day=9)
    fold = InnerFold(history, truth, np.array([0, 1], np.int32))
    scores = np.array([[3, 2, 1], [1, 2, np.nan]], np.float32)
    first = (1 + THIRD) / (1 + SECOND)
    # over all: places 1 and 3 of two, place 2 of one; over new ones: the first customer's, at place 2
    wanted = ((first + SECOND) / 2 * SECOND) ** 0.5
    assert balanced_ndcg(fold, lambda rows: scores[rows].copy()) == pytest.approx(wanted)


def test_balanced_ndcg_without_new_products_still_tells_by_all() -> None:
    history = history_of([(0, 0, 1, 0)], n_customers=1, n_products=2, as_of_day=9)
    fold = InnerFold(history, sparse.csr_array(np.array([[1, 0]], np.float32)), np.array([0], np.int32))
    good, bad = np.array([[2, 1]], np.float32), np.array([[1, 2]], np.float32)
    assert balanced_ndcg(fold, lambda rows: good) > balanced_ndcg(fold, lambda rows: bad) > 0


@dataclass(frozen=True)
class Two(FoldOptions):
    """Options of which two may be learned."""

    a: int | None = None
    b: int | None = None


def test_options_are_chosen_one_after_another_by_the_sum_over_the_folds() -> None:
    asked: list[tuple[int | None, int | None]] = []

    def score(fold: int, options: Two) -> float:
        asked.append((options.a, options.b))
        return fold * ((options.a == 2) + (options.b == 7) + 5 * ((options.a, options.b) == (1, 7)))

    grids = {"a": (1, 2), "b": (6, 7)}
    assert chosen(Two(), grids, [1, 2], score) == Two(a=2, b=7)  # (1, 7) is never tried: b began at 6
    assert asked == [(1, 6)] * 2 + [(2, 6)] * 2 + [(2, 7)] * 2  # each once on each fold


def test_a_given_option_stays_and_the_first_wins_among_equals_and_without_folds() -> None:
    grids = {"a": (1, 2), "b": (6, 7)}
    assert chosen(Two(a=9), grids, [1], lambda fold, options: 0.0) == Two(a=9, b=6)
    assert chosen(Two(), grids, [], lambda fold, options: 1 / 0) == Two(a=1, b=6)


def test_no_fold_is_made_where_nothing_is_to_be_chosen() -> None:
    folds = (1 // 0 for _ in range(1))
    assert chosen(Two(a=9), {"a": (1, 2), "b": (6,)}, folds, lambda fold, options: 0.0) == Two(a=9, b=6)
