"""How fast products are taken up, and what a list finds of what is new to a customer, counted by hand."""

from math import log2

import numpy as np
import pytest
from scipy import sparse

from models.trend import Trend, TrendOptions
from models.validation import first_purchases as module
from models.validation.first_purchases import (
    Trial,
    first_purchases,
    new_dcg_of_one_list,
    take_up,
    take_up_half_life,
)
from models.validation.folds import FoldOptions, InnerFold
from tests.data.scores import history_of
from tests.data.shops import gift_shop

# product 0: customers 0 and 1, and 0 again; product 1: customer 0; product 2: customer 2
LINES = [(0, 0, 86, 0), (0, 1, 93, 1), (0, 0, 93, 1), (1, 0, 93, 2), (2, 2, 86, 3)]
HISTORY = history_of(LINES, n_customers=4, n_products=5, as_of_day=100)


def fold_of(bought: list[tuple[int, int]]) -> InnerFold:
    rows, products = zip(*bought, strict=True)
    truth = sparse.csr_array((np.ones(len(rows), np.float32), (rows, products)), shape=(4, 5))
    return InnerFold(HISTORY, truth, np.array([0, 1, 2], np.int32))


def test_a_first_purchase_is_a_customer_s_first_of_that_product() -> None:
    firsts = first_purchases(HISTORY)
    found = zip(
        firsts.customer_row.tolist(), firsts.product_row.tolist(), firsts.age_days.tolist(), strict=True
    )
    assert sorted(found) == [(0, 0, 14.0), (0, 1, 7.0), (1, 0, 7.0), (2, 2, 14.0)]


def test_take_up_is_of_the_customers_without_the_product() -> None:
    # of 3 customers 2, 1, 1 and none have it; 10 more are thought of who don't
    firsts = first_purchases(HISTORY)
    np.testing.assert_allclose(take_up(firsts, 7.0), [0.75 / 11, 0.5 / 12, 0.25 / 12, 0, 0], rtol=1e-6)
    with_prior = take_up(firsts, 7.0, prior_purchases=0.5)
    np.testing.assert_allclose(with_prior, [1.25 / 11, 1 / 12, 0.75 / 12, 0.5 / 13, 0.5 / 13], rtol=1e-6)


def test_what_was_taken_up_long_ago_stays_above_what_never_was() -> None:
    old = history_of([(0, 0, 0, 0), (0, 1, 19_999, 1)], n_customers=1, n_products=3, as_of_day=20_000)
    chance = take_up(first_purchases(old), 7.0)
    assert chance[0] > 0 == chance[2]


def test_trend_gives_everyone_the_take_up_and_nan_where_nobody_bought() -> None:
    model = Trend(TrendOptions(half_life_days=7.0)).fit(HISTORY)
    wanted = [0.75 / 11, 0.5 / 12, 0.25 / 12, np.nan, np.nan]
    np.testing.assert_allclose(model.score(np.array([3, 0], np.int32)), [wanted] * 2, rtol=1e-6)


def test_one_list_is_judged_by_the_places_that_new_products_have_without_the_own() -> None:
    # the list is 4 2 0 1 3; customer 0 has 0 and 1, so that their list is 4 2 3
    line = np.array([3, 2, 4, 1, 5], np.float32)
    fold = fold_of([(0, 3), (0, 0), (1, 1), (2, 4)])  # customer 0's purchase of 0 is no new one
    found = 1 / log2(1 + 3) + 1 / log2(1 + 3) + 1 / log2(1 + 1)  # customer 1's list is 4 2 1 3
    assert new_dcg_of_one_list(fold, [line, -line]) == [
        pytest.approx(found),
        pytest.approx(1 / log2(1 + 1) + 1 / log2(1 + 2) + 1 / log2(1 + 4)),
    ]


def test_only_the_first_places_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACES", 2)
    line = np.array([3, 2, 4, 1, 5], np.float32)
    fold = fold_of([(0, 3), (1, 1), (2, 4)])
    assert new_dcg_of_one_list(fold, [line]) == [pytest.approx(1 / log2(1 + 1))]


def test_a_trial_finds_what_one_list_finds() -> None:
    history = gift_shop().interactions()
    past = history.before(history.as_of_s - 14 * 86_400)
    truth = history.between(past.as_of_s, history.as_of_s).matrix()
    rows = np.flatnonzero(np.diff(truth.indptr)).astype(np.int32)
    fold = InnerFold(past, truth, rows)
    line = np.random.default_rng(0).random(history.n_products).astype(np.float32)
    trial = Trial(fold)
    dcg = trial.new_dcg(np.repeat(line[None, trial.columns], len(rows), axis=0))
    assert len(trial.columns) == history.n_products
    assert dcg == pytest.approx(new_dcg_of_one_list(fold, [line])[0])


def test_a_trial_scores_the_products_most_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIAL_PRODUCTS", 2)
    assert Trial(fold_of([(0, 3)])).columns.tolist() == [0, 1]


def test_a_shop_of_fashions_learns_a_short_half_life_and_a_steady_one_a_long() -> None:
    rng = np.random.default_rng(0)
    # every third day a new product, which half of the customers buy within a week or never
    days = [(c, p, 3 * p + int(rng.integers(7))) for p in range(28) for c in range(60) if rng.random() < 0.5]
    fashion = [(c, p, day + c / 100, day * 60 + c) for c, p, day in days if day < 84]
    visits = [(c, day) for day in range(0, 84, 2) for c in range(60)]
    steady = [(c, int(60 * rng.random() ** 3), day + c / 100, day * 60 + c) for c, day in visits]
    found = [
        take_up_half_life(history_of(lines, n_customers=60, n_products=60, as_of_day=84), FoldOptions())
        for lines in (fashion, steady)
    ]
    assert found[0] == 1.75  # the shortest of all: fashion here changes every week
    assert found[1] >= 28.0


def test_without_a_fold_the_half_life_is_the_middle_of_those_tried() -> None:
    history = history_of([(0, 0, 0, 0)], n_customers=1, n_products=1, as_of_day=84)
    assert take_up_half_life(history, FoldOptions()) == 28.0
