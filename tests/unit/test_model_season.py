"""The same weeks of last year, counted by hand."""

from math import exp

import numpy as np

from models.season import Season, SeasonOptions, season_share
from tests.data.scores import history_of

OPTIONS = SeasonOptions(horizon_days=10.0, spread=0.5)  # days around the window: deviation 5
# as of day 400 the window of last year is days 35 to 45
LINES = [(0, 0, 35, 0), (0, 1, 44, 1), (1, 1, 40, 2), (1, 2, 50, 3), (2, 3, 30, 4)]
LINES += [(2, 4, 390, 5), (0, 5, 10, 6)]
HISTORY = history_of(LINES, n_customers=3, n_products=7, as_of_day=400)


def test_the_share_is_of_last_year_s_customers_near_the_window() -> None:
    near = exp(-0.5)  # 5 days before and after it
    wanted = np.array([1, 2, near, near, 0, 0, 0]) / 3  # days 10 and 390 are too far away
    np.testing.assert_allclose(season_share(HISTORY, OPTIONS), wanted, rtol=1e-5)


def test_everyone_gets_the_share_and_nan_for_what_was_not_bought_then() -> None:
    scores = Season(OPTIONS).fit(HISTORY).score(np.array([2, 0], np.int32))
    assert np.isfinite(scores[0]).tolist() == [True] * 4 + [False] * 3
    np.testing.assert_array_equal(scores[0], scores[1])


def test_who_bought_a_product_in_many_orders_counts_once() -> None:
    often = [(0, 0, 40, 10 + number) for number in range(100)]
    history = history_of([*LINES, *often], n_customers=3, n_products=7, as_of_day=400)
    np.testing.assert_allclose(season_share(history, OPTIONS), season_share(HISTORY, OPTIONS))


def test_a_history_that_begins_within_the_window_has_no_season() -> None:
    later = [line for line in LINES if line[2] > 35]
    scores = Season(OPTIONS).fit(history_of(later, n_customers=3, n_products=7, as_of_day=400))
    assert np.isnan(scores.score(np.array([0], np.int32))).all()
