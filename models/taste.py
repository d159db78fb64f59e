"""Products for somebody whom the night didn't see, by the taste that their purchases show."""

import numpy as np
from numpy.typing import NDArray

from models.arrays import FloatArray, IntArray
from models.numerics.fold_in import taste_of


class Taste:
    """Factors of products, and what folds a customer in. What one costs doesn't grow with the catalogue.

    Args:
        product: rows of the products that may be proposed.
        factors: theirs, shape (n, f), float32.
        every: of all products, by row.
        matrix: of `models.numerics.fold_in.taste_matrix`.
    """

    def __init__(self, product: IntArray, factors: FloatArray, every: FloatArray, matrix: FloatArray) -> None:
        self.product, self.factors, self.matrix = product, factors, matrix
        self._every = every

    def nearest(self, bought: list[int], times: list[int], most: int) -> IntArray:
        """Rows of the products that fit best to what was bought, best first, ties by place in the pool.

        Args:
            bought: product rows.
            times: in how many orders each.
            most: how many at most; those that fit no better than nothing are left out.
        """
        weight = np.asarray(times, np.float32)[:, None]
        held = self._every[bought]
        if not np.isfinite(held).all():  # of these nothing but the shape was checked
            return self.product[:0]
        scores: NDArray[np.float32] = self.factors @ taste_of(self.matrix, held, weight)
        most = min(most, len(scores))
        top = np.argpartition(-scores, most - 1)[:most] if most else np.empty(0, np.int64)
        top = top[scores[top] > 0]
        return self.product[top[np.lexsort((top, -scores[top]))]]
