"""What most customers buy lately: the decayed share of customers, by the half-life that predicts best."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model
from models.history.interactions import Interactions
from models.history.pairs import Pairs
from models.numerics.columns import line_for_all
from models.numerics.decay import half_life_grid, lasting_decay, shorter_half_lives
from models.validation.folds import FoldOptions, inner_folds


@dataclass(frozen=True)
class PopularOptions(FoldOptions):
    """Options of `popular`, beside those of FoldOptions.

    Attributes:
        half_life_days: after so many days an order counts half; None: learned on earlier folds.
    """

    half_life_days: float | None = None
    n_folds: int = field(default=3, kw_only=True)


class Popular(Model[PopularOptions]):
    """The same order for everyone: by the share of the shop's customers who buy a product lately.

    However often one buys it, they count as one customer: who invents orders moves no list.
    """

    name: ClassVar[str] = "popular"
    revision: ClassVar[int] = 3
    options_type: ClassVar[type] = PopularOptions
    learnt: ClassVar[tuple[str, ...]] = ("share_",)

    share_: FloatArray  # shape (n_products,), above 0 exactly where somebody bought the product

    def fit(self, interactions: Interactions) -> Self:
        half_life_days = self.options.half_life_days or self._learned_half_life(interactions)
        self.options_ = replace(self.options, half_life_days=half_life_days)
        self.share_ = buyers_share(Pairs.of(interactions), half_life_days)
        self.n_products_ = interactions.n_products
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; the score is the product's share, NaN where nobody bought it."""
        self.check_fitted()
        return line_for_all(self.share_, len(rows), products)

    def order(self) -> IntArray:
        """The products that somebody bought, most popular first, ties by product row; int32."""
        self.check_fitted()
        order = np.argsort(-self.share_, kind="stable")
        return order[self.share_[order] > 0].astype(np.int32)

    def _learned_half_life(self, interactions: Interactions) -> float:
        """The half-life under which the purchases after each earlier fold were most likely.

        Short ones are tried too: where products are over within weeks, such as events, what sold a week ago
        would stand before what sells now.
        """
        grid = shorter_half_lives(self.options.horizon_days) + half_life_grid(interactions.span_days)
        likelihood = np.zeros(len(grid))
        for fold in inner_folds(interactions, self.options):
            bought = np.bincount(fold.truth.indices, minlength=interactions.n_products)
            pairs = Pairs.of(fold.history)
            for place, half_life_days in enumerate(grid):
                share = buyers_share(pairs, half_life_days) + 1e-7  # what nobody bought yet may come
                likelihood[place] += bought @ np.log(share / share.sum()) / bought.sum()
        return grid[int(np.argmax(likelihood))] if likelihood.any() else grid[-1]


def buyers_share(pairs: Pairs, half_life_days: float) -> FloatArray:
    """Of all customers, the share that buys each product lately.

    Each counts by their decayed orders with the product, and by 1 at most.

    Returns:
        shape (n_products,), float32, in [0, 1], above 0 exactly where somebody bought the product.
    """
    weights = lasting_decay(pairs.entry_age_days, half_life_days)
    n_customers = int(np.count_nonzero(np.diff(pairs.customer_row, prepend=-1)))  # they are in order
    return (pairs.buyers(weights) / max(n_customers, 1)).astype(np.float32)
