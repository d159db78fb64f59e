"""What a customer buys again: decayed personal counts, raised or lowered by whether the product is due."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from models.arrays import AnyIntArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.bounds import is_power
from models.history.interactions import Interactions
from models.history.pair_keys import are_in
from models.history.pairs import Pairs
from models.numerics.columns import as_arrays, own_alone
from models.numerics.decay import LEAST_WEIGHT, half_life_grid
from models.validation.folds import FoldOptions, InnerFold, Judged, inner_folds

DUE_EDGES = np.linspace(-3, 3, 13, dtype=np.float32)  # log2 of (days since last / own interval)
AGE_EDGES = np.array([3, 7, 14, 28, 56, 112, 224], np.float32)  # days since it was bought, for a single order
N_BINS = len(DUE_EDGES) + 1 + len(AGE_EDGES) + 1


@dataclass(frozen=True)
class RepeatOptions(FoldOptions):
    """Options of `repeat`, beside those of FoldOptions.

    Attributes:
        half_life_days: days after which an order counts half; None: learned on earlier folds.
        due_power: how far the due factor acts: 0 not at all, 1 as observed; None: learned.
        prior_orders: orders without the product that every customer is thought to have had beside their own.
    """

    half_life_days: float | None = None
    due_power: float | None = None
    prior_orders: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        is_power("due_power", self.due_power)


class _OwnPairs:
    """The own products of one fold's customers beside the truth."""

    def __init__(self, fold: InnerFold, prior_orders: float) -> None:
        judged = np.isin(fold.history.customer_row, fold.rows)
        self.history = fold.history.only(judged)
        self.pairs = Pairs.of(self.history)
        self.bins = _due_bins(self.pairs)
        self.prior_orders = prior_orders
        self.judged = Judged(
            customer=np.searchsorted(fold.rows, self.pairs.customer_row),
            is_bought=are_in(fold.truth, self.pairs.customer_row, self.pairs.product_row),
            n_truth=np.diff(fold.truth.indptr)[fold.rows],
        )

    def share(self, half_life_days: float) -> FloatArray:
        return share_of_orders(self.history, self.pairs, half_life_days, self.prior_orders)


class Repeat(Model[RepeatOptions]):
    """Own products by (decayed orders with it / decayed orders) x due factor.

    The due factor of a pair depends on how long ago it was last bought: against its own mean interval, or in
    days where it was bought once. Its value is what earlier folds showed: bought / expected from the share.

    Source: frequency with decay as in TIFU-KNN (Hu et al. 2020); due factor after Bhagat et al. 2018.
    """

    name: ClassVar[str] = "repeat"
    options_type: ClassVar[type] = RepeatOptions
    learnt: ClassVar[tuple[str, ...]] = ("indptr_", "product_", "share_", "due_factor_")

    indptr_: LongArray  # shape (n_customers + 1,)
    product_: IntArray  # shape (n_pairs,), own products, customer by customer
    share_: FloatArray  # shape (n_pairs,), due factor included
    due_factor_: FloatArray  # shape (N_BINS,)

    def fit(self, interactions: Interactions) -> Self:
        options = self.options
        judged = [_OwnPairs(fold, options.prior_orders) for fold in inner_folds(interactions, options)]
        half_life_days, due_power = self._learned(judged, interactions.span_days)
        self.due_factor_ = _due_factor(judged, [fold.share(half_life_days) for fold in judged])
        self.options_ = replace(options, half_life_days=half_life_days, due_power=due_power)
        pairs = Pairs.of(interactions)
        share = share_of_orders(interactions, pairs, half_life_days, options.prior_orders)
        matrix = pairs.matrix(share * self.due_factor_[_due_bins(pairs)] ** np.float32(due_power))
        self.indptr_, self.product_, self.share_ = as_arrays(matrix)
        self.n_products_ = interactions.n_products
        return self

    def _learned(self, folds: list[_OwnPairs], span_days: float) -> tuple[float, float]:
        """Half-life, due power with the highest mean NDCG over the folds; without folds the longest, 0."""
        grid = half_life_grid(span_days)
        half_lives = [self.options.half_life_days] if self.options.half_life_days else grid
        powers = [0.0, 0.5, 1.0] if self.options.due_power is None else [self.options.due_power]
        if not folds:
            return half_lives[-1], powers[0]
        ndcg: dict[tuple[float, float], float] = {}
        for days in half_lives:
            shares = [fold.share(days) for fold in folds]
            factor = _due_factor(folds, shares)
            for power in powers:
                pairs = zip(folds, shares, strict=True)
                figures = [fold.judged.ndcg(share * (factor**power)[fold.bins]) for fold, share in pairs]
                ndcg[days, power] = float(np.mean(figures))
        return max(ndcg, key=lambda choice: ndcg[choice])

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what the customer never bought."""
        self.check_fitted()
        return own_alone(self.indptr_, self.product_, self.share_, self.n_products_, rows, products)


def share_of_orders(
    interactions: Interactions, pairs: Pairs, half_life_days: float, prior_orders: float
) -> FloatArray:
    """The share of the customer's orders, decayed, with the product; shape (n_pairs,), float32, above 0."""
    orders = interactions.decayed_orders(half_life_days) + prior_orders
    held = np.maximum(pairs.decayed_times(half_life_days), LEAST_WEIGHT)
    return (held / orders[pairs.customer_row]).astype(np.float32)


def _due_bins(pairs: Pairs) -> IntArray:
    """The bin of each pair's due factor: by age against its interval, by age alone where it has none."""
    with np.errstate(divide="ignore"):  # an interval of 0 days: two orders in one second
        ratio = np.log2(pairs.last_age_days / pairs.interval_days)
    repeated = np.searchsorted(DUE_EDGES, ratio)
    once = len(DUE_EDGES) + 1 + np.searchsorted(AGE_EDGES, pairs.last_age_days)
    return np.where(pairs.times > 1, repeated, once).astype(np.int32)


def _due_factor(folds: list[_OwnPairs], shares: list[FloatArray]) -> FloatArray:
    """Bought / expected from the shares in each bin, drawn to 1 where a bin has seen little.

    Returns:
        shape (N_BINS,), float32.
    """
    bought, expected = np.zeros(N_BINS), np.zeros(N_BINS)
    for fold, share in zip(folds, shares, strict=True):
        bought += np.bincount(fold.bins, fold.judged.is_bought, N_BINS)
        expected += np.bincount(fold.bins, share, N_BINS)
    prior = 10.0  # purchases: a bin with fewer says little
    rate = bought.sum() / max(expected.sum(), 1e-12)
    return ((bought + prior) / (expected * rate + prior)).astype(np.float32)
