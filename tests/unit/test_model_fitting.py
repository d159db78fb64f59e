"""Variants fitted on one history, none twice; and what makes a recipe another one."""

from typing import Any

import numpy as np
import pytest

from models.als import Als
from models.blend import Blend, BlendOptions
from models.ranker import Ranker
from models.registry import VARIANTS, build
from models.repeat import RepeatOptions
from tests.data.shops import grocer
from training.fitting import content_of, fit_variants, popular_order, recipe_of, with_horizon

HISTORY = grocer().interactions()
SMALL: dict[str, Any] = {"factors": 4, "regularization": 1.0, "half_life_days": 28.0}


def parts_of(models: dict[str, Any]) -> Any:
    return models["blend"].parts_


def test_a_blend_takes_components_that_are_fitted_already() -> None:
    steps: list[str] = []
    variants = {"blend": {"als": SMALL}, "als": SMALL, "repeat": {}, "popular": {}}
    models, seconds = fit_variants(HISTORY, variants, horizon_days=7, on_step=steps.append)
    assert steps == list(models) == list(seconds) == [name for name in VARIANTS if name in variants]
    assert steps[-1] == "blend"
    assert parts_of(models).als is models["als"]
    assert parts_of(models).repeat is models["repeat"]
    assert parts_of(models).item_item.options == build("item_item").options


def test_a_blend_fits_its_own_where_options_differ() -> None:
    variants = {
        "blend": {"als": SMALL, "repeat": {"due_power": 0.0}},
        "als": {**SMALL, "factors": 5},
        "repeat": {},
    }
    models, _ = fit_variants(HISTORY, variants, horizon_days=7)
    assert parts_of(models).als is not models["als"]
    assert parts_of(models).als.product_factors_.shape[1] == 4
    assert parts_of(models).repeat is not models["repeat"]


def test_a_blend_of_fitted_components_is_the_one_fitted_alone() -> None:
    together, _ = fit_variants(
        HISTORY, {"als": {}, "item_item": {}, "repeat": {}, "blend": {}}, horizon_days=7
    )
    alone, _ = fit_variants(HISTORY, {"blend": {}}, horizon_days=7)
    rows = np.arange(46, dtype=np.int32)
    np.testing.assert_array_equal(together["blend"].score(rows), alone["blend"].score(rows))
    assert together["blend"].options_ == alone["blend"].options_


def test_the_horizon_reaches_a_variant_and_its_parts_where_no_option_says_otherwise() -> None:
    filled = with_horizon("blend", {"als": {"horizon_days": 3, "factors": 4}, "n_folds": 1}, 14)
    assert (filled["horizon_days"], filled["n_folds"]) == (14, 1)
    assert filled["als"] == {"horizon_days": 3, "factors": 4}
    assert filled["repeat"] == filled["item_item"] == {"horizon_days": 14}
    assert with_horizon("popular", {}, 14) == {"horizon_days": 14}
    assert with_horizon("season", {}, 14) == {"horizon_days": 14}  # which learns on no folds, and yet has one
    assert with_horizon("ranker", {}, 14)["season"] == {"horizon_days": 14}
    assert with_horizon("popular", {"horizon_days": 7}, 14) == {"horizon_days": 7}


def test_an_option_called_as_a_variant_is_not_a_part() -> None:
    assert with_horizon("ease", {"neighbours": 7}, 14) == {"horizon_days": 14, "neighbours": 7}
    assert recipe("ease", neighbours=7) != recipe("ease", neighbours=8)


def test_popular_order_is_that_of_the_fitted_popular() -> None:
    models, _ = fit_variants(HISTORY, {"popular": {}}, horizon_days=7)
    order = popular_order(models)
    assert sorted(order.tolist()) == list(range(24))
    assert (np.diff(models["popular"].score(np.zeros(1, np.int32))[0][order]) <= 0).all()


def test_the_content_of_a_night_is_a_variant_or_a_part_of_one_and_is_fitted_where_there_is_none() -> None:
    blend, _ = fit_variants(HISTORY, {"blend": {"als": SMALL}}, horizon_days=7)
    ranker, _ = fit_variants(HISTORY, {"ranker": {"als": SMALL}}, horizon_days=7)
    alone, _ = fit_variants(HISTORY, {"content": {}}, horizon_days=7)
    assert content_of(blend, HISTORY, 7) is parts_of(blend).content
    assert content_of({**blend, **alone}, HISTORY, 7) is alone["content"]
    assert isinstance(ranker["ranker"], Ranker)
    assert content_of(ranker, HISTORY, 7) is ranker["ranker"].sources_["content"]
    without, _ = fit_variants(HISTORY, {"popular": {}}, horizon_days=7)
    assert content_of(without, HISTORY, 7).options_ == content_of(blend, HISTORY, 7).options_


def recipe(name: str = "blend", horizon_days: int = 7, **options: Any) -> str:
    return recipe_of(name, with_horizon(name, options, horizon_days))


def test_a_recipe_is_the_same_for_the_same_and_in_any_order() -> None:
    assert recipe() == recipe()
    assert recipe(als={"factors": 4, "seed": 1}, seed=2) == recipe(seed=2, als={"seed": 1, "factors": 4})


def test_a_recipe_changes_with_variant_options_and_horizon() -> None:
    recipes = [
        *(recipe(), recipe("als"), recipe(horizon_days=14), recipe(als_weight=0.1)),
        *(recipe(als={"factors": 4}), recipe(repeat={"horizon_days": 3})),
    ]
    assert len(set(recipes)) == len(recipes)


def test_a_recipe_changes_with_the_revision_of_its_code_or_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe(), recipe("als"), recipe("repeat")
    monkeypatch.setattr(Als, "revision", Als.revision + 1)
    assert recipe() != before[0]
    assert recipe("als") != before[1]
    assert recipe("repeat") == before[2]
    monkeypatch.setattr(Blend, "revision", Blend.revision + 1)
    assert recipe("als") != before[1]
    assert len({recipe(), before[0]}) == 2


def relative(scores: np.ndarray) -> np.ndarray:
    positive = np.maximum(np.nan_to_num(scores), 0)
    return positive / positive.max()


def test_a_blend_s_score_is_the_weighted_sum_of_its_parts() -> None:
    def blend(popular: float, item_item: float, als: float) -> Blend:
        options = BlendOptions(
            popular_weight=popular,
            item_item_weight=item_item,
            als_weight=als,
            affinity_weight=0.0,
            content_weight=0.0,
        )
        return Blend(options).fit(HISTORY)

    row = np.array([3], np.int32)
    everything, without = blend(0.5, 0.25, 0.125), blend(0.5, 0, 0).score(row)
    parts = everything.parts_
    wanted = 0.25 * relative(parts.item_item.score(row)) + 0.125 * relative(parts.als.score(row))
    np.testing.assert_allclose((everything.score(row) - without)[:, :24], wanted[:, :24], rtol=1e-4)
    repeat = np.nan_to_num(parts.repeat.score(row))
    popular = without - repeat
    np.testing.assert_allclose(blend(1.5, 0, 0).score(row) - repeat, 3 * popular, rtol=1e-4)
    assert (popular[:, :24] > 0).all()
    assert np.isnan(popular[:, 24]).all()  # nobody bought it


def test_a_blend_with_every_part_answers_from_its_state_to_the_bit() -> None:
    options = BlendOptions(
        popular_weight=0.5,
        item_item_weight=0.25,
        als_weight=0.125,
        affinity_weight=0.1,
        content_weight=0.1,
        repeat=RepeatOptions(due_power=0.5),
    )
    blend, rows = Blend(options).fit(HISTORY), np.arange(46, dtype=np.int32)
    back = Blend.from_state(blend.state())
    np.testing.assert_array_equal(back.score(rows), blend.score(rows))
    np.testing.assert_array_equal(back.score(rows[7:8])[0], blend.score(rows)[7])
