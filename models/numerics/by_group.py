"""An order of all rows, told for each group by itself, such as products by popularity for each category."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import NONE, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ByGroup:
    """The rows of all groups, one group after another, and where each begins."""

    rows: IntArray
    start: NDArray[np.int64]

    @classmethod
    def of(cls, order: IntArray, group: IntArray, n_groups: int) -> "ByGroup":
        """The rows of each group, in the order of all.

        Args:
            order: rows, each once, first to last; those that aren't in it are in no group.
            group: of each row, NONE for none.
            n_groups: how many groups there are.
        """
        groups = group[order]
        by_group = np.argsort(groups, kind="stable")
        start = np.searchsorted(groups[by_group], np.arange(n_groups + 1))
        return cls(order[by_group], start)

    def __getitem__(self, group: int) -> IntArray:
        """The rows of a group in the order of all; none for NONE."""
        if group == NONE:
            return self.rows[:0]
        start, stop = self.start[group : group + 2]
        return self.rows[start:stop]
