"""All pairs put to a split at once are told the same to the bit as LightGBM tells pair by pair."""

import lightgbm
import numpy as np
import pytest

from models.arrays import FloatArray
from models.numerics import tree_sums as tree_sums_module
from models.numerics.boosting import FEW_PAIRS, Binned, TreeOptions, Trees
from models.numerics.tree_sums import LEAVES_AT_ONCE, Tree, tree_sums

LEAF = {"left": {"leaf_value": 1.0}, "middle": {"leaf_value": 2.0}, "right": {"leaf_value": 4.0}}
EDGES = [0.0, -0.0, 1e-35, -1e-35, 1.1e-35, 1e-40, -1e-40, np.inf, -np.inf, np.nan, 3e38, -3e38]


def split(feature: int, most: float, left: object, right: object, nan: str = "None") -> dict[str, object]:
    """As LightGBM's `dump_model` has it; NaN goes "left" or "right", or is taken for 0."""
    kind = {"missing_type": "None" if nan == "None" else "NaN", "default_left": nan != "right"}
    ways = {"left_child": left, "right_child": right}
    return {"split_feature": feature, "threshold": most, **kind, **ways}


def drawn(n: int, seed: int, *, with_nan: bool = True) -> FloatArray:
    """Four features: a wide one, one of few values, one that is mostly absent, and one of edges."""
    rng = np.random.default_rng(seed)
    absent = np.where(rng.random(n) < 0.8, np.nan if with_nan else 0, rng.normal(size=n))
    edges = rng.choice([edge for edge in EDGES if with_nan or np.isfinite(edge)], n)
    wide = rng.normal(size=n) * 10.0 ** rng.integers(-6, 6, n)
    return np.stack([wide, rng.integers(-2, 3, n), absent, edges], axis=1).astype(np.float32)


def grown(features: FloatArray, options: TreeOptions, seed: int = 0) -> Trees:
    rng = np.random.default_rng(seed)
    known = np.clip(np.nan_to_num(features, nan=0.5, posinf=2, neginf=-2), -2, 2)
    is_bought = known.sum(axis=1) + np.isnan(features[:, 2]) + rng.normal(size=len(features)) > 0.5
    ones = np.ones(len(features), np.float32)
    return Trees.for_chance(
        Binned([features], is_bought), np.arange(len(features)), ones, ones, options, seed
    )


def by_lightgbm(trees: Trees, features: FloatArray, n_trees: int | None = None) -> np.ndarray:
    booster = lightgbm.Booster(model_str=trees.text.tobytes().decode())
    return np.asarray(booster.predict(features, raw_score=True, num_iteration=n_trees))


def thresholds(trees: Trees) -> np.ndarray:
    lines = [line for line in trees.text.tobytes().decode().splitlines() if line.startswith("threshold=")]
    return np.array(" ".join(line[len("threshold=") :] for line in lines).split(), np.float64)


def test_a_tree_by_hand() -> None:
    """At most 5 goes left, and is told 1; of the rest at most 0 in the second feature 2, others 4."""
    tree = Tree.of(split(0, 5.0, LEAF["left"], split(1, 0.0, LEAF["middle"], LEAF["right"])))
    pairs = np.array([[5, 9], [6, 0], [6, 1], [np.nan, 1], [9, np.nan]], np.float32)
    np.testing.assert_array_equal(tree_sums([tree], pairs), [1, 2, 4, 1, 2])
    np.testing.assert_array_equal(tree_sums([tree, tree], pairs), [2, 4, 8, 2, 4])
    np.testing.assert_array_equal(tree_sums([], pairs), np.zeros(5))


@pytest.mark.parametrize(
    ("nan", "most", "told"),
    [("left", -1.0, 1), ("right", -1.0, 4), ("right", 1.0, 4), ("None", -1.0, 4), ("None", 0.0, 1)],
)
def test_nan_goes_where_it_went_or_is_0_where_there_was_none(nan: str, most: float, told: float) -> None:
    tree = Tree.of(split(0, most, LEAF["left"], LEAF["right"], nan))
    np.testing.assert_array_equal(tree_sums([tree], np.array([[np.nan]], np.float32)), [told])


@pytest.mark.parametrize("most", [0.1, -0.1, 1 / 3, -1 / 3, 16777217.0, 3e38])
def test_a_threshold_between_two_float32_parts_them(most: float) -> None:
    near = np.float32(most)
    values = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    tree = Tree.of(split(0, most, LEAF["left"], LEAF["right"]))
    told = [1 if float(value) <= most else 4 for value in values]
    np.testing.assert_array_equal(tree_sums([tree], np.array(values)[:, None]), told)


@pytest.mark.parametrize(
    ("most", "told"),
    [
        (1e300, [1, 1, 1, 1, 1]),  # how the dump writes infinity, which parts what is there from NaN
        (-1e300, [1, 4, 4, 4, 4]),
        (1e-36, [1, 1, 1, 1, 4]),  # what is as near to 0 as that is 0
        (-1e-36, [1, 4, 4, 4, 4]),
    ],
)
def test_edges_are_parted_as_lightgbm_does(most: float, told: list[float]) -> None:
    tree = Tree.of(split(0, most, LEAF["left"], LEAF["right"], "right"))
    values = np.array([-np.inf, -1e-36, 0, 1e-35, np.inf], np.float32)
    np.testing.assert_array_equal(tree_sums([tree], values[:, None]), told)


@pytest.mark.parametrize("leaves", [2, 7, 31, LEAVES_AT_ONCE])
@pytest.mark.parametrize("with_nan", [True, False])
def test_sums_are_those_of_lightgbm_to_the_bit(leaves: int, with_nan: bool) -> None:
    options = TreeOptions(n_trees=20, leaves=leaves, min_pairs=5, ridge=0)
    trees = grown(drawn(6000, 1, with_nan=with_nan), options)
    unseen = drawn(FEW_PAIRS + 500, 2)  # NaN also where none was learned from
    np.testing.assert_array_equal(trees.sums(unseen), by_lightgbm(trees, unseen))
    few = trees.sums(unseen, 3)
    np.testing.assert_array_equal(few, by_lightgbm(trees, unseen, 3))
    assert (few != trees.sums(unseen)).any()


def test_values_at_the_thresholds_go_the_same_way() -> None:
    trees = grown(drawn(6000, 1), TreeOptions(n_trees=20, min_pairs=5, ridge=0))
    most = thresholds(trees)
    assert np.isfinite(most).sum() > 100
    most = np.clip(most, -3e38, 3e38).astype(np.float32)
    near = np.concatenate([most, *(np.nextafter(most, np.float32(to)) for to in (-np.inf, np.inf))])
    pairs = np.random.default_rng(0).choice(near, (FEW_PAIRS + 500, 4))
    np.testing.assert_array_equal(trees.sums(pairs), by_lightgbm(trees, pairs))


def test_more_pairs_than_are_looked_at_at_once_are_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = grown(drawn(3000, 1), TreeOptions(n_trees=5, min_pairs=5))
    unseen = drawn(FEW_PAIRS + 7, 2)
    at_once = trees.sums(unseen)
    monkeypatch.setattr(tree_sums_module, "PAIRS_AT_ONCE", 1000)
    np.testing.assert_array_equal(trees.sums(unseen), at_once)


@pytest.mark.parametrize("n_trees", [None, 1])
def test_trees_without_a_split_and_trees_with_many_leaves_are_told_too(n_trees: int | None) -> None:
    unseen = drawn(FEW_PAIRS + 7, 2)
    flat = grown(np.zeros((3000, 4), np.float32), TreeOptions(n_trees=5))
    large = grown(drawn(20_000, 1), TreeOptions(n_trees=5, leaves=LEAVES_AT_ONCE + 1, min_pairs=5, ridge=0))
    assert f"num_leaves={LEAVES_AT_ONCE + 1}\n" in large.text.tobytes().decode()
    for trees in (flat, large):
        np.testing.assert_array_equal(trees.sums(unseen, n_trees), by_lightgbm(trees, unseen, n_trees))


def test_trees_with_many_leaves_are_not_dumped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump of them takes much memory, and of deep ones it ends the process."""
    unseen = drawn(FEW_PAIRS + 7, 2)
    large = grown(drawn(20_000, 1), TreeOptions(n_trees=5, leaves=LEAVES_AT_ONCE + 1, min_pairs=5, ridge=0))
    monkeypatch.setattr(lightgbm.Booster, "dump_model", None)
    np.testing.assert_array_equal(large.sums(unseen), by_lightgbm(large, unseen))


def test_doubles_between_a_threshold_and_float32_go_as_lightgbm_has_it() -> None:
    trees = grown(drawn(6000, 1), TreeOptions(n_trees=20, min_pairs=5, ridge=0))
    most = thresholds(trees)
    doubles = np.random.default_rng(0).choice(most[np.isfinite(most)], (FEW_PAIRS + 500, 4))
    np.testing.assert_array_equal(trees.sums(doubles), by_lightgbm(trees, doubles))


@pytest.mark.parametrize("n", [1, FEW_PAIRS + 1])
def test_other_features_than_were_learned_from_are_refused(n: int) -> None:
    trees = grown(drawn(3000, 1), TreeOptions(n_trees=2, min_pairs=5))
    for n_features in (3, 5):
        with pytest.raises(lightgbm.basic.LightGBMError, match="number of features"):
            trees.sums(np.zeros((n, n_features), np.float32))
