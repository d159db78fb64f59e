"""Products like what the customer bought, by what is known of them: also those that nobody bought yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, DoubleArray, FloatArray, IntArray, LongArray
from models.base import Model, learned
from models.bounds import is_power
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from models.numerics.columns import as_arrays, lines
from models.numerics.decay import decay, half_life_grid
from models.numerics.one_hot import one_hot
from models.numerics.top_k import top_k_of_table
from models.validation.first_purchases import Trial, first_purchases, take_up, take_up_half_life, trials
from models.validation.folds import FoldOptions, chosen
from models.validation.loyalty import loyalty

BLOCK = 1000  # products whose likeness to others is held at a time


@dataclass(frozen=True)
class ContentOptions(FoldOptions):
    """Options of `content`, beside those of FoldOptions. None: learned, by what finds more new products.

    Attributes:
        half_life_days: days after which a first purchase counts half in what is taken up now.
        profile_half_life_days: days after which an order counts half in what the customer likes.
        take_up_power: how far what is taken up now goes before other products that are as similar: 0 is
            content alone.
        rarity_power, loyalty_power: how far it counts that few products have a feature, and that customers
            keep to it.
        prior_purchases: first purchases that every product is thought to have had just now beside its own, so
            that one that nobody bought has its chance.
    """

    half_life_days: float | None = None
    profile_half_life_days: float | None = None
    take_up_power: float | None = None
    rarity_power: float | None = None
    loyalty_power: float | None = None
    prior_purchases: float = 0.1
    n_folds: int = field(default=2, kw_only=True)
    max_customers: int = field(default=500, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("take_up_power", "rarity_power", "loyalty_power"):
            is_power(name, getattr(self, name))


class Content(Model[ContentOptions]):
    """A product scores by the cosine between it and what the customer bought, times a power of its take-up.

    Both are vectors of words, categories and brands, each weighted by how few products have it and how much
    customers keep to it; the customer's is the sum over their products, by the roots of decayed orders.

    Source: the Rocchio profile over tf-idf, Pazzani, Billsus 2007.
    """

    name: ClassVar[str] = "content"
    revision: ClassVar[int] = 8
    options_type: ClassVar[type] = ContentOptions
    learnt: ClassVar[tuple[str, ...]] = (
        *("feature_indptr_", "feature_", "feature_weight_", "chance_"),
        *("own_indptr_", "own_product_", "own_weight_"),
    )

    feature_indptr_: LongArray  # shape (n_products + 1,)
    feature_: IntArray
    feature_weight_: FloatArray  # each product's have length 1
    chance_: FloatArray  # shape (n_products,), take-up to its power, above 0
    own_indptr_: LongArray  # shape (n_customers + 1,)
    own_product_: IntArray
    own_weight_: FloatArray
    _vectors: sparse.csr_array | None = None  # products x features, made when first asked for

    def fit(self, interactions: Interactions) -> Self:
        features, firsts = content_features(interactions.catalogue), first_purchases(interactions)
        options = self._learned(interactions)
        weights = _weights(features, loyalty(firsts, features, options.seed), options)
        return self._fit_with(interactions, firsts, content_vectors(features, weights), options)

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what has nothing in common with anything that the customer bought."""
        self.check_fitted()
        vectors = self._known()
        own = lines(self.own_indptr_, self.own_product_, self.own_weight_, self.n_products_, rows)
        profile = _of_length_1(own @ vectors).T.toarray()
        some = slice(None) if products is None else products
        # what is dense has a column for each customer
        scores = np.ascontiguousarray((vectors[some] @ profile).T)
        scores *= self.chance_[some]
        scores[scores <= 0] = np.nan
        return scores

    def like(self, products: IntArray, pool: IntArray, k: int) -> IntArray:
        """What somebody who bought one of these products alone would like best, for each of them.

        Args:
            products: product rows, shape (n,).
            pool: the product rows among which to look; there may be none.
            k: how many.
        Returns:
            product rows, shape (n, k), best first, ties by the lower row; -1 where no more of the pool have
            anything in common with it.
        """
        self.check_fitted()
        vectors = self._known()
        others = (sparse.diags_array(self.chance_[pool]) @ vectors[pool]).T.tocsr()
        found = np.full((len(products), k), -1, np.int32)
        for start in range(0, len(products), BLOCK):
            block = products[start : start + BLOCK]
            table = sparse.csr_array(vectors[block] @ others)
            itself = np.repeat(block, np.diff(table.indptr)) == pool[table.indices]
            table.data[itself] = 0
            table.eliminate_zeros()
            best = top_k_of_table(table, k)
            found[start : start + BLOCK] = np.append(pool, -1)[best]  # -1 takes the last
        return found

    def _known(self) -> sparse.csr_array:
        """Products x features, weighted."""
        if self._vectors is None:
            features = (self.feature_weight_, self.feature_, self.feature_indptr_)
            shape = self.n_products_, int(self.feature_.max(initial=-1)) + 1
            self._vectors = sparse.csr_array(features, shape=shape)
        return self._vectors

    def _fit_with(
        self,
        interactions: Interactions,
        firsts: Interactions,
        vectors: sparse.csr_array,
        options: ContentOptions,
    ) -> Self:
        self.options_, self.n_products_ = options, interactions.n_products
        self.feature_indptr_, self.feature_, self.feature_weight_ = as_arrays(vectors)
        self._vectors = None
        chance = take_up(firsts, learned(options.half_life_days), options.prior_purchases)
        self.chance_ = chance ** np.float32(learned(options.take_up_power))
        own = interactions.matrix(decay(interactions.age_days, learned(options.profile_half_life_days)))
        own.data = np.sqrt(own.data)  # the tenth order says less than the first
        self.own_indptr_, self.own_product_, self.own_weight_ = as_arrays(own)
        return self

    def _learned(self, interactions: Interactions) -> ContentOptions:
        """The options with each of those that are None chosen on the folds, one after another."""
        options = self.options
        grid = half_life_grid(interactions.span_days)
        grids: dict[str, Sequence[float]] = {
            "take_up_power": (0.5, 1.0, 0.25),
            "profile_half_life_days": (grid[-1], grid[len(grid) // 2]),
            "loyalty_power": (0.5, 0.0),
            "rarity_power": (1.0, 0.0),
        }
        start = replace(
            options, half_life_days=options.half_life_days or take_up_half_life(interactions, options)
        )
        folds = (_Past.of(trial, options.seed) for trial in trials(interactions, options))
        return chosen(start, grids, folds, _new_dcg)


def content_features(catalogue: Catalogue) -> sparse.csr_array:
    """What is known of each product.

    Returns:
        n_products x n_features, float32, 1 where it holds: words of title and category, categories, brands.
    """
    categories = one_hot(catalogue.category_row, catalogue.category_words.shape[0])
    brands = one_hot(catalogue.brand_row)
    # a word of one category alone says what the category does
    is_shared = np.bincount(catalogue.category_words.indices, minlength=catalogue.words.shape[1]) > 1
    shared = catalogue.category_words @ sparse.diags_array(is_shared.astype(np.float32))
    words = sparse.csr_array(catalogue.words + categories @ shared)
    words.eliminate_zeros()
    words.data[:] = 1  # a word that stands in both counts once
    return sparse.csr_array(sparse.hstack([words, categories, brands], format="csr", dtype=np.float32))


def rarity(features: sparse.csr_array) -> DoubleArray:
    """The log of how many products there are for each that has a feature (idf); shape (n_features,)."""
    n_products, n_features = features.shape
    holders = np.maximum(np.bincount(features.indices, minlength=n_features), 1)
    rare: DoubleArray = np.log(n_products / holders)
    return rare


def content_vectors(features: sparse.csr_array, weight: DoubleArray) -> sparse.csr_array:
    """What is known of each product, weighted.

    Args:
        features: from `content_features`.
        weight: of each, shape (n_features,), 0 or more.
    Returns:
        n_products x n_features, float32; each row has length 1, or is empty where nothing is known that
        tells the product from all others.
    """
    table = features.copy()
    table.data = weight.astype(np.float32)[table.indices]
    return _of_length_1(table)


def _weights(features: sparse.csr_array, kept: DoubleArray, options: ContentOptions) -> DoubleArray:
    """Of each feature: what all products have weighs nothing."""
    rare = rarity(features)
    weight = rare ** learned(options.rarity_power) * kept ** learned(options.loyalty_power)
    return np.where(rare > 0, weight, 0.0)


def _of_length_1(table: sparse.csr_array) -> sparse.csr_array:
    """Each row divided by its Euclidean length."""
    row = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    length = np.sqrt(np.bincount(row, table.data.astype(np.float64) ** 2, table.shape[0]))
    table.data = (table.data / np.maximum(length, 1e-30)[row]).astype(np.float32)
    return table


@dataclass(frozen=True, eq=False)
class _Past:
    """A trial with what was known at its beginning: of the products, and of what customers keep to."""

    trial: Trial
    features: sparse.csr_array
    kept: DoubleArray

    @classmethod
    def of(cls, trial: Trial, seed: int) -> Self:
        features = content_features(trial.firsts.catalogue)
        return cls(trial, features, loyalty(trial.firsts, features, seed))


def _new_dcg(past: _Past, options: ContentOptions) -> float:
    """What the options find among products new to the customers, as `Trial.new_dcg`."""
    trial = past.trial
    vectors = content_vectors(past.features, _weights(past.features, past.kept, options))
    model = Content(options)._fit_with(trial.fold.history, trial.firsts, vectors, options)
    return trial.new_dcg(model.score(trial.fold.rows, trial.columns))
