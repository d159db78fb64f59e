"""The first default: repeat, popularity, item-item and ALS, weighted by what earlier folds showed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from models.als import Als, AlsOptions
from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model, learned
from models.decay import half_life_grid
from models.interactions import Interactions
from models.item_item import ItemItem, ItemItemOptions
from models.popular import order_share
from models.repeat import Repeat, RepeatOptions
from models.state import ModelState
from models.top_k import top_k
from models.validation import InnerFold, Judged, inner_folds

GRIDS = {
    "popular_weight": [
        0.001,
        0.03,
        0.1,
        0.2,
        0.4,
        0.8,
        1.6,
    ],  # never 0: popularity at least breaks ties and fills
    "item_item_weight": [0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3],
    "als_weight": [0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3],
}
PASSES = 2  # over all weights: the second time around the others are near their best
BLOCK_ROWS = 100


@dataclass(frozen=True)
class BlendOptions:
    """Options of `blend`; None in a field means learned on earlier folds.

    Attributes:
        popular_half_life_days: half-life of the popularity.
        popular_weight: of the share of all orders that hold the product.
        item_item_weight, als_weight: of those scores, each divided by the customer's highest.
        repeat, item_item, als: options of the components.
        n_candidates: from each component, per customer, to learn the weights on.
        horizon_days: length of the folds.
        n_folds: how many earlier folds to learn on.
        max_customers: at most so many customers are judged in each fold.
        seed: of the sample of customers.
    """

    popular_half_life_days: float | None = None
    popular_weight: float | None = None
    item_item_weight: float | None = None
    als_weight: float | None = None
    repeat: RepeatOptions = field(default_factory=RepeatOptions)
    item_item: ItemItemOptions = field(default_factory=ItemItemOptions)
    als: AlsOptions = field(default_factory=AlsOptions)
    n_candidates: int = 100
    horizon_days: float = 7.0
    n_folds: int = 2
    max_customers: int = 1000
    seed: int = 0


class Blend(Model[BlendOptions]):
    """score = repeat + a popularity + b item-item + c ALS.

    Repeat is a share of the customer's own orders and popularity a share of all orders: one scale for both.
    The weights are those with the highest NDCG@10 on the last horizons of the history, found one at a time,
    starting from "repeat, then popular": what does not help there stays out.
    """

    name: ClassVar[str] = "blend"
    options_type: ClassVar[type] = BlendOptions
    learnt: ClassVar[tuple[str, ...]] = ("popular_share_",)

    popular_share_: FloatArray  # shape (n_products,)
    parts_: "_Parts"

    def __init__(
        self, options: BlendOptions | None = None, fitted: Mapping[str, Model[Any]] = MappingProxyType({})
    ) -> None:
        """`fitted` are components by name, fitted on what fit() will get: they are taken as they are."""
        super().__init__(options)
        self.fitted = fitted

    def fit(self, interactions: Interactions) -> Self:
        parts = _Parts.fit(interactions, self.options, self.fitted)
        self.parts_ = parts
        options = replace(self.options, **{name: part.options_ for name, part in parts.items()})
        self.options_ = _with_weights(options, interactions)
        self.popular_share_ = order_share(interactions, learned(self.options_.popular_half_life_days))
        self.n_products_ = interactions.n_products
        return self

    def score(self, rows: IntArray) -> FloatArray:
        """See Model; NaN for products that nobody bought."""
        self.check_fitted()
        scores = np.nan_to_num(self.parts_.repeat.score(rows), copy=False, nan=0.0)
        scores += learned(self.options_.popular_weight) * self.popular_share_
        for model, weight in (
            (self.parts_.item_item, self.options_.item_item_weight),
            (self.parts_.als, self.options_.als_weight),
        ):
            if weight:
                scores += learned(weight) * _relative(model.score(rows))
        scores[:, self.popular_share_ <= 0] = np.nan
        return scores

    def state(self) -> ModelState:
        """See Model; the components' arrays carry their name in front."""
        own = super().state()
        arrays, facts = dict(own.arrays), dict(own.facts)
        for name, model in self.parts_.items():
            state = model.state()
            arrays |= {f"{name}_{array}": value for array, value in state.arrays.items()}
            facts[name] = state.facts
        return ModelState(arrays, facts)

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """See Model."""
        parts: dict[str, Any] = {
            model.name: model.from_state(
                ModelState(
                    {
                        name.removeprefix(f"{model.name}_"): value
                        for name, value in state.arrays.items()
                        if name.startswith(f"{model.name}_")
                    },
                    state.facts[model.name],
                )
            )
            for model in (Repeat, ItemItem, Als)
        }
        blend = cls(
            BlendOptions(
                **{**state.facts["options"], **{name: part.options_ for name, part in parts.items()}}
            )
        )
        blend.options_, blend.n_products_ = blend.options, state.facts["n_products"]
        blend.popular_share_ = np.asarray(state.arrays["popular_share"], np.float32)
        blend.parts_ = _Parts(**parts)
        return blend


@dataclass(frozen=True)
class _Parts:
    """The fitted components."""

    repeat: Repeat
    item_item: ItemItem
    als: Als

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        options: BlendOptions,
        fitted: Mapping[str, Model[Any]] = MappingProxyType({}),
    ) -> "_Parts":
        parts: dict[str, Any] = {
            model.name: fitted.get(model.name) or model(getattr(options, model.name)).fit(interactions)
            for model in (Repeat, ItemItem, Als)
        }
        return cls(**parts)

    def items(self) -> list[tuple[str, Model[Any]]]:
        return [(model.name, model) for model in (self.repeat, self.item_item, self.als)]


class _Trial:
    """One fold's customers with their candidates and each component's score for them."""

    def __init__(self, fold: InnerFold, options: BlendOptions, half_lives: list[float]) -> None:
        parts = _Parts.fit(fold.history, options)
        popular = {days: order_share(fold.history, days) for days in half_lives}
        customers, products, scores = [], [], []
        for start in range(0, len(fold.rows), BLOCK_ROWS):
            rows = fold.rows[start : start + BLOCK_ROWS]
            dense = [
                np.nan_to_num(parts.repeat.score(rows), nan=0.0),
                _relative(parts.item_item.score(rows)),
                _relative(parts.als.score(rows)),
            ]
            common = np.repeat(popular[half_lives[0]][None, :], len(rows), axis=0)
            able = dense[0] > 0
            for source in (*dense[1:], common):
                best = top_k(np.where(source > 0, source, np.nan), options.n_candidates)
                place, column = np.nonzero(best >= 0)
                able[place, best[place, column]] = True
            place, held = np.nonzero(able)
            customers.append(start + place)
            products.append(held)
            scores.append(np.stack([part[place, held] for part in dense]))
        product = np.concatenate(products)
        self.repeat, self.item_item, self.als = np.concatenate(scores, axis=1)
        self.popular = {days: share[product] for days, share in popular.items()}
        self.judged = _judged(fold, np.concatenate(customers), product)

    def ndcg(self, options: BlendOptions) -> float:
        popular = self.popular[learned(options.popular_half_life_days)]
        return self.judged.ndcg(
            self.repeat
            + learned(options.popular_weight) * popular
            + learned(options.item_item_weight) * self.item_item
            + learned(options.als_weight) * self.als
        )


def _judged(fold: InnerFold, customer: AnyIntArray, product: AnyIntArray) -> Judged:
    truth = fold.truth[fold.rows]
    n_products = np.int64(truth.shape[1])
    bought = np.repeat(np.arange(len(fold.rows)), np.diff(truth.indptr)) * n_products + truth.indices
    return Judged(customer, np.isin(customer * n_products + product, bought), np.diff(truth.indptr))


def _with_weights(options: BlendOptions, interactions: Interactions) -> BlendOptions:
    """The options with the weights filled in by coordinate search on the last horizons."""
    half_lives = half_life_grid(interactions.span_days)
    if options.popular_half_life_days is not None:
        half_lives = [options.popular_half_life_days]
    grids: dict[str, list[Any]] = {"popular_half_life_days": half_lives, **GRIDS}
    free = [name for name in grids if getattr(options, name) is None]
    best = replace(options, **{name: grids[name][0] for name in free})
    if not free:
        return best
    folds = inner_folds(
        interactions,
        options.horizon_days,
        n_folds=options.n_folds,
        max_customers=options.max_customers,
        seed=options.seed,
    )
    trials = [_Trial(fold, options, half_lives) for fold in folds]
    for _ in range(PASSES if trials else 0):
        for name in free:
            choices = [replace(best, **{name: value}) for value in grids[name]]
            found = [float(np.mean([trial.ndcg(choice) for trial in trials])) for choice in choices]
            best = choices[int(np.argmax(found))]
    return best


def _relative(scores: FloatArray) -> FloatArray:
    """Scores divided by the row's highest: in [0, 1], 0 for no opinion and for what is below 0."""
    positive = np.maximum(np.nan_to_num(scores, copy=False, nan=0.0), 0)
    highest = np.maximum(positive.max(axis=1, keepdims=True), 1e-12)
    return (positive / highest).astype(np.float32, copy=False)
