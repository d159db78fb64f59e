"""For shops too young for a ranker: simple models, weighted by what folds showed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from models.affinity import Affinity, AffinityOptions
from models.als import Als, AlsOptions
from models.arrays import AnyIntArray, DoubleArray, FloatArray, IntArray
from models.base import Model, learned
from models.content import Content, ContentOptions
from models.history.interactions import Interactions
from models.history.pair_keys import are_in
from models.item_item import ItemItem, ItemItemOptions
from models.numerics.cores import at_once
from models.numerics.top_k import top_k
from models.parts import gathered, parted
from models.popular import Popular, PopularOptions
from models.repeat import Repeat, RepeatOptions
from models.state import ModelState
from models.validation.first_purchases import is_first_purchase
from models.validation.folds import FoldOptions, InnerFold, Judged, inner_folds

PARTS: tuple[type[Model[Any]], ...] = (Popular, Repeat, ItemItem, Als, Affinity, Content)
WEIGHTS = {part.name: f"{part.name}_weight" for part in PARTS}
SCORE_GRID = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
# Each weight's grid; the first value stays unless another is clearly better. Popularity's is never 0: it at
# least breaks ties and fills. Repeat's is below 1 where customers hardly buy a product twice.
GRIDS = {
    "repeat_weight": (1.0, 0.1, 0.01, 0.0),
    "popular_weight": (0.4, 0.001, 0.03, 0.1, 0.2, 0.8, 1.6),
    "item_item_weight": SCORE_GRID,
    "als_weight": SCORE_GRID,
    "affinity_weight": SCORE_GRID,
    "content_weight": SCORE_GRID,
}
UNTRIED_CONTENT = 0.01  # where nothing can be tried: surely better in most such shops, worse in none
PRIOR_REPEATS, PRIOR_PURCHASES = 5.0, 10.0  # beside those of a history that is too short to try weights on
PASSES = 2  # over all weights: the second time around the others are near their best
BLOCK_ROWS = 100
POOL = 8000  # products that weights are tried on beside own ones: few others get into the first places


@dataclass(frozen=True)
class BlendOptions(FoldOptions):
    """Options of `blend`, beside those of FoldOptions; None in a field means learned on earlier folds.

    Attributes:
        repeat_weight: of the share of the customer's own orders.
        popular_weight: of the share of all customers who buy the product lately.
        item_item_weight, als_weight, affinity_weight, content_weight: of those scores, each divided by the
            customer's highest.
        popular ... content: options of the components.
        n_candidates: from each component, per customer, to learn the weights on.
    """

    repeat_weight: float | None = None
    popular_weight: float | None = None
    item_item_weight: float | None = None
    als_weight: float | None = None
    affinity_weight: float | None = None
    content_weight: float | None = None
    popular: PopularOptions = field(default_factory=PopularOptions)
    repeat: RepeatOptions = field(default_factory=RepeatOptions)
    item_item: ItemItemOptions = field(default_factory=ItemItemOptions)
    als: AlsOptions = field(default_factory=AlsOptions)
    affinity: AffinityOptions = field(default_factory=AffinityOptions)
    content: ContentOptions = field(default_factory=ContentOptions)
    n_candidates: int = 100
    enough_customers: int = field(default=2000, kw_only=True)


NOTHING: Mapping[str, Model[Any]] = MappingProxyType({})


class Blend(Model[BlendOptions]):
    """score = a repeat + b popularity + c item-item + d ALS + e affinity + f content.

    Repeat is a share of the customer's own orders and popularity a share of all customers: both in [0, 1].
    The weights are learned on the last horizons of the history, one at a time: what has the highest NDCG@10
    there, unless the usual weight is within a standard error of it. What does not help stays out. A history
    too short for that keeps the usual weights, but for repeat's, which is the share of repeats in what
    customers bought after their first order, and a little of content.
    """

    name: ClassVar[str] = "blend"
    revision: ClassVar[int] = 4
    options_type: ClassVar[type] = BlendOptions

    parts_: "_Parts"

    def __init__(
        self, options: BlendOptions | None = None, fitted: Mapping[str, Model[Any]] = NOTHING
    ) -> None:
        """`fitted` are components by name, fitted on what fit() will get: they are taken as they are."""
        super().__init__(options)
        self.fitted = fitted

    def fit(self, interactions: Interactions) -> Self:
        missing = [model for model in PARTS if model.name not in self.fitted]
        steps = [partial(_fitted_part, model, self.options, interactions) for model in missing]
        found = dict(zip([model.name for model in missing], at_once(steps), strict=True))
        parts = _Parts.of({**self.fitted, **found})
        self.parts_ = parts
        learned_parts: dict[str, Any] = {name: part.options_ for name, part in vars(parts).items()}
        options = replace(self.options, **learned_parts)
        self.options_ = _with_weights(options, interactions)
        self.n_products_ = interactions.n_products
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for products that nobody bought."""
        self.check_fitted()
        scores = np.zeros((len(rows), self.n_products_), np.float32)
        for name, weight in _weights(self.options_).items():
            if weight:
                scores += np.float32(weight) * self.parts_.score(name, rows)
        scores[:, self.parts_.popular.share_ <= 0] = np.nan
        return scores if products is None else scores[:, products]

    def state(self) -> ModelState:
        """See Model; the parts' arrays carry their name in front."""
        return gathered(super().state(), vars(self.parts_))

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """See Model."""
        blend = super().from_state(state)
        blend.parts_ = _Parts.of(parted(state, PARTS))
        return blend


@dataclass(frozen=True)
class _Parts:
    """The fitted parts."""

    popular: Popular
    repeat: Repeat
    item_item: ItemItem
    als: Als
    affinity: Affinity
    content: Content

    @classmethod
    def of(cls, fitted: Mapping[str, Model[Any]]) -> "_Parts":
        """Those of fitted models that a blend is made of."""
        parts: dict[str, Any] = {model.name: fitted[model.name] for model in PARTS}
        return cls(**parts)

    def score(self, name: str, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """One part's scores as they are added up: 0 for no opinion; all lie in [0, 1].

        Args:
            name: of the part.
            rows: customers.
            products: score these alone, rising; the highest that a score is divided by is of these too.
        """
        model: Model[Any] = getattr(self, name)
        scores = np.nan_to_num(model.score(rows, products), copy=False, nan=0.0)
        if model in (self.popular, self.repeat):
            return scores
        highest = scores.max(axis=1, keepdims=True, initial=1e-12)
        return np.divide(np.maximum(scores, 0, out=scores), highest, out=scores, dtype=np.float32)


def _fitted_part(model: type[Model[Any]], options: BlendOptions, history: Interactions) -> Model[Any]:
    return model(getattr(options, model.name)).fit(history)


class _Trial:
    """One fold's customers with their candidates and each part's score for them."""

    def __init__(self, fold: InnerFold, options: BlendOptions) -> None:
        parts = _Parts.of({model.name: _fitted_part(model, options, fold.history) for model in PARTS})
        pool, owned = _pool(parts.popular), fold.history.matrix()
        customers, products, scores = [], [], []
        for start in range(0, len(fold.rows), BLOCK_ROWS):
            rows = fold.rows[start : start + BLOCK_ROWS]
            columns = np.union1d(pool, owned[rows].indices)
            dense = {model.name: parts.score(model.name, rows, columns) for model in PARTS}
            able = dense["repeat"] > 0
            for name in dense.keys() - {"repeat"}:
                best = top_k(np.where(dense[name] > 0, dense[name], np.nan), options.n_candidates)
                place, column = np.nonzero(best >= 0)
                able[place, best[place, column]] = True
            place, held = np.nonzero(able)
            customers.append(start + place)
            products.append(columns[held])
            scores.append(np.stack([part[place, held] for part in dense.values()]))
        self.scores = dict(zip(dense, np.concatenate(scores, axis=1), strict=True))
        self.judged = _judged(fold, np.concatenate(customers), np.concatenate(products))

    def ndcg(self, options: BlendOptions) -> DoubleArray:
        """NDCG@10 of each customer with these weights."""
        total = np.zeros_like(self.scores["repeat"])
        for name, weight in _weights(options).items():
            total += np.float32(weight) * self.scores[name]
        return self.judged.ndcg_of_each(total)


def _pool(popular: Popular) -> AnyIntArray:
    """The products that weights are tried on beside own ones, rising: all, or the most popular of many."""
    if popular.n_products_ <= POOL:
        return np.arange(popular.n_products_)
    return np.sort(popular.order()[:POOL])


def _weights(options: BlendOptions) -> dict[str, float]:
    """Each part's weight."""
    return {part: learned(getattr(options, weight)) for part, weight in WEIGHTS.items()}


def _judged(fold: InnerFold, customer: AnyIntArray, product: AnyIntArray) -> Judged:
    truth = fold.truth[fold.rows]
    return Judged(customer, are_in(truth, customer, product), np.diff(truth.indptr))


def _with_weights(options: BlendOptions, interactions: Interactions) -> BlendOptions:
    """The options with the weights filled in by coordinate search on the last horizons."""
    free = [name for name in GRIDS if getattr(options, name) is None]
    usual: dict[str, Any] = {name: GRIDS[name][0] for name in free}
    best = replace(options, **usual)
    if not free:
        return best
    trials = at_once([partial(_Trial, fold, options) for fold in inner_folds(interactions, options)])
    if not trials:
        untried = {"repeat_weight": _share_of_repeats(interactions), "content_weight": UNTRIED_CONTENT}
        known: dict[str, Any] = {name: weight for name, weight in untried.items() if name in free}
        return replace(best, **known)
    for _ in range(PASSES):
        for name in free:
            best = _best([_with(best, name, value) for value in GRIDS[name]], trials)
    return best


def _share_of_repeats(interactions: Interactions) -> float:
    """Of what customers bought after their first order, the share of products that they had bought before."""
    first_order = np.full(interactions.n_customers, np.iinfo(np.int64).max)
    np.minimum.at(first_order, interactions.customer_row, interactions.at_s)
    later = interactions.at_s > first_order[interactions.customer_row]
    repeats = np.count_nonzero(later & ~is_first_purchase(interactions))
    return float((repeats + PRIOR_REPEATS) / (np.count_nonzero(later) + PRIOR_PURCHASES))


def _with(options: BlendOptions, name: str, weight: float) -> BlendOptions:
    changed: dict[str, Any] = {name: weight}
    return replace(options, **changed)


def _best(choices: list[BlendOptions], trials: list[_Trial]) -> BlendOptions:
    """The choice with the highest mean, or the first if it is within one standard error of that.

    Source: the one-standard-error rule of Breiman et al. 1984, on paired differences.
    """
    found = [np.concatenate([trial.ndcg(choice) for trial in trials]) for choice in choices]
    highest = max(range(len(choices)), key=lambda place: found[place].mean())
    gain = found[highest] - found[0]
    is_clear = gain.mean() > gain.std() / np.sqrt(len(gain))
    return choices[highest if is_clear else 0]
