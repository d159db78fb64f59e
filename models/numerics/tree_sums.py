"""What trees say of many pairs: each split is put to all of them at once, instead of a pair to its splits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from models.arrays import DoubleArray, FloatArray

LEAVES_AT_ONCE = 128  # of a tree: of more, most splits concern hardly any pair; a byte counts 256
ZERO = float(np.float32(1e-35))  # what isn't further from 0 is 0 to LightGBM
PAIRS_AT_ONCE = 65_536  # with few, this thread and others wait for each other between two splits


class Split(NamedTuple):
    """One split of a tree.

    Attributes:
        feature: whose value decides.
        most: the largest value that goes left.
        is_nan_left: whether NaN goes left.
        first: which of the tree's leaves, counted from the left, is the first below this split.
        width: how many leaves are below its left side.
    """

    feature: int
    most: np.float32
    is_nan_left: bool
    first: np.uint8
    width: np.uint8


class Tree(NamedTuple):
    """Splits, each before those below it, and what the leaves say, from left to right."""

    splits: Sequence[Split]
    leaves: DoubleArray

    @classmethod
    def of(cls, structure: Mapping[str, Any]) -> Self:
        """A tree of at most LEAVES_AT_ONCE leaves, from LightGBM's `tree_structure`."""
        return cls(list(_splits(structure, 0)), np.array(_leaves(structure)))


def tree_sums(trees: Sequence[Tree], features: FloatArray) -> DoubleArray:
    """The sum of what trees say of each pair, shape (n,), to the bit as LightGBM adds them up.

    All pairs begin at a tree's first leaf. A split moves those that stand at the first of its leaves, and
    belong right, to the first leaf of its right side. Whoever went another way before stands elsewhere, and
    whoever stays goes on to the splits below. That looks at every pair for every split, a few times as many
    as are on its way, but without a branch, tens of pairs in one instruction.

    Args:
        trees: in their order.
        features: shape (n, m), float32, as what is the most that goes left; NaN for nothing to say.
    """
    sums, n_parts = np.zeros(len(features)), -(-len(features) // PAIRS_AT_ONCE)
    for values, part in zip(
        *(np.array_split(each, max(n_parts, 1)) for each in (features, sums)), strict=True
    ):
        columns, place = np.ascontiguousarray(values.T), np.empty(len(part), np.uint8)
        is_here, is_over = np.empty_like(place, np.bool_), np.empty_like(place, np.bool_)
        step = is_here.view(np.uint8)
        for tree in trees:
            place.fill(0)
            for feature, most, is_nan_left, first, width in tree.splits:
                np.equal(place, first, out=is_here)
                if is_nan_left:
                    np.greater(columns[feature], most, out=is_over)
                    np.logical_and(is_here, is_over, out=is_here)
                else:  # what isn't at most `most`, which NaN isn't
                    np.less_equal(columns[feature], most, out=is_over)
                    np.greater(is_here, is_over, out=is_here)
                np.multiply(step, width, out=step)
                np.add(place, step, out=place)
            np.add(part, tree.leaves.take(place), out=part)
    return sums


def _splits(node: Mapping[str, Any], first: int) -> Iterator[Split]:
    if "leaf_value" in node:
        return
    threshold, left, right = node["threshold"], node["left_child"], node["right_child"]
    # trained without NaN, a split takes it for 0
    is_nan_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
    width = len(_leaves(left))
    yield Split(node["split_feature"], _at_most(threshold), is_nan_left, np.uint8(first), np.uint8(width))
    yield from _splits(left, first)
    yield from _splits(right, first + width)


def _leaves(node: Mapping[str, Any]) -> list[float]:
    if "leaf_value" in node:
        return [node["leaf_value"]]
    return _leaves(node["left_child"]) + _leaves(node["right_child"])


def _at_most(threshold: float) -> np.float32:
    """The largest float32 that goes left; `dump_model` has 1e300 where the tree has infinity."""
    if abs(threshold) <= ZERO:
        return np.float32(ZERO) if threshold >= 0 else np.nextafter(np.float32(-ZERO), np.float32(-1))
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
    is_above = np.isfinite(near) and float(near) > threshold
    return np.nextafter(near, np.float32(-np.inf)) if is_above else near
