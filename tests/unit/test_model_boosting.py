"""Trees that are kept as text, learn an order, and tell true rates from thinned examples."""

import numpy as np
import pytest
from scipy.special import expit

from models.arrays import BoolArray, FloatArray
from models.numerics.boosting import Binned, TreeOptions, Trees

FEW = TreeOptions(n_trees=20, min_pairs=20)


def drawn_pairs(n: int, base: float, seed: int = 0) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Features, the true probability of each pair, and what was bought."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    features[rng.random((n, 3)) < 0.1] = np.nan
    known = np.nan_to_num(features)
    p = expit(base + 1.5 * known[:, 0] * (known[:, 1] > 0))
    return features, p.astype(np.float32), rng.random(n) < p


def grown_for_chance(
    features: FloatArray,
    is_bought: BoolArray,
    weight: FloatArray,
    share: FloatArray,
    options: TreeOptions,
    seed: int = 0,
) -> Trees:
    """From all of the pairs."""
    every = np.arange(len(features))
    return Trees.for_chance(Binned([features], is_bought), every, weight, share, options, seed)


def grown_for_order(features: FloatArray, is_bought: BoolArray, size: int, options: TreeOptions) -> Trees:
    """From all of the pairs, in groups of this size."""
    every, groups = np.arange(len(features)), np.full(len(features) // size, size)
    return Trees.for_order(Binned([features], is_bought), every, groups, options)


def chance(n: int = 2000, options: TreeOptions = FEW, seed: int = 0) -> tuple[Trees, FloatArray]:
    features, _, is_bought = drawn_pairs(n, -1)
    ones = np.ones(n, np.float32)
    return grown_for_chance(features, is_bought, ones, ones, options, seed), features


def order(options: TreeOptions = FEW) -> tuple[Trees, FloatArray, BoolArray]:
    """200 customers with ten products each."""
    features, _, is_bought = drawn_pairs(2000, -1)
    return grown_for_order(features, is_bought, 10, options), features, is_bought


def test_trees_read_from_their_text_say_the_same_to_the_bit() -> None:
    trees, features = chance()
    text = trees.text.copy()
    text.setflags(write=False)  # as mapped from a version
    np.testing.assert_array_equal(Trees(text).sums(features), trees.sums(features))
    np.testing.assert_array_equal(Trees(text).gains(), trees.gains())
    assert trees.text.dtype == np.uint8
    assert trees.text.tobytes().decode().startswith("tree\n")


def test_the_same_pairs_grow_the_same_bytes_and_another_seed_others() -> None:
    assert chance()[0].text.tobytes() == chance()[0].text.tobytes()
    assert order()[0].text.tobytes() == order()[0].text.tobytes()
    assert chance(seed=1)[0].text.tobytes() != chance()[0].text.tobytes()


def test_a_pair_s_sum_does_not_depend_on_the_others() -> None:
    trees, features = chance()
    sums = trees.sums(features)
    assert (sums.dtype, sums.shape) == (np.float64, (2000,))
    for place in (0, 1, 1999):
        np.testing.assert_array_equal(trees.sums(features[place : place + 1]), sums[place : place + 1])
    assert trees.sums(features[:0]).shape == (0,)


def test_order_trees_put_what_was_bought_first() -> None:
    """Bought is what has the group's largest feature: three in four firsts are it, one in ten by chance."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 10, 2)).astype(np.float32)
    is_bought = features[:, :, 0] == features[:, :, 0].max(axis=1, keepdims=True)
    trees = grown_for_order(features.reshape(-1, 2), is_bought.ravel(), 10, FEW)
    unseen = rng.normal(size=(200, 10, 2)).astype(np.float32)
    first = trees.sums(unseen.reshape(-1, 2)).reshape(200, 10).argmax(axis=1)
    assert (first == unseen[:, :, 0].argmax(axis=1)).mean() > 0.65


def test_order_trees_compare_within_a_group_alone() -> None:
    """Groups of very different levels, which say nothing: only the place within the group does."""
    rng = np.random.default_rng(2)
    within = rng.normal(size=(300, 8)).astype(np.float32)
    level = np.repeat(rng.normal(size=(300, 1)) * 10, 8, axis=1).astype(np.float32)
    is_bought = within == within.max(axis=1, keepdims=True)
    features = np.stack([within.ravel(), level.ravel()], axis=1)
    trees = grown_for_order(features, is_bought.ravel(), 8, FEW)
    gains = trees.gains()
    assert gains[0] > 0.9
    assert gains.sum() == pytest.approx(1)


def test_probabilities_are_true_though_what_was_not_bought_was_thinned() -> None:
    """A tenth of it is kept, or 3 in 10: without the offset 1.8 % would be told as about 12 %."""
    features, p, is_bought = drawn_pairs(60_000, -4.3)
    share = np.where(np.arange(60_000) % 2 == 0, 0.1, 0.3).astype(np.float32)
    kept = np.flatnonzero(is_bought | (np.random.default_rng(1).random(60_000) < share))
    trees = grown_for_chance(
        features[kept], is_bought[kept], np.ones(len(kept), np.float32), share[kept], TreeOptions()
    )
    unseen, true, _ = drawn_pairs(60_000, -4.3, seed=2)
    told = expit(trees.sums(unseen))
    assert told.mean() == pytest.approx(true.mean(), rel=0.06)
    likely = true > 0.05
    assert told[likely].mean() == pytest.approx(true[likely].mean(), rel=0.1)
    for thinned in (0, 1):  # the trees do not see it, and need not: both parts come out alike
        assert expit(trees.sums(features[thinned::2])).mean() == pytest.approx(p[thinned::2].mean(), rel=0.1)


def test_a_pair_that_weighs_three_counts_three_times() -> None:
    """Half the pairs are bought; what is bought weighs 3: three in four."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 2)).astype(np.float32)
    is_bought = np.arange(4000) % 2 == 0
    weight = np.where(is_bought, 3, 1).astype(np.float32)
    trees = grown_for_chance(
        features, is_bought, weight, np.ones(4000, np.float32), TreeOptions(min_pairs=1000)
    )
    assert expit(trees.sums(features)).mean() == pytest.approx(0.75, abs=0.01)


def test_options_bound_the_trees() -> None:
    text = chance(options=TreeOptions(n_trees=7, leaves=4, min_pairs=50))[0].text.tobytes().decode()
    assert text.count("\nTree=") == 7
    leaves = [int(line.split("=")[1]) for line in text.splitlines() if line.startswith("num_leaves=")]
    assert max(leaves) == 4
    counts = [line.split("=")[1] for line in text.splitlines() if line.startswith("leaf_count=")]
    assert min(int(count) for line in counts for count in line.split()) >= 50


def test_pairs_put_into_bins_together_are_learned_from_apart() -> None:
    """What is left out of an ensemble changes nothing in it, whatever was bought there."""
    features, _, is_bought = drawn_pairs(2000, -1)
    ones, kept = np.ones(2000, np.float32), np.arange(0, 2000, 2)
    other = np.where(np.arange(2000) % 2 == 0, is_bought, ~is_bought)
    one, two = (
        Trees.for_chance(Binned([features], each), kept, ones, ones, FEW) for each in (is_bought, other)
    )
    assert one.text.tobytes() == two.text.tobytes()
    assert one.text.tobytes() != chance()[0].text.tobytes()


def test_pairs_in_parts_teach_what_they_teach_in_one() -> None:
    features, _, is_bought = drawn_pairs(2000, -1)
    ones, every = np.ones(2000, np.float32), np.arange(2000)
    parts = [features[:300], features[300:300], features[300:]]
    trees = Trees.for_chance(Binned(parts, is_bought), every, ones, ones, FEW)
    assert trees.text.tobytes() == chance()[0].text.tobytes()


def test_losses_tell_when_trees_learn_by_heart() -> None:
    """200 pairs whose outcome has little to do with their figures: what they say of others gets worse."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(2200, 5)).astype(np.float32)
    is_bought = rng.random(2200) < expit(0.5 * features[:, 0])
    ones = np.ones(2200, np.float32)
    options = TreeOptions(n_trees=60, min_pairs=5, ridge=0)
    trees = Trees.for_chance(
        Binned([features], is_bought), np.arange(200), ones, ones, options, unseen=np.arange(200, 2200)
    )
    assert len(trees.losses) == 60
    assert int(np.argmin(trees.losses)) < 30
    told = expit(trees.sums(features[200:], 7))
    loss = -np.where(is_bought[200:], np.log(told), np.log1p(-told)).mean()
    assert loss == pytest.approx(trees.losses[6], rel=1e-6)


def test_trees_that_found_nothing_have_no_gains() -> None:
    constant = np.zeros((500, 2), np.float32)
    ones = np.ones(500, np.float32)
    trees = grown_for_chance(constant, np.arange(500) % 2 == 0, ones, ones, FEW)
    assert trees.gains().tolist() == [0, 0]


def test_what_may_not_lower_the_sum_does_not_though_the_pairs_say_otherwise() -> None:
    """Bought the less the higher the first figure: told that it rises, the trees never fall with it."""
    rng = np.random.default_rng(4)
    features = rng.normal(size=(3000, 2)).astype(np.float32)
    is_bought = rng.random(3000) < expit(2 * features[:, 1] - features[:, 0])
    ones, every, grid = np.ones(3000, np.float32), np.arange(3000), np.linspace(-3, 3, 50)
    asked = np.stack([np.tile(grid, 2), np.repeat([-1.0, 1.0], 50)], axis=1).astype(np.float32)
    for rising, falls in ((np.array([True, False]), False), (None, True)):
        trees = Trees.for_chance(Binned([features], is_bought), every, ones, ones, FEW, rising=rising)
        steps = np.diff(trees.sums(asked).reshape(2, 50), axis=1)
        assert (steps.min() < -1e-9) == falls
