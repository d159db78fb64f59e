"""A ranker's past windows together: put into bins once, and learned from by each of its ensembles."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from models.arrays import BoolArray, DoubleArray, LongArray
from models.numerics.boosting import MOST_TREES, Binned, TreeOptions, Trees
from models.numerics.cores import at_once
from models.ranking.calibration import LEAST_WINDOWS, Predicted
from models.ranking.windows import Window

FURTHER = 1.5  # times the trees: who learns from twice as many pairs errs later by learning on


class Lessons:
    """All pairs of some windows, at least one."""

    def __init__(self, windows: Sequence[Window], seed: int, levels: Sequence[float] | None = None) -> None:
        """Pairs of these windows; `levels` are the log odds that are known of each window, 0 without."""
        self._windows, self._seed = windows, seed
        self._levels = np.zeros(len(windows)) if levels is None else np.array(levels)
        is_bought = np.concatenate([each.is_bought for each in windows])
        self._pairs = Binned([each.features for each in windows], is_bought)
        self._weight = np.concatenate([each.weight for each in windows])
        self._share = np.concatenate([each.share for each in windows])
        self._window = np.repeat(np.arange(len(windows)), [len(each) for each in windows])
        self._told: DoubleArray = self._levels[self._window]
        self._has_come = np.concatenate([each.has_come for each in windows])
        self._is_even = np.concatenate([each.is_even for each in windows])
        self._is_new = self._has_come & ~np.concatenate([each.is_own for each in windows])

    @property
    def has_own(self) -> bool:
        """Whether any pair is of a product that the customer had bought before."""
        return bool((self._has_come & ~self._is_new).any())

    @property
    def n_new(self) -> int:
        """How many products were bought that were new to their customer."""
        return int((self._pairs.is_bought & self._is_new).sum())

    def order(self, options: TreeOptions) -> Trees:
        """Trees for the order among those who came."""
        return self._order(options, self._has_come)

    def chance(self, options: TreeOptions) -> Trees:
        """Trees for the probability, also of those who stayed away; the level comes on top of their sum."""
        return self._chance(options, np.arange(len(self._window)), told=self._told)

    def new_order(self, options: TreeOptions) -> Trees:
        """Trees for the order of products that are new to the customer, among those who came."""
        return self._order(options, self._is_new)

    def new_chance(self, options: TreeOptions) -> Trees:
        """Trees for the chance of a product that is new to the customer, given that they come."""
        return self._chance(options, np.flatnonzero(self._is_new))

    def learned(self, options: TreeOptions) -> tuple[TreeOptions, list[Predicted]]:
        """How many trees to grow, and what as many say of windows that they have not seen.

        Trees that learned from every other window are tried on the windows between. Fewer than three windows
        would leave one to learn from: then nothing is learned, and there are no predictions.
        """
        if len(self._windows) < LEAST_WINDOWS:
            return replace(options, n_trees=options.n_trees or MOST_TREES), []
        even, odd = (np.flatnonzero(self._window % 2 == rest) for rest in (0, 1))
        about = ((even, odd), (odd, even))
        halves = at_once([partial(self._chance, options, *each, told=self._told) for each in about])
        best = options.n_trees or _best_length(halves[0].losses, halves[1].losses)
        n_trees = options.n_trees or min(MOST_TREES, round(FURTHER * best))
        return replace(options, n_trees=n_trees), [
            Predicted(
                halves[1 - number % 2].sums(each.features, best) + self._levels[number],
                each.is_bought,
                np.where(each.is_bought, each.weight, each.weight / each.share),
                each.customer_row,
            )
            for number, each in enumerate(self._windows)
        ]

    def _order(self, options: TreeOptions, is_kept: BoolArray) -> Trees:
        kept = np.flatnonzero(is_kept & self._is_even)
        customer = np.concatenate([each.customer_row for each in self._windows])[kept]
        turns = np.flatnonzero((np.diff(customer) != 0) | (np.diff(self._window[kept]) != 0)) + 1
        group = np.diff(np.concatenate([[0], turns, [len(kept)]]))
        return Trees.for_order(self._pairs, kept, group, options, self._seed)

    def _chance(
        self,
        options: TreeOptions,
        kept: LongArray,
        unseen: LongArray | None = None,
        told: DoubleArray | None = None,
    ) -> Trees:
        about = self._weight, self._share, options, self._seed
        return Trees.for_chance(self._pairs, kept, *about, unseen, told=told)


def _best_length(losses: Sequence[float], others: Sequence[float]) -> int:
    """After how many trees two ensembles lose least together, at least 1."""
    length = min(len(losses), len(others))
    return 1 + int(np.argmin(np.add(losses[:length], others[:length]))) if length else 1
