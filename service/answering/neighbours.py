"""What goes with some products: the sum of similarities to them, and the one of them that adds most."""

import numpy as np

from models.arrays import FloatArray, IntArray
from service.versions.served import NONE, ServedVersion


def goes_with(
    served: ServedVersion, rows: IntArray, factors: FloatArray | None = None
) -> tuple[IntArray, IntArray]:
    """Every neighbour of some products, best first, some of them among themselves.

    Args:
        rows: product rows; of two that add the same the earlier one is named.
        factors: of rules that boost and bury, by product row.
    Returns:
        product rows, ties by the lower one; and of each the place in `rows` of what adds most to it.
    """
    neighbours, scores = served.similar_product[rows], served.similar_score[rows]
    places, columns = np.nonzero(neighbours != NONE)
    near, strength = neighbours[places, columns], scores[places, columns].astype(np.float64)
    order = np.lexsort((places, -strength, near))
    products, first = np.unique(near[order], return_index=True)
    if not len(products):
        return products, products
    totals = np.add.reduceat(strength[order], first)
    if factors is not None:
        totals *= factors[products]
    best = np.lexsort((products, -totals))
    return products[best], places[order][first][best]
