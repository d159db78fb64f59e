"""What our variants are compared with: implicit's own models and two that count, each with a small search.

Settings are chosen by NDCG@10 on the cuts of `Split.earlier`, over all products, as the tables are read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self
from warnings import catch_warnings, simplefilter

import numpy as np
from implicit.bpr import BayesianPersonalizedRanking
from implicit.cpu.als import AlternatingLeastSquares
from implicit.lmf import LogisticMatrixFactorization
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from implicit.utils import ParameterWarning
from scipy import sparse
from threadpoolctl import threadpool_limits

from models.arrays import FloatArray, IntArray
from models.base import Told, blocks
from models.history.interactions import Interactions
from models.history.timeline import Timeline
from models.numerics.decay import decay
from tests.benchmarks.quality_questions import Question
from training.evaluation.folds import count_orders
from training.evaluation.metrics import per_customer
from training.ranking import rank_each

PEER_HALF_LIFE_DAYS = 60.0

type Settings = Mapping[str, Any]


class Scorer(Protocol):
    """What a fitted peer must have to be measured."""

    n_products_: int

    def score(self, rows: IntArray) -> FloatArray:
        """Shape (n, n_products), NaN where there is no opinion."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A fitted peer, asked as our models are."""

    peer: Scorer

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        """See Model."""
        products = np.arange(self.peer.n_products_)
        for block in blocks(rows, self.peer.n_products_):
            yield Told(block, products, self.peer.score(block), None)


class Factors:
    """One of implicit's matrix factorisations."""

    def __init__(self, kind: type[Any], settings: Settings) -> None:
        self.kind = kind
        self.settings = {**settings}
        self.weights = self.settings.pop("weights", "counts")

    def fit(self, history: Interactions) -> Self:
        with threadpool_limits(1, "blas"):  # as implicit asks for
            self.model = self.kind(**self.settings, random_state=0)
            self.model.fit(weighted(history, self.weights), show_progress=False)
        self.n_products_ = history.n_products
        self._is_sold = np.bincount(history.product_row, minlength=history.n_products) > 0
        return self

    def score(self, rows: IntArray) -> FloatArray:
        """What implicit's `recommend` orders by; no opinion on products that nobody bought."""
        scores: FloatArray = self.model.user_factors[rows] @ self.model.item_factors.T
        scores[:, ~self._is_sold] = np.nan
        return scores


class Neighbours:
    """One of implicit's item-item models."""

    def __init__(self, kind: type[Any], settings: Settings) -> None:
        self.kind = kind
        self.settings = {**settings}
        self.weights = self.settings.pop("weights", "counts")
        self.own_weights = self.settings.pop("own_weights", "counts")

    def fit(self, history: Interactions) -> Self:
        self.model = self.kind(**self.settings)
        with catch_warnings():
            simplefilter("ignore", ParameterWarning)  # about a conversion of its own making
            self.model.fit(weighted(history, self.weights), show_progress=False)
        self._own = weighted(history, self.own_weights)
        self.n_products_ = history.n_products
        return self

    def score(self, rows: IntArray) -> FloatArray:
        """What implicit's `recommend` orders by; no opinion where it finds nothing."""
        scores: FloatArray = (self._own[rows] @ self.model.similarity).toarray().astype(np.float32)
        scores[scores == 0] = np.nan
        return scores


def weighted(history: Interactions, weights: str) -> sparse.csr_matrix:
    """Customers x products: "counts" of orders, the same "decayed" by PEER_HALF_LIFE_DAYS, or "binary"."""
    if weights == "decayed":
        return sparse.csr_matrix(history.matrix(decay(history.age_days, PEER_HALF_LIFE_DAYS)))
    counts = sparse.csr_matrix(history.matrix())
    if weights == "binary":
        counts.data[:] = 1
    return counts


def order_share(history: Interactions, half_life_days: float) -> FloatArray:
    """Of all orders, decayed, the share that holds each product, above 0 for all that were sold."""
    weights = np.maximum(decay(history.age_days, half_life_days), 1e-30)
    held = np.bincount(history.product_row, weights, history.n_products)
    first = np.unique(history.order_row, return_index=True)[1]
    return (held / max(float(weights[first].sum()), 1e-30)).astype(np.float32)


@dataclass
class HalfLife:
    """Own products by orders, each halved in so many days; ties and the rest by what sells lately."""

    half_life_days: float
    popular_days: float

    def fit(self, history: Interactions) -> Self:
        self.n_products_ = history.n_products
        self._own = history.matrix(decay(history.age_days, self.half_life_days))
        lately = order_share(history, self.popular_days)
        self._lately = np.where(lately > 0, lately * np.float32(1e-3), np.float32(np.nan))
        return self

    def score(self, rows: IntArray) -> FloatArray:
        """Decayed orders plus a share of all orders that is too small to change more than ties."""
        scores: FloatArray = self._own[rows].toarray() + self._lately
        return scores


@dataclass
class PersonalCounts:
    """Own products by orders, decayed by how many baskets ago, plus the weighted share of all baskets."""

    decay: float
    popular_weight: float

    def fit(self, history: Interactions) -> Self:
        self.n_products_ = history.n_products
        line = Timeline.of(history)
        counts = np.bincount(line.pair, self.decay**line.orders_since, len(line)).astype(np.float32)
        shape = (history.n_customers, history.n_products)
        own = sparse.csr_array((counts, line.product_row, line.indptr), shape=shape)
        share = np.bincount(history.product_row, minlength=history.n_products) / count_orders(history).sum()
        self._own = own
        self._share = np.where(share > 0, share * self.popular_weight, np.nan).astype(np.float32)
        return self

    def score(self, rows: IntArray) -> FloatArray:
        """See the class."""
        scores: FloatArray = self._own[rows].toarray() + self._share
        return scores


@dataclass(frozen=True)
class Contestant:
    """A peer by name.

    Attributes:
        title: in the tables.
        grid: settings to choose from; the first wins among equals.
        make: an unfitted peer with these settings.
        n_cuts: on so many of the earlier cuts, the latest, settings are judged; implicit's take their time.
    """

    name: str
    title: str
    grid: Sequence[Settings]
    make: Any
    n_cuts: int = 1

    def chosen(self, earlier: Sequence[Question], *, customers: int = 1000) -> Settings:
        """The settings with the highest mean NDCG@10 on earlier cuts, each judged by so many customers."""
        found = [
            sum(self._found(settings, question, customers) for question in earlier) for settings in self.grid
        ]
        return self.grid[int(np.argmax(found))]

    def _found(self, settings: Settings, question: Question, customers: int) -> float:
        truth = question.truth.targets["all"]
        drawn = np.random.default_rng(0).permutation(len(truth.customer_row))[:customers]
        places = np.sort(drawn)
        best = self.best(settings, question, truth.customer_row[places])
        return float(per_customer(best, truth.products[places], (10,))["ndcg@10"].mean())

    def best(self, settings: Settings, question: Question, rows: IntArray) -> IntArray:
        """The ten products that each of these customers would see, shape (n, 10)."""
        model = Asked(self.make(settings).fit(question.history))
        return rank_each(model, rows, 10, fill=question.popular, without=[None])[0]


ITEM_ITEM = (
    {"K": 20},
    {"K": 20, "own_weights": "decayed"},
    {"K": 20, "weights": "binary", "own_weights": "decayed"},
    {"K": 200, "weights": "binary", "own_weights": "decayed"},
)
CONTESTANTS = (
    Contestant(
        "half_life",
        "own half-life + popular fill",
        [
            {"half_life_days": days, "popular_days": lately}
            for days in (60, 30, 90, 180)
            for lately in (14, 56)
        ],
        lambda settings: HalfLife(**settings),
        n_cuts=3,
    ),
    Contestant(
        "personal_counts",
        "own counts by baskets ago + popularity",
        [
            {"decay": decay, "popular_weight": weight}
            for decay in (0.9, 0.8, 0.95, 1.0)
            for weight in (1.0, 3.0, 10.0, 30.0, 100.0)
        ],
        lambda settings: PersonalCounts(**settings),
        n_cuts=3,
    ),
    Contestant(
        "implicit_als",
        "implicit ALS",
        (
            {},
            {"factors": 64, "regularization": 10, "iterations": 4, "weights": "decayed"},
            {"factors": 128, "regularization": 30, "iterations": 4},
            {"factors": 256, "regularization": 30, "iterations": 4},
        ),
        lambda settings: Factors(AlternatingLeastSquares, settings),
    ),
    Contestant(
        "implicit_bpr",
        "implicit BPR",
        (
            {"factors": 64, "learning_rate": 0.005, "iterations": 50},
            {"factors": 64, "learning_rate": 0.02, "iterations": 50},
        ),
        lambda settings: Factors(BayesianPersonalizedRanking, settings),
    ),
    Contestant(
        "implicit_lmf",
        "implicit logistic MF",
        ({}, {"regularization": 20.0}, {"regularization": 5.0, "weights": "decayed"}),
        lambda settings: Factors(LogisticMatrixFactorization, settings),
    ),
    Contestant(
        "implicit_cosine",
        "implicit item-item cosine",
        ITEM_ITEM,
        lambda settings: Neighbours(CosineRecommender, settings),
    ),
    Contestant(
        "implicit_tfidf",
        "implicit item-item TF-IDF",
        ITEM_ITEM,
        lambda settings: Neighbours(TFIDFRecommender, settings),
    ),
    Contestant(
        "implicit_bm25",
        "implicit item-item BM25",
        ITEM_ITEM,
        lambda settings: Neighbours(BM25Recommender, settings),
    ),
)
