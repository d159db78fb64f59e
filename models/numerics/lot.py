"""A lot among rows, always the same."""

import numpy as np
from numpy.typing import NDArray


def some_of[Row: np.integer](rows: NDArray[Row], most: int, seed: int) -> NDArray[Row]:
    """At most so many of these rows, which rise, drawn by lot; rising."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
