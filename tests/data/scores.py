"""A model with fixed scores, and histories small enough to count by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions

DAY_S = 86_400


@dataclass(frozen=True)
class NoOptions:
    """Nothing to choose."""


class Fixed(Model[NoOptions]):
    """Scores as given: shape (n_customers, n_products), NaN for no opinion. It learns nothing."""

    name: ClassVar[str] = "fixed"
    options_type: ClassVar[type] = NoOptions

    def __init__(self, scores: FloatArray) -> None:
        super().__init__()
        self._scores = scores.astype(np.float32)
        self.options_ = self.options
        self.n_products_ = scores.shape[1]

    def fit(self, interactions: Interactions) -> Self:
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        scores = self._scores[rows]
        return scores.copy() if products is None else scores[:, products]


def history_of(
    lines: Sequence[tuple[int, int, float, int]], *, n_customers: int, n_products: int, as_of_day: int
) -> Interactions:
    """Interactions of lines (customer, product, day, order); day 0 is 1970-01-01 UTC."""
    table = np.array(lines, np.float64).reshape(-1, 4)
    return Interactions.build(
        table[:, 0].astype(np.int32),
        table[:, 1].astype(np.int32),
        table[:, 3].astype(np.int32),
        (table[:, 2] * DAY_S).astype(np.int64),
        catalogue=Catalogue.of(np.full(n_products, -1, np.int32)),
        as_of_s=as_of_day * DAY_S,
        n_customers=n_customers,
    )


def told(model: Model[Any], rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """What the opinions say of these customers, whose rows rise, and of all products."""
    scores = np.full((len(rows), model.n_products_), np.nan, np.float32)
    probability, start = scores.copy(), 0
    for part in model.opinions(rows):
        lines = slice(start, start + len(part.rows))
        np.testing.assert_array_equal(part.rows, rows[lines])
        assert part.probability is not None
        scores[lines, part.products], probability[lines, part.products] = part.scores, part.probability
        start = lines.stop
    assert start == len(rows)
    return scores, probability
