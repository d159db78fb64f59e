"""Boosted trees: LightGBM, kept as its own text, which holds numbers and no code."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from models.arrays import AnyIntArray, BoolArray, DoubleArray, FloatArray, LongArray
from models.bounds import above_zero, within
from models.numerics.cores import AT_ONCE
from models.numerics.tree_sums import LEAVES_AT_ONCE, Tree, tree_sums

if TYPE_CHECKING:  # a second to load, for those who grow trees or ask them
    import lightgbm

MOST_TREES = 100  # that are grown; a shop with little to learn from wants fewer
MOST_LEAVES = 131_072  # that LightGBM takes
MOST_RIDGE = 1e6  # leaves say nothing long before
FEW_PAIRS = 4096  # of which LightGBM tells sooner
TRUNCATION = 15  # places at the top whose order LambdaRank learns; a little more than are judged


@dataclass(frozen=True)
class TreeOptions:
    """How trees are grown.

    Attributes:
        n_trees: one after another, each on what the others got wrong; None: learned, as many as predict other
            windows best, at most MOST_TREES.
        learning_rate: how far each tree goes.
        leaves: of one tree at most.
        min_pairs: a leaf has at least this many pairs; fewer say little.
        columns: share of the features that each tree may look at.
        ridge: how strongly each leaf is drawn towards saying nothing; it matters where leaves have little to
            learn from.
    """

    n_trees: int | None = None
    learning_rate: float = 0.1
    leaves: int = 31
    min_pairs: int = 100
    columns: float = 0.5
    ridge: float = 60.0

    def __post_init__(self) -> None:
        within("leaves", self.leaves, 2, MOST_LEAVES)
        above_zero("learning_rate", self.learning_rate)
        above_zero("columns", self.columns)
        within("columns", self.columns, 0, 1)
        within("ridge", self.ridge, 0, MOST_RIDGE)


class Binned:
    """Pairs to learn from, their features put into bins once for all ensembles that learn from some of them.

    Attributes:
        is_bought: shape (n,).
    """

    def __init__(self, features: Sequence[FloatArray], is_bought: BoolArray) -> None:
        """Pairs to put into bins.

        Args:
            features: one after another of shape (n_i, m), NaN for nothing to say; they are not kept. As one
                array they would take their room twice.
            is_bought: shape (n,), of all of them.
        """
        import lightgbm  # noqa: PLC0415

        self.is_bought = is_bought
        parts = [part for part in features if len(part)]
        parameters = {"feature_pre_filter": False, "force_col_wise": True, "num_threads": 1, "verbosity": -1}
        # a column waits for no other, as splits of a tree do
        all_cores = parameters | {"num_threads": AT_ONCE}
        self._data = lightgbm.Dataset(parts, is_bought.astype(np.float32), params=all_cores).construct()
        self._data.params = parameters  # its subsets are made while others grow

    def at(self, kept: LongArray) -> "lightgbm.Dataset":
        """The pairs at these places, rising."""
        return self._data.subset(kept.tolist()).construct()


class Trees:
    """A fitted ensemble. What was saved says to the bit what was fitted: both are read from the text.

    Bins are counted column by column: on one core that is faster than by rows, which takes a copy of all
    pairs, and the same numbers are added up in the same order. Each is grown and asked on one core: several
    would wait for each other thousands of times a tree, which takes many times as long where others use the
    cores too. Two ensembles that grow side by side don't wait.

    Attributes:
        losses: where other pairs were watched while it grew: the mean log loss on them after each tree.
    """

    losses: list[float]

    def __init__(self, text: NDArray[np.uint8]) -> None:
        import lightgbm  # noqa: PLC0415

        self.text = text
        self._booster = lightgbm.Booster(model_str=text.tobytes().decode())

    @classmethod
    def for_order(
        cls, pairs: Binned, kept: LongArray, group: AnyIntArray, options: TreeOptions, seed: int = 0
    ) -> Self:
        """Trees whose sum puts what was bought first within each group.

        Args:
            pairs: pairs of one group stand together.
            kept: the places of those that are learned from, rising.
            group: sizes of the groups, in their order, of the pairs that are kept.
            options: see there.
            seed: of the draw of pairs and features for each tree.
        Source: LambdaMART, Burges 2010.
        """
        data = pairs.at(kept)
        data.set_group(group)
        objective = {"objective": "lambdarank", "lambdarank_truncation_level": TRUNCATION, "seed": seed}
        return cls._grown(data, objective, options)

    @classmethod
    def for_chance(
        cls,
        pairs: Binned,
        kept: LongArray,
        weight: FloatArray,
        share: FloatArray,
        options: TreeOptions,
        seed: int = 0,
        unseen: LongArray | None = None,
        rising: BoolArray | None = None,
        told: DoubleArray | None = None,
    ) -> Self:
        """Trees whose sum is the log odds of a purchase.

        Args:
            pairs, kept: as above.
            weight: shape (n,), how much each pair counts.
            share: shape (n,), of the pairs like this that were not bought, the share that is here.
            options, seed: as above.
            unseen: places of other pairs, by which `losses` are told.
            rising: shape (m,), features of which more never lowers the sum; None: none has to be so.
            told: shape (n,), log odds that are known of each pair and to be added to the sum; None: of none.
        Source: sampling that depends on the outcome moves the log odds by its log, Prentice, Pyke 1979.
        """
        is_bought, told = pairs.is_bought[kept], np.zeros(len(share)) if told is None else told
        stands_for = np.where(is_bought, weight[kept], weight[kept] / share[kept])
        level = _level(is_bought, stands_for) - np.log(np.average(np.exp(told[kept]), weights=stands_for))
        begins = level + told - np.log(share.astype(np.float64))
        data, *others = (_subset(pairs, part, weight, begins) for part in (kept, unseen) if part is not None)
        objective: dict[str, Any] = {"objective": "binary", "seed": seed}
        if rising is not None:
            objective["monotone_constraints"] = rising.astype(int).tolist()
        return cls._grown(data, objective, options, level, *others)

    @classmethod
    def _grown(
        cls,
        data: "lightgbm.Dataset",
        objective: dict[str, Any],
        options: TreeOptions,
        level: float = 0.0,
        unseen: "lightgbm.Dataset | None" = None,
    ) -> Self:
        import lightgbm  # noqa: PLC0415

        parameters = {
            **objective,
            "learning_rate": options.learning_rate,
            "num_leaves": options.leaves,
            "min_data_in_leaf": options.min_pairs,
            "feature_fraction": options.columns,
            "lambda_l2": options.ridge,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }
        booster, losses = lightgbm.Booster(parameters, data), []
        if unseen is not None:
            booster.add_valid(unseen, "unseen")
        for _ in range(options.n_trees or MOST_TREES):
            if booster.update():
                break  # nothing is left to split by
            if unseen is not None:
                losses.append(booster.eval_valid()[0][2])
        if level:  # where the trees began is no part of their text: the first one says it from now on
            for leaf in range(booster.dump_model(num_iteration=1)["tree_info"][0]["num_leaves"]):
                booster.set_leaf_output(0, leaf, booster.get_leaf_output(0, leaf) + level)
        trees = cls(np.frombuffer(booster.model_to_string().encode(), np.uint8))
        trees.losses = losses
        return trees

    def sums(self, features: FloatArray, n_trees: int | None = None) -> DoubleArray:
        """The sum of the trees, or of the first so many of them, for each pair, shape (n,).

        Of few pairs and of large trees LightGBM tells sooner, and the same to the bit. Doubles are left to
        it, and features that are too few or too many, which it refuses. Threads that ask at once must ask for
        as many trees: it keeps the number in the booster they share.
        """
        is_as_learned = features.dtype == np.float32 and features.shape[1] == self._booster.num_feature()
        if len(features) > FEW_PAIRS and is_as_learned and self._trees is not None:
            return tree_sums(self._trees[:n_trees], features)
        found = self._booster.predict(features, raw_score=True, num_threads=1, num_iteration=n_trees)
        return np.asarray(found, np.float64)

    @cached_property
    def _trees(self) -> list[Tree] | None:
        """Those that many pairs can be put to at once; None where one is too large for it.

        That is told by the text: a dump of large trees takes much memory, and one of deep trees recursion
        without a bound.
        """
        leaves = re.findall(rb"^num_leaves=(\d+)$", self.text.tobytes(), re.MULTILINE)
        if max(map(int, leaves), default=1) > LEAVES_AT_ONCE:
            return None
        return [Tree.of(tree["tree_structure"]) for tree in self._booster.dump_model()["tree_info"]]

    def gains(self) -> DoubleArray:
        """How much each feature brought, as a share of all; shape (m,)."""
        gains = self._booster.feature_importance("gain")
        return np.asarray(gains / max(gains.sum(), 1e-12))


def _subset(pairs: Binned, kept: LongArray, weight: FloatArray, begins: DoubleArray) -> "lightgbm.Dataset":
    """The pairs at these places, with what each counts and where its log odds begin."""
    data = pairs.at(kept)
    data.set_weight(weight[kept])
    data.set_init_score(begins[kept])
    return data


def _level(is_bought: BoolArray, weight: FloatArray) -> float:
    """The log odds of a purchase over all pairs, with half a purchase on either side."""
    bought = float(weight[is_bought].sum(dtype=np.float64))
    return float(np.log((bought + 0.5) / (weight.sum(dtype=np.float64) - bought + 0.5)))
