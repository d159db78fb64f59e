"""What was bought in the same weeks of last year, where the history reaches back so far."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model
from models.bounds import above_zero
from models.columns import line_for_all
from models.interactions import Interactions

YEAR_DAYS = 365.0


@dataclass(frozen=True, kw_only=True)
class SeasonOptions:
    """Options of `season`.

    Attributes:
        horizon_days: length of the window, that is of what is predicted.
        spread: how far the days around the window count, as the standard deviation of a normal curve, in
            horizons: feasts move, and a small shop sells too little in one week to tell.
    """

    horizon_days: float = 7.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        above_zero("season spread", self.spread)


class Season(Model[SeasonOptions]):
    """The same order for everyone: the share of last year's orders around these days that hold a product."""

    name: ClassVar[str] = "season"
    options_type: ClassVar[type] = SeasonOptions
    learnt: ClassVar[tuple[str, ...]] = ("share_",)

    share_: FloatArray  # shape (n_products,), 0 where the product was not bought then

    def fit(self, interactions: Interactions) -> Self:
        self.options_, self.n_products_ = self.options, interactions.n_products
        self.share_ = season_share(interactions, self.options)
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what was not bought then, and for everything if the history is no year long."""
        self.check_fitted()
        return line_for_all(self.share_, len(rows), products)


def season_share(interactions: Interactions, options: SeasonOptions) -> FloatArray:
    """The share of orders, weighted by nearness to the window a year ago, that hold each product.

    Returns:
        shape (n_products,), float32; all 0 if the history begins after the window did.
    """
    if interactions.span_days < YEAR_DAYS:
        return np.zeros(interactions.n_products, np.float32)
    spread_days = options.spread * options.horizon_days
    age_days = interactions.age_days
    away_days = np.maximum(age_days - YEAR_DAYS, YEAR_DAYS - options.horizon_days - age_days)
    weights = np.exp(-0.5 * (np.maximum(away_days, 0) / spread_days) ** 2)
    weights[weights < 0.01] = 0
    held = np.bincount(interactions.product_row, weights, interactions.n_products)
    first = np.unique(interactions.order_row, return_index=True)[1]
    return (held / max(float(weights[first].sum()), 1e-30)).astype(np.float32)
