"""The peers of the benchmark: the counting ones by hand, implicit's as implicit itself would answer."""

from typing import Any

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from implicit.lmf import LogisticMatrixFactorization
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

from models.history.interactions import Interactions
from models.numerics.top_k import top_k
from tests.benchmarks.quality_peers import (
    CONTESTANTS,
    Asked,
    Contestant,
    Factors,
    HalfLife,
    Neighbours,
    PersonalCounts,
    weighted,
)
from tests.benchmarks.quality_questions import Question
from tests.data.shops import START_S, shop_of
from training.evaluation.folds import Fold
from training.ranking import rank_each

DAY_S = 86_400
N_PRODUCTS = 5


def history() -> Interactions:
    """Customer 0: product 0, then 1 and 2, then 2, a day apart, the last a day ago; customer 1: product 3."""
    orders = [(0, 81.0, [0]), (0, 82.0, [1, 2]), (0, 83.0, [2]), (1, 83.0, [3])]
    return shop_of(orders, n_customers=2, n_products=N_PRODUCTS).interactions()


def many(n_products: int = 25) -> Interactions:
    rng = np.random.default_rng(3)
    orders = [
        (customer, float(day), sorted(set(rng.integers(0, 25, 4).tolist())))
        for customer in range(40)
        for day in range(20, 60, 8)
    ]
    return shop_of(orders, n_customers=40, n_products=n_products).interactions()


def test_personal_counts_decay_by_basket_and_add_the_share_of_all_baskets() -> None:
    scores = PersonalCounts(decay=0.5, popular_weight=2.0).fit(history()).score(np.array([0], np.int32))
    # Of four baskets product 2 is in two, the others in one; nobody bought product 4.
    expected = [0.25 + 0.5, 0.5 + 0.5, 0.5 + 1 + 1, 0.5, np.nan]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-6)


def test_half_life_halves_an_order_and_orders_ties_by_what_sells() -> None:
    model = HalfLife(half_life_days=1.0, popular_days=30.0).fit(history())
    scores = model.score(np.array([0, 1], np.int32))
    np.testing.assert_allclose(scores[0, :3], [1 / 8, 1 / 4, 1 / 2 + 1 / 4], atol=1e-3)
    assert scores[1, 3] > 0.49
    assert top_k(scores[1:], 5).tolist() == [[3, 2, 1, 0, -1]]  # the rest by sales, lately above all


@pytest.mark.parametrize(
    "model",
    [
        Factors(AlternatingLeastSquares, {"factors": 8, "iterations": 2}),
        Factors(LogisticMatrixFactorization, {"factors": 8, "iterations": 2}),
        Neighbours(CosineRecommender, {"K": 10, "weights": "binary", "own_weights": "decayed"}),
        Neighbours(BM25Recommender, {"K": 10}),
    ],
)
@pytest.mark.filterwarnings("ignore:Method expects CSR input")
def test_lists_are_those_of_implicits_recommend_with_and_without_what_is_owned(model: Any) -> None:
    learned_from = many()
    model.fit(learned_from)
    own = weighted(learned_from, getattr(model, "own_weights", "counts"))
    rows = np.arange(learned_from.n_customers, dtype=np.int32)
    owned = learned_from.matrix()
    for is_new in (False, True):
        theirs, _ = model.model.recommend(rows, own[rows], N=5, filter_already_liked_items=is_new)
        without = [owned if is_new else None]
        (ours,) = rank_each(Asked(model), rows, 5, fill=np.empty(0, np.int32), without=without)
        found = ours >= 0  # where there are too few, implicit goes on with what is of no use
        assert found.mean() > 0.8
        np.testing.assert_array_equal(ours[found], theirs[found])


def test_the_settings_that_find_more_on_earlier_cuts_are_chosen() -> None:
    orders = [(customer, day, [customer % 2]) for customer in range(6) for day in (10.0, 20.0, 30.0)]
    interactions = shop_of(orders, n_customers=6, n_products=2).interactions()
    question = Question("earlier", interactions, Fold(START_S + 25 * DAY_S, 7))

    class Reversed(PersonalCounts):
        def score(self, rows: Any) -> Any:
            return -super().score(rows)

    def make(settings: Any) -> Any:
        kind = Reversed if settings["wrong"] else PersonalCounts
        return kind(decay=1.0, popular_weight=0.1)

    contestant = Contestant("x", "x", ({"wrong": True}, {"wrong": False}), make)
    assert contestant.chosen([question]) == {"wrong": False}


def test_every_peer_can_be_made_with_each_of_its_settings_and_scores_every_customer() -> None:
    learned_from = many(n_products=30)
    for contestant in CONTESTANTS:
        for settings in contestant.grid:
            few = {**settings, "iterations": 1} if "implicit" in contestant.name else dict(settings)
            if contestant.name.endswith(("cosine", "tfidf", "bm25")):
                few.pop("iterations")
            scores = contestant.make(few).fit(learned_from).score(np.arange(3, dtype=np.int32))
            assert scores.shape == (3, 30)
            assert np.isfinite(scores).any(axis=1).all()
            assert np.isnan(scores[:, 25:]).all()  # products that nobody bought
