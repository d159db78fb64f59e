"""What people take up now: the chance that one who never bought a product buys it these days."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model
from models.history.interactions import Interactions
from models.numerics.columns import line_for_all
from models.validation.first_purchases import first_purchases, take_up, take_up_half_life
from models.validation.folds import FoldOptions


@dataclass(frozen=True)
class TrendOptions(FoldOptions):
    """Options of `trend`, beside those of FoldOptions.

    Attributes:
        half_life_days: days after which a first purchase counts half; None: learned, by what finds more of
            the products that customers had not bought before.
    """

    half_life_days: float | None = None
    n_folds: int = field(default=3, kw_only=True)


class Trend(Model[TrendOptions]):
    """The same order for everyone: first purchases of a product, decayed, for each customer without it.

    Repeat purchases do not count: what a few buy every week is popular, and yet nothing for the others.
    """

    name: ClassVar[str] = "trend"
    revision: ClassVar[int] = 2
    options_type: ClassVar[type] = TrendOptions
    learnt: ClassVar[tuple[str, ...]] = ("chance_",)

    chance_: FloatArray  # shape (n_products,), above 0 exactly where somebody bought the product

    def fit(self, interactions: Interactions) -> Self:
        half_life_days = self.options.half_life_days or take_up_half_life(interactions, self.options)
        self.options_ = replace(self.options, half_life_days=half_life_days)
        self.chance_ = take_up(first_purchases(interactions), half_life_days)
        self.n_products_ = interactions.n_products
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN where nobody bought the product."""
        self.check_fitted()
        return line_for_all(self.chance_, len(rows), products)
