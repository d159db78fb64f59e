"""What is taken up now in the categories and brands that the customer likes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, FloatArray, IntArray, LongArray
from models.base import Model, learned
from models.bounds import above_zero, is_power
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from models.numerics.columns import as_arrays, lines
from models.numerics.decay import half_life_grid, lasting_decay
from models.numerics.one_hot import one_hot
from models.validation.first_purchases import Trial, first_purchases, take_up, take_up_half_life, trials
from models.validation.folds import FoldOptions, chosen

POWERS = (0.3, 0.0, 0.6, 1.0)


@dataclass(frozen=True)
class AffinityOptions(FoldOptions):
    """Options of `affinity`, beside those of FoldOptions. None: learned, by what finds more new products.

    Attributes:
        half_life_days: days after which a first purchase counts half in what is taken up now.
        profile_half_life_days: the same in what the customer likes.
        category_power, brand_power, both_power: how far the customer's liking of the category, the brand, and
            the brand within the category acts: 0 not at all, 1 as their share of purchases says.
        prior_products: that every customer is thought to have bought, as everybody does, beside their own.
        prior_purchases: first purchases that what nobody bought yet is thought to have had just now.
    """

    half_life_days: float | None = None
    profile_half_life_days: float | None = None
    category_power: float | None = None
    brand_power: float | None = None
    both_power: float | None = None
    prior_products: float = 10.0
    prior_purchases: float = 0.1
    n_folds: int = field(default=2, kw_only=True)
    max_customers: int = field(default=500, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero("prior_products", self.prior_products)  # who bought nothing would have no share
        for name in ("category_power", "brand_power", "both_power"):
            is_power(name, getattr(self, name))


class Affinity(Model[AffinityOptions]):
    """Take-up of a product times the customer's lifts of its category, its brand, and the two together.

    A lift is the customer's share of first purchases in the group, decayed and drawn to everybody's share,
    over everybody's share; each has a power. Without category or brand its lift is 1.
    """

    name: ClassVar[str] = "affinity"
    revision: ClassVar[int] = 5
    options_type: ClassVar[type] = AffinityOptions
    learnt: ClassVar[tuple[str, ...]] = (
        *("chance_", "group_", "group_category_", "group_brand_"),
        *("share_", "own_indptr_", "own_group_", "own_weight_"),
    )

    chance_: FloatArray  # shape (n_products,), take-up; 0 where nothing is known of it
    group_: IntArray  # shape (n_products,), a group for each pair of category and brand
    group_category_: IntArray  # shape (n_groups,), category rows, -1 for none
    group_brand_: IntArray
    share_: FloatArray  # shape (n_groups,), of everybody's first purchases
    own_indptr_: LongArray  # shape (n_customers + 1,)
    own_group_: IntArray
    own_weight_: FloatArray  # first purchases in the group, decayed

    def fit(self, interactions: Interactions) -> Self:
        options = self._learned(interactions)
        return self._fit_with(first_purchases(interactions), options)

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for products without category and brand, and for unknown customers."""
        self.check_fitted()
        some = slice(None) if products is None else products
        groups, group = np.unique(self.group_[some], return_inverse=True)
        scores = self._lifts(rows, groups)[:, group]
        scores *= np.where(self.chance_ > 0, self.chance_, np.float32(np.nan))[some]
        scores[np.diff(self.own_indptr_)[rows] == 0] = np.nan
        return scores

    def _lifts(self, rows: IntArray, groups: AnyIntArray) -> FloatArray:
        """The product of the powers of the lifts for each customer and group, float32."""
        options = self.options_
        own = lines(self.own_indptr_, self.own_group_, self.own_weight_, len(self.share_), rows)
        has_both = (self.group_category_ >= 0) & (self.group_brand_ >= 0)
        lifts = np.ones((len(rows), len(groups)), np.float32)
        for part, power in (
            (self.group_category_, options.category_power),
            (self.group_brand_, options.brand_power),
            (np.where(has_both, np.arange(len(has_both)), -1), options.both_power),
        ):
            if learned(power) > 0:
                lifts *= self._lift(own, part, groups) ** np.float32(learned(power))
        return lifts

    def _lift(self, own: sparse.csr_array, part: AnyIntArray, groups: AnyIntArray) -> FloatArray:
        """The lift of what these groups are part of, such as their categories; 1 where that is -1."""
        parts = one_hot(part, int(part.max(initial=0)) + 1)
        mine = (own @ parts).toarray()
        share = np.maximum(parts.T @ self.share_, np.float32(1e-9))
        prior = np.float32(self.options_.prior_products)
        lift = (mine + prior * share) / ((own.sum(axis=1) + prior)[:, None] * share)
        return np.where(part[groups] >= 0, lift[:, part[groups]], np.float32(1))

    def _fit_with(self, firsts: Interactions, options: AffinityOptions) -> Self:
        catalogue = firsts.catalogue
        self.options_, self.n_products_ = options, firsts.n_products
        self.group_, self.group_category_, self.group_brand_ = _groups(catalogue)
        is_known = (catalogue.category_row >= 0) | (catalogue.brand_row >= 0)
        days = learned(options.half_life_days)
        taken, assumed = take_up(firsts, days), take_up(firsts, days, options.prior_purchases)
        self.chance_ = np.where(is_known, np.where(taken > 0, taken, assumed), np.float32(0))
        weights = lasting_decay(firsts.age_days, learned(options.profile_half_life_days))
        cells = (weights, (firsts.customer_row, self.group_[firsts.product_row]))
        shape = (firsts.n_customers, len(self.group_category_))
        own = sparse.csr_array(cells, shape=shape, dtype=np.float32)
        total = np.bincount(own.indices, own.data, shape[1])
        self.share_ = (total / max(total.sum(), 1e-30)).astype(np.float32)
        self.own_indptr_, self.own_group_, self.own_weight_ = as_arrays(own)
        return self

    def _learned(self, interactions: Interactions) -> AffinityOptions:
        """The options with each of those that are None chosen on the folds, one after another."""
        options = self.options
        grid = half_life_grid(interactions.span_days)
        catalogue = interactions.catalogue
        has_category, has_brand = (catalogue.category_row >= 0).any(), (catalogue.brand_row >= 0).any()
        grids: dict[str, Sequence[float]] = {
            "category_power": POWERS if has_category else (0.0,),
            "brand_power": POWERS if has_brand else (0.0,),
            "both_power": POWERS if has_category and has_brand else (0.0,),
            "profile_half_life_days": (grid[-1], grid[len(grid) // 2]),
        }
        half_life_days = options.half_life_days or take_up_half_life(interactions, options)
        start = replace(options, half_life_days=half_life_days)
        return chosen(start, grids, trials(interactions, options), _new_dcg)


def _new_dcg(trial: Trial, options: AffinityOptions) -> float:
    """What the options find among products that were sold by then, as `Trial.new_dcg`."""
    options = replace(options, prior_purchases=0.0)
    model = Affinity(options)._fit_with(trial.firsts, options)
    return trial.new_dcg(model.score(trial.fold.rows, trial.columns))


def _groups(catalogue: Catalogue) -> tuple[IntArray, IntArray, IntArray]:
    """The distinct pairs of category and brand: each product's, and the category and brand of each."""
    width = int(catalogue.brand_row.max(initial=-1)) + 2
    key = (catalogue.category_row.astype(np.int64) + 1) * width + catalogue.brand_row + 1
    pairs, group = np.unique(key, return_inverse=True)
    category, brand = np.divmod(pairs, width)
    return group.astype(np.int32), (category - 1).astype(np.int32), (brand - 1).astype(np.int32)
