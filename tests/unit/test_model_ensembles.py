"""The ensembles together: who gets the places of new products, and what is kept of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.numerics.boosting import TreeOptions, Trees
from models.ranking.ensembles import MIN_NEW, Ensembles, dealt
from models.ranking.lessons import Lessons
from models.ranking.sources import Candidates
from models.ranking.windows import Window

OPTIONS = TreeOptions(n_trees=10, leaves=8, min_pairs=10)
NEITHER = np.empty((0, 0), np.float32)


def windows(*, new_share: float) -> list[Window]:
    """Three windows of 60 customers with 20 pairs each; three figures tell of purchases."""
    found = []
    for number in range(3):
        rng = np.random.default_rng(number)
        customer_row = np.repeat(np.arange(60, dtype=np.int32), 20)
        n = len(customer_row)
        features = rng.normal(size=(n, 3)).astype(np.float32)
        is_own = rng.random(n) >= new_share
        is_bought = features @ [1, 1, 0.5] + 2 * is_own + rng.normal(size=n) > 2
        ones = np.ones(n, np.float32)
        came = np.ones(n, np.bool_)
        found.append(Window(number, 0, customer_row, came, is_own, features, is_bought, ones, ones, came))
    return found


def seldom_bought(number: int) -> Window:
    """400 customers with 60 new products each: a tenth of the few liked ones is bought, hardly any others."""
    rng = np.random.default_rng(number)
    customer_row = np.repeat(np.arange(400, dtype=np.int32), 60)
    n = len(customer_row)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    is_bought = rng.random(n) < np.where(features[:, 0] > 1.5, 0.1, 0.0001)
    ones, came = np.ones(n, np.float32), np.ones(n, np.bool_)
    return Window(number, 0, customer_row, came, ~came, features, is_bought, ones, ones, came)


def grown(*, new_share: float) -> Ensembles:
    past = windows(new_share=new_share)
    return Ensembles.grown(Lessons(past, 0), OPTIONS, past[0], level=0.0)


def found_in(window: Window) -> Candidates:
    rows = np.arange(len(window), dtype=np.int32)
    who = np.unique(window.customer_row)
    return Candidates(who, window.customer_row, rows, window.is_own, NEITHER, NEITHER, NEITHER)


def flat(window: Window) -> np.ndarray:
    """Of nothing more is to be expected than is known."""
    return np.zeros(len(window), np.float32)


def test_scores_are_dealt_within_each_customer_the_highest_to_the_one_liked_most() -> None:
    scores, liking = np.array([3.0, 1.0, 2.0, 7.0, 9.0]), np.array([0.0, 5.0, 1.0, 2.0, 1.0])
    found = dealt(scores, liking, np.array([4, 4, 4, 6, 6]))
    np.testing.assert_array_equal(found, [1.0, 3.0, 2.0, 9.0, 7.0])


@given(
    st.integers(0, 30).flatmap(
        lambda n: st.tuples(
            arrays(np.float64, n, elements=st.floats(-9, 9)),
            arrays(np.float64, n, elements=st.floats(-9, 9)),
            arrays(np.int32, n, elements=st.integers(0, 3)).map(np.sort),
        )
    )
)
def test_each_customer_keeps_the_scores_that_they_had(given: tuple[np.ndarray, ...]) -> None:
    scores, liking, customer = given
    found = dealt(scores, liking, customer)
    for row in np.unique(customer):
        mine = customer == row
        np.testing.assert_array_equal(np.sort(found[mine]), np.sort(scores[mine]))
        by_liking = found[mine][np.argsort(-liking[mine], kind="stable")]
        assert (np.diff(by_liking) <= 0).all()


def test_what_was_bought_before_keeps_its_score_and_new_products_change_places() -> None:
    ensembles, window = grown(new_share=0.5), windows(new_share=0.5)[0]
    first_two = {name: ensembles.trees[name] for name in ("order", "chance")}
    without = Ensembles(first_two, ensembles.spread)
    one, log_odds = ensembles.judged(found_in(window), window.features, flat(window))
    other, as_before = without.judged(found_in(window), window.features, flat(window))
    np.testing.assert_array_equal(one[window.is_own], other[window.is_own])
    assert (one != other).any()
    np.testing.assert_array_equal(log_odds, as_before)
    for row in range(60):
        mine = (window.customer_row == row) & ~window.is_own
        np.testing.assert_array_equal(np.sort(one[mine]), np.sort(other[mine]))


class Saying(Trees):
    """Trees that say what they are told to, of all that they are asked about."""

    def __init__(self, sums: list[float]) -> None:
        self._told = np.array(sums)

    def sums(self, features: np.ndarray, n_trees: int | None = None) -> np.ndarray:
        return self._told


def test_all_four_say_which_new_product_comes_first() -> None:
    told = {
        "order": Saying([5.0, 0.0, 1.0, 3.0]),
        "chance": Saying([10.0, 8.0, 2.0, 0.0]),
        "new_order": Saying([0.0, 1.0, 0.0]),
        "new_chance": Saying([1.0, 1.0, 0.0]),
    }
    spread = {"order": 1.0, "chance": 2.0, "new_order": 1.0, "new_chance": 1.0}
    customer, product = np.zeros(4, np.int32), np.arange(4, dtype=np.int32)
    found = Candidates(customer[:1], customer, product, product == 0, NEITHER, NEITHER, NEITHER)
    ensembles, features = Ensembles(dict(told), spread), np.zeros((4, 1), np.float32)
    order, log_odds = ensembles.judged(found, features, np.zeros(4, np.float32))
    # of 4, 2 and 3; together they say 5, 4 and 3 of the new ones, all but the chance 1, 3 and 3
    np.testing.assert_array_equal(order, [10.0, 4.0, 3.0, 2.0])
    np.testing.assert_array_equal(log_odds, [10.0, 8.0, 2.0, 0.0])
    order, _ = ensembles.judged(found, features, np.array([0, 0, 0, 0.8], np.float32))
    # of 4, 2 and 4.2; all four rise, so that they say 5, 4 and 5.8 of the new ones
    np.testing.assert_allclose(order, [10.0, 4.0, 2.0, 4.2], rtol=1e-6)


def test_products_of_which_far_more_is_to_be_expected_come_before_all_others_and_are_likelier() -> None:
    ensembles, window = grown(new_share=0.5), windows(new_share=0.5)[0]
    is_rising = np.arange(len(window)) % 3 == 0
    before, odds_before = ensembles.judged(found_in(window), window.features, flat(window))
    order, odds = ensembles.judged(found_in(window), window.features, np.float32(50) * is_rising)
    np.testing.assert_allclose(odds, odds_before + 50 * is_rising)
    calm_own = window.is_own & ~is_rising
    np.testing.assert_array_equal(order[calm_own], before[calm_own])
    for row in range(60):
        mine = window.customer_row == row
        assert order[mine & is_rising].min() > order[mine & ~is_rising].max()


@pytest.mark.parametrize(
    ("new_share", "names"),
    [
        (0.5, ["order", "chance", "new_order", "new_chance"]),
        (1.0, ["order", "chance", "new_chance"]),  # the order of all is that of the new
        (0.01, ["order", "chance"]),
    ],
)
def test_there_are_as_many_ensembles_as_there_is_to_learn_from(new_share: float, names: list[str]) -> None:
    ensembles = grown(new_share=new_share)
    assert list(ensembles.trees) == list(ensembles.spread) == names
    assert (Lessons(windows(new_share=new_share), 0).n_new >= MIN_NEW) == ("new_chance" in names)


def test_a_surprise_among_thousands_of_pairs_makes_no_novelty_certain_or_impossible() -> None:
    past = [seldom_bought(number) for number in range(3)]
    options = TreeOptions(n_trees=100, learning_rate=0.3, min_pairs=30)
    ensembles = Ensembles.grown(Lessons(past, 0), options, past[0], level=0.0)
    log_odds = ensembles.trees["new_chance"].sums(seldom_bought(3).features)
    assert np.abs(log_odds).max() < 20


def test_what_is_known_of_the_horizon_s_level_moves_log_odds_and_no_order() -> None:
    ensembles, window = grown(new_share=0.5), windows(new_share=0.5)[0]
    raised = Ensembles(ensembles.trees, ensembles.spread, level=0.5)
    order, odds = ensembles.judged(found_in(window), window.features, flat(window))
    order_raised, odds_raised = raised.judged(found_in(window), window.features, flat(window))
    np.testing.assert_array_equal(order_raised, order)
    np.testing.assert_array_equal(odds_raised, odds + 0.5)


def test_what_was_kept_says_the_same_to_the_bit() -> None:
    ensembles, window = grown(new_share=0.5), windows(new_share=0.5)[1]
    again = Ensembles.of_arrays(ensembles.arrays(), ensembles.spread, ensembles.level)
    for one, other in zip(
        ensembles.judged(found_in(window), window.features, flat(window)),
        again.judged(found_in(window), window.features, flat(window)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_customers_without_new_candidates_are_judged_all_the_same() -> None:
    ensembles, window = grown(new_share=0.5), windows(new_share=0.0)[0]
    order, _ = ensembles.judged(found_in(window), window.features, flat(window))
    assert np.isfinite(order).all()
    nobody = window.only(np.zeros(len(window), np.bool_))
    assert len(ensembles.judged(found_in(nobody), nobody.features, flat(nobody))[0]) == 0
