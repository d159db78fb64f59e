"""What is said of a ranker's sources and probabilities is what its own opinions say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from models.arrays import DAY_S
from models.history.interactions import Interactions
from models.ranker import Ranker
from models.ranking import windows as windows_module
from tests.data.scores import told
from tests.data.shops import Orders, gift_shop, grocer, shop_of
from training.evaluation import inside
from training.evaluation.folds import Fold, split
from training.evaluation.inside import TOLD_GAINS, Look, looking, pooled
from training.evaluation.one_fold import evaluate_fold
from training.fitting import fit_variants

HISTORY = grocer().interactions()
FOLD = Fold(HISTORY.as_of_s - 7 * DAY_S, 7)
OPTIONS: dict[str, Any] = {
    "n_folds": 6,
    "trees": {"n_trees": 5},
    "without": ["als", "ease", "neighbours", "content"],
}


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    variants: dict[str, Any] = {"popular": {}, "ranker": OPTIONS, "discovery": OPTIONS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows_module, "MIN_BOUGHT", 50)  # little is new in so small a shop
        return fit_variants(HISTORY.before(FOLD.as_of_s), variants, horizon_days=7)[0]


def looked(models: Mapping[str, Any], history: Interactions, fold: Fold) -> Mapping[str, Look]:
    fill = np.arange(history.n_products, dtype=np.int32)
    return evaluate_fold(history, fold, models, fill=fill, looks_inside=True).looks


@pytest.fixture(scope="module")
def looks(models: dict[str, Any]) -> dict[str, Look]:
    return dict(looked(models, HISTORY, FOLD))


def test_rankers_alone_are_looked_into(looks: dict[str, Look]) -> None:
    assert list(looks) == ["ranker", "discovery"]


def test_pairs_carry_the_rankers_probability_its_place_and_what_was_bought(
    models: dict[str, Any], looks: dict[str, Look]
) -> None:
    pairs = looks["ranker"].pairs
    history, truth = split(HISTORY, FOLD)
    assert pairs.active.tolist() == sorted(set(history.customer_row[history.age_days < 56].tolist()))
    scores, probability = told(models["ranker"], pairs.active)
    at = np.searchsorted(pairs.active, pairs.customer)
    assert len(pairs.p) == (~np.isnan(scores)).sum()
    target = truth.targets["all"]
    for place, customer in enumerate(pairs.active.tolist()):
        mine = np.flatnonzero(at == place)
        order = np.argsort(-scores[place], kind="stable")[: len(mine)]
        by_rank = mine[np.argsort(pairs.rank[mine])]
        np.testing.assert_array_equal(pairs.p[by_rank], probability[place, order])
        bought = set()
        if customer in target.customer_row:
            line = int(np.searchsorted(target.customer_row, customer))
            bought = set(target.products[[line]].indices.tolist())
        assert pairs.is_bought[by_rank].tolist() == [int(product) in bought for product in order]


def test_all_sources_together_find_what_is_among_the_candidates(
    models: dict[str, Any], looks: dict[str, Look]
) -> None:
    pairs, found = looks["ranker"].pairs, pooled([looks], models).contribution["ranker"]
    n_bought = found.kinds["all"].bought
    assert found.kinds["all"].found == pytest.approx(pairs.is_bought.sum() / n_bought)
    assert found.customers == len(pairs.active)
    assert list(found.kinds["all"].sources) == list(models["ranker"].sources_)
    assert found.kinds["repeats"].sources["repeat"].alone == 1  # every own product is listed
    assert found.kinds["new"].sources["repeat"].alone == 0


def test_discovery_is_judged_on_new_products_alone(looks: dict[str, Look]) -> None:
    (kind,) = {kind for kind in pooled([looks], {}).contribution["discovery"].kinds if kind != "all"} - {
        "repeats"
    }
    found = pooled([looks], {}).contribution["discovery"].kinds[kind]
    assert kind == "new"
    assert looks["discovery"].pairs.is_bought.sum() == round(found.found * found.bought)
    assert len(looks["discovery"].pairs.p) < len(looks["ranker"].pairs.p)


def test_the_most_telling_features_come_first(models: dict[str, Any], looks: dict[str, Look]) -> None:
    gains = pooled([looks], models).gains["ranker"]
    assert len(gains) == TOLD_GAINS
    assert list(gains.values()) == sorted(models["ranker"].gains_.values(), reverse=True)[:TOLD_GAINS]


def test_features_that_brought_nothing_are_not_told(
    models: dict[str, Any], looks: dict[str, Look], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shop of one product trees have nothing to put in order: the report listed fifteen shares of 0."""
    monkeypatch.setattr(models["ranker"], "gains_", {"a": 0.0, "b": 1.0, "c": 0.0})
    monkeypatch.setattr(models["discovery"], "gains_", {"a": 0.0, "b": 0.0})
    assert pooled([looks], models).gains == {"ranker": {"b": 1.0}}


def test_lists_and_what_is_seen_inside_are_the_same_whoever_else_is_asked_about(
    models: dict[str, Any], looks: dict[str, Look], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All who bought were active, so they are asked with more active ones, alone, and with others."""
    fill = np.arange(HISTORY.n_products, dtype=np.int32)
    usual = evaluate_fold(HISTORY, FOLD, models, fill=fill, looks_inside=True)
    alone = evaluate_fold(HISTORY, FOLD, models, fill=fill)
    monkeypatch.setattr(inside, "MAX_CUSTOMERS", 10)
    others = evaluate_fold(HISTORY, FOLD, models, fill=fill, looks_inside=True)
    assert alone.looks == {}
    for result in (alone, others):
        for target, scores in usual.targets.items():
            for name, by_metric in scores.figures.items():
                for metric, figures in by_metric.items():
                    again = result.targets[target].figures[name][metric]
                    np.testing.assert_array_equal(figures, again, err_msg=f"{target} {name} {metric}")
    for name, look in others.looks.items():
        every = looks[name].pairs
        kept = np.isin(every.customer, look.pairs.active)
        assert 0 < kept.sum() < len(kept)
        for column in ("p", "is_bought", "customer", "rank"):
            seen = getattr(every, column)[kept]
            np.testing.assert_array_equal(getattr(look.pairs, column), seen, err_msg=f"{name} {column}")


def test_more_active_customers_than_can_be_asked_are_drawn_by_lot(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inside, "MAX_CUSTOMERS", 10)
    history, truth = split(HISTORY, FOLD)
    one, again, other = (
        looking(models, history, truth.targets["all"], FOLD, history.matrix(), seed)["ranker"].active.tolist()
        for seed in (1, 1, 2)
    )
    assert one == again == sorted(set(one))
    assert len(one) == 10
    assert one != other


def test_what_nobody_had_bought_is_seen_behind_the_first_places_of_a_source() -> None:
    """All that is bought was launched in that week, so each source lists as many unsold products again."""
    lot = np.random.default_rng(0)
    orders: Orders = [
        (customer, 7 * week + lot.uniform(0, 7), (100 * week + lot.choice(100, 3, replace=False)).tolist())
        for week in range(12)
        for customer in range(150)
    ]
    history = shop_of(orders, n_customers=150, n_products=1200).interactions()
    fold = Fold(history.as_of_s - 7 * DAY_S, 7)
    options = {"n_folds": 4, "trees": {"n_trees": 2}, "own_candidates": 5, "new_candidates": 100}
    options |= {"without": ["season", "item_item", "sequel", "als", "ease", "neighbours"]}
    models = fit_variants(history.before(fold.as_of_s), {"ranker": options}, horizon_days=7)[0]
    look = looked(models, history, fold)["ranker"]
    is_content = look.sources.pattern >> look.sources.sources.index("content") & 1 == 1
    assert look.sources.candidates[is_content].sum() == 150 * 200


def test_a_ranker_that_fell_back_is_not_looked_into() -> None:
    history = gift_shop().interactions()
    fold = Fold(history.as_of_s - 7 * DAY_S, 7)
    ranker = Ranker().fit(history.before(fold.as_of_s))
    assert ranker.why_not_
    assert looked({"ranker": ranker}, history, fold) == {}
