"""What was bought in the same weeks of last year, where the history reaches back so far."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model
from models.bounds import above_zero
from models.columns import line_for_all
from models.interactions import Interactions
from models.pairs import Pairs

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
    """The same order for everyone: the share of customers of these days last year who bought a product."""

    name: ClassVar[str] = "season"
    revision: ClassVar[int] = 2
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
    """The share of those who bought around the window a year ago who bought each product, by nearness to it.

    Each counts for a product by the weights of their orders with it, and by 1 at most.

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
    held = Pairs.of(interactions).buyers(weights)
    n_customers = len(np.unique(interactions.customer_row[weights > 0]))
    return (held / max(n_customers, 1)).astype(np.float32)
