"""All that a ranker sees at one moment: who owns what, the sources' candidates, the features of pairs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from models.arrays import FloatArray, IntArray
from models.base import Model
from models.due import Due
from models.history.interactions import Interactions
from models.ranking.features import Features, names
from models.ranking.sources import Candidates, Limits, Owned, candidates, personal, pool_of, unsold_share


class View:
    """A history with the sources fitted on it."""

    def __init__(
        self,
        history: Interactions,
        sources: Mapping[str, Model[Any]],
        horizon_days: float,
        limits: Limits,
        pool: IntArray | None = None,
        rows: IntArray | None = None,
    ) -> None:
        """A view of all customers, or of these rows alone; `pool` is that of `pool_of`, where it is known."""
        self.sources, self.limits, self.n_products = sources, limits, history.n_products
        self._owned = Owned.of(history.matrix())
        self._unsold_part = unsold_share(history, horizon_days)
        self.pool = pool_of(history, horizon_days, limits.pool, self._unsold_part) if pool is None else pool
        self._features = Features(history, horizon_days, rows)
        due = sources.get(Due.name)
        self._due = due if isinstance(due, Due) else None

    def candidates(self, rows: IntArray) -> list[Callable[[], Candidates]]:
        """What finds those of these customers, rows rising, block by block."""
        return candidates(self.sources, self._owned, rows, self.limits, self.pool, self._unsold_part)

    def features(self, found: Candidates) -> FloatArray:
        """Shape (n, len(feature_names(sources))), float32, NaN for nothing to say."""
        known = self._features.of(found.customer_row, found.product_row)
        of_sources = [found.scores, found.places, found.nearness]
        return np.concatenate([known, self._due_figures(found), *of_sources], axis=1)

    def _due_figures(self, found: Candidates) -> FloatArray:
        """Days to expect between purchases, and days since the last one against them."""
        figures = np.full((len(found), 2), np.nan, np.float32)
        if self._due is not None:
            own = np.flatnonzero(found.is_own)
            place = self._due.places(found.customer_row[own], found.product_row[own])
            expected = self._due.expected_days_[place]
            figures[own, 0] = expected
            figures[own, 1] = self._due.last_age_days_[place] / (expected + np.float32(0.5))
        return figures


def feature_names(sources: Mapping[str, Model[Any]]) -> list[str]:
    """The names of the columns of `View.features`."""
    return [
        *names(),
        *("due: expected_days", "due: last_age over expected_days"),
        *(f"score: {name}" for name in sources),
        *(f"place: {name}" for name in sources),
        *(f"nearness: {name}" for name in personal(sources)),
    ]
