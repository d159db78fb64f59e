"""How many trees a ranker grows: what windows say that the trees have not seen."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from models.numerics.boosting import MOST_TREES, TreeOptions, Trees
from models.ranking.lessons import FURTHER, Lessons
from models.ranking.windows import Window

QUICK = TreeOptions(min_pairs=10, leaves=8)


def windows_of(n_windows: int, n_customers: int, strength: float, level: float = 0.0) -> list[Window]:
    """Customers with ten pairs each; the first of five figures tells of purchases, as far as `strength`."""
    found = []
    for number in range(n_windows):
        rng = np.random.default_rng(number)
        n = 10 * n_customers
        features = rng.normal(size=(n, 5)).astype(np.float32)
        customer_row = np.repeat(np.arange(n_customers, dtype=np.int32), 10)
        ones = np.ones(n, np.float32)
        is_bought = rng.random(n) < expit(strength * features[:, 0] - 1 + level)
        came = customer_row % 4 > 0
        even = np.ones(n, np.bool_)
        found.append(
            Window(number, 0, customer_row, came, is_bought, features, is_bought & came, ones, ones, even)
        )
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


def test_what_is_known_of_a_window_s_level_is_not_learned_from_its_pairs() -> None:
    """In each second window far more is bought; the other figures say nothing of which one it is."""
    options = replace(QUICK, n_trees=40)
    plain, raised = (
        [each.only(each.has_come) for each in windows_of(4, 600, 1.0, level)] for level in (0.0, 1.5)
    )
    windows, levels = [plain[0], raised[1], plain[2], raised[3]], [0.0, 1.5, 0.0, 1.5]
    lessons = Lessons(windows, 0, levels)
    sums = lessons.chance(options).sums(plain[0].features)
    alone = Lessons(plain, 0).chance(options).sums(plain[0].features)
    assert abs((sums - alone).mean()) < 0.1
    assert (Lessons(windows, 0).chance(options).sums(plain[0].features) - alone).mean() > 0.5
    _, predicted = lessons.learned(options)
    for each in predicted:  # those of the even windows are by trees from the odd ones
        assert expit(each.log_odds).sum() == pytest.approx(each.is_bought.sum(), rel=0.1)


def test_an_order_is_learned_from_the_even_lot_and_a_chance_from_all() -> None:
    windows = windows_of(2, 60, 1.0)
    odd = np.arange(600) % 2 == 1
    some = [replace(each, is_even=odd) for each in windows]
    alone = [each.only(odd) for each in windows]
    options = replace(QUICK, n_trees=3)
    order, chance = (Lessons(some, 0).order(options), Lessons(some, 0).chance(options))
    np.testing.assert_array_equal(chance.text, Lessons(windows, 0).chance(options).text)
    assert _counted(order) == _counted(Lessons(alone, 0).order(options)) < _counted(chance)


def _counted(trees: Trees) -> int:
    """How many pairs the first tree's root has seen."""
    first = trees.text.tobytes().decode().split("\ninternal_count=")[1]
    return int(first.split()[0])


def test_the_ensembles_are_those_of_their_options() -> None:
    lessons = Lessons(windows_of(2, 60, 1.0), 0)
    options = replace(QUICK, n_trees=6)
    for trees in (lessons.order(options), lessons.chance(options)):
        assert trees.text.tobytes().decode().count("\nTree=") == 6
    assert FURTHER > 1
