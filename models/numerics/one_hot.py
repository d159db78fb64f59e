"""A group for each row as a sparse table of ones."""

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray


def one_hot(group: AnyIntArray, n_groups: int | None = None) -> sparse.csr_array:
    """n x n_groups, float32, 1 in the column of each row's group, none for -1; None: up to the last group."""
    width = int(group.max(initial=-1)) + 1 if n_groups is None else n_groups
    held = np.flatnonzero(group >= 0)
    cells = (np.ones(len(held), np.float32), (held, group[held]))
    return sparse.csr_array(cells, shape=(len(group), width))
