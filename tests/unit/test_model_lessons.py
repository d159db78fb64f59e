"""How many trees a ranker grows: what windows say that the trees have not seen."""

from dataclasses import replace

import numpy as np
from scipy.special import expit

from models.boosting import MOST_TREES, TreeOptions
from models.lessons import FURTHER, Lessons
from models.windows import Window

QUICK = TreeOptions(min_pairs=10, leaves=8)


def windows_of(n_windows: int, n_customers: int, strength: float) -> list[Window]:
    """Customers with ten pairs each; the first of five figures tells of purchases, as far as `strength`."""
    found = []
    for number in range(n_windows):
        rng = np.random.default_rng(number)
        n = 10 * n_customers
        features = rng.normal(size=(n, 5)).astype(np.float32)
        customer_row = np.repeat(np.arange(n_customers, dtype=np.int32), 10)
        ones = np.ones(n, np.float32)
        is_bought = rng.random(n) < expit(strength * features[:, 0] - 1)
        came = customer_row % 4 > 0
        found.append(Window(number, 0, customer_row, came, is_bought, features, is_bought & came, ones, ones))
    return found


def test_where_there_is_little_to_learn_few_trees_are_grown_and_more_where_there_is_much() -> None:
    noise, _ = Lessons(windows_of(4, 60, 0.2), 0).learned(QUICK)
    much, _ = Lessons(windows_of(4, 600, 2.0), 0).learned(QUICK)
    assert noise.n_trees is not None
    assert much.n_trees is not None
    assert 1 <= noise.n_trees < 20 < much.n_trees <= MOST_TREES


def test_a_number_that_was_chosen_is_kept_and_two_windows_learn_none() -> None:
    lessons = Lessons(windows_of(3, 60, 1.0), 0)
    assert lessons.learned(replace(QUICK, n_trees=7))[0].n_trees == 7
    options, predicted = Lessons(windows_of(2, 60, 1.0), 0).learned(QUICK)
    assert (options.n_trees, predicted) == (MOST_TREES, [])


def test_predictions_of_a_window_do_not_depend_on_what_was_bought_in_it() -> None:
    windows = windows_of(4, 60, 1.0)
    changed = [*windows[:2], replace(windows[2], is_bought=~windows[2].is_bought), windows[3]]
    options = replace(QUICK, n_trees=5)
    one, two = (Lessons(each, 0).learned(options)[1] for each in (windows, changed))
    for number in (0, 2):  # grown from windows 1 and 3
        np.testing.assert_array_equal(one[number].log_odds, two[number].log_odds)
    assert (one[1].log_odds != two[1].log_odds).any()
    assert [len(each.log_odds) for each in one] == [600] * 4


def test_the_ensembles_are_those_of_their_options() -> None:
    lessons = Lessons(windows_of(2, 60, 1.0), 0)
    options = replace(QUICK, n_trees=6)
    for trees in (lessons.order(options), lessons.chance(options)):
        assert trees.text.tobytes().decode().count("\nTree=") == 6
    assert FURTHER > 1
