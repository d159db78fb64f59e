"""What every variant promises, whatever it learns: run over each registered one and several shops."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from models import ranker
from models.affinity import Affinity
from models.arrays import DAY_S, FloatArray
from models.base import Model
from models.content import Content
from models.errors import NotFittedError
from models.history.interactions import Interactions
from models.numerics import boosting
from models.ranking import lessons
from models.registry import VARIANTS, build
from models.season import Season
from models.sequel import Sequel
from models.state import ModelState
from storage.versions.version import Version, open_version
from storage.versions.writer import VersionWriter
from tests.data.shops import SHOPS, Shop
from tests.data.versions import finish

NOW = datetime(2017, 11, 1, 2, tzinfo=UTC)

KNOW_CONTENT = (Affinity.name, Content.name, "ranker", "discovery")  # of what nobody bought yet too
NEED_MORE = (Season.name, Sequel.name)  # a year, and products that lead to others: there may be none

every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_shop = pytest.mark.parametrize("shop", SHOPS)


@pytest.fixture(autouse=True, scope="module")
def few_trees_and_windows() -> Iterator[None]:
    """What is promised of a ranker is promised of each tree and window: how many at most doesn't matter.

    Of eight windows two shops teach trees and a calibration, of six fewer trees, of twelve no calibration.
    """
    with ExitStack() as given:
        given.enter_context(patch.dict(ranker.RankerOptions.__init__.__kwdefaults__, n_folds=8))
        for module in (boosting, lessons, ranker):
            given.enter_context(patch.object(module, "MOST_TREES", 20))
        yield


@cache
def made(shop: str) -> Shop:
    return SHOPS[shop]()


@cache
def fitted(variant: str, shop: str) -> Model[Any]:
    """A model that learned from arrays in which it may write nothing."""
    return build(variant).fit(for_reading(made(shop).interactions()))


def for_reading(interactions: Interactions) -> Interactions:
    for array in arrays_of(interactions).values():
        array.setflags(write=False)  # whoever writes fails
    return interactions


def arrays_of(interactions: Interactions) -> dict[str, np.ndarray[Any, Any]]:
    names = ("customer_row", "product_row", "order_row", "at_s", "age_days")
    return {name: getattr(interactions, name) for name in names}


def all_scores(model: Model[Any], shop: str) -> FloatArray:
    return model.score(np.arange(made(shop).n_customers, dtype=np.int32))


def assert_same_state(one: ModelState, other: ModelState) -> None:
    assert one.facts == other.facts
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype, name
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)


@every_variant
@every_shop
def test_scores_are_fresh_float32_with_a_column_for_each_product(variant: str, shop: str) -> None:
    model = fitted(variant, shop)
    scores = all_scores(model, shop)
    assert scores.shape == (made(shop).n_customers, made(shop).n_products)
    assert scores.dtype == np.float32
    assert not np.isinf(scores).any()
    before = scores.copy()
    scores[:] = 7  # whoever asked may do so
    np.testing.assert_array_equal(all_scores(model, shop), before)


@every_variant
@every_shop
def test_fitting_twice_or_elsewhere_learns_the_same_bytes(variant: str, shop: str) -> None:
    again = copy(fitted(variant, "gift_shop"))  # what it knew before must be gone
    again.fit(made(shop).interactions())
    assert_same_state(again.state(), fitted(variant, shop).state())


@every_variant
@every_shop
def test_a_customer_scores_the_same_alone_as_among_others(variant: str, shop: str) -> None:
    model = fitted(variant, shop)
    scores = all_scores(model, shop)
    for row in range(len(scores)):
        np.testing.assert_array_equal(model.score(np.array([row], np.int32))[0], scores[row])
    rows = np.random.default_rng(0).integers(0, len(scores), 2 * len(scores)).astype(np.int32)
    np.testing.assert_array_equal(model.score(rows), scores[rows])


@every_variant
@every_shop
def test_some_products_score_as_among_all(variant: str, shop: str) -> None:
    model, n_products = fitted(variant, shop), made(shop).n_products
    rows = np.arange(made(shop).n_customers, dtype=np.int32)
    for some in (np.arange(n_products)[::3], np.arange(n_products)[-1:], np.arange(0)):
        np.testing.assert_array_equal(model.score(rows, some), all_scores(model, shop)[:, some])


@every_variant
@every_shop
def test_no_customers_asked_for_is_no_error(variant: str, shop: str) -> None:
    scores = fitted(variant, shop).score(np.empty(0, np.int32))
    assert scores.shape == (0, made(shop).n_products)
    assert scores.dtype == np.float32


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in KNOW_CONTENT])
@every_shop
def test_what_nobody_bought_has_no_score(variant: str, shop: str) -> None:
    interactions = made(shop).interactions()
    never = np.bincount(interactions.product_row, minlength=interactions.n_products) == 0
    assert np.isnan(all_scores(fitted(variant, shop), shop)[:, never]).all()


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in NEED_MORE])
def test_a_shop_with_history_gets_opinions_on_its_customers(variant: str) -> None:
    scores = all_scores(fitted(variant, "grocer"), "grocer")
    least = 1 if variant == "discovery" else 5  # each bought five products and more, some nearly all
    assert (np.isfinite(scores[:-1]).sum(axis=1) >= least).all()


@every_variant
def test_before_fit_there_is_no_score_and_no_state(variant: str) -> None:
    model = build(variant)
    with pytest.raises(NotFittedError, match=f"{variant} is not fitted"):
        model.score(np.zeros(1, np.int32))
    with pytest.raises(NotFittedError, match=f"{variant} is not fitted"):
        model.state()


@every_variant
@every_shop
def test_a_state_is_plain_arrays_and_json(variant: str, shop: str) -> None:
    state = fitted(variant, shop).state()
    assert json.loads(json.dumps(state.facts, allow_nan=False)) == state.facts
    for name, array in state.arrays.items():
        assert re.fullmatch("[a-z_]+", name)
        assert isinstance(array, np.ndarray)
        assert not array.dtype.hasobject, name


@every_variant
@every_shop
def test_a_model_from_its_state_scores_to_the_bit_and_leaves_the_same_state(variant: str, shop: str) -> None:
    model = fitted(variant, shop)
    back = VARIANTS[variant].from_state(model.state())
    np.testing.assert_array_equal(all_scores(back, shop), all_scores(model, shop))
    assert_same_state(back.state(), model.state())


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    """A version for each shop with the state of every variant in it, opened again from the disk."""
    root: Path = tmp_path_factory.mktemp("versions")
    opened = {}
    for shop in SHOPS:
        writer = VersionWriter(root / f"aside-{shop}")
        writer.folder.mkdir()
        for name in VARIANTS:
            state = fitted(name, shop).state()
            writer.add_variant(name, state, recipe="r", options={}, has_candidates=False)
        manifest = finish(writer, root / shop, now=NOW)
        opened[shop] = open_version(root / shop / manifest.version_id)
    return opened


@every_variant
@every_shop
def test_a_model_back_from_the_store_scores_to_the_bit(
    variant: str, shop: str, stored: dict[str, Version]
) -> None:
    model = fitted(variant, shop)
    back = VARIANTS[variant].from_state(stored[shop].state(variant))
    np.testing.assert_array_equal(all_scores(back, shop), all_scores(model, shop))
    assert_same_state(back.state(), model.state())


@every_variant
@pytest.mark.parametrize("shop", ["grocer", "gift_shop"])
def test_nothing_at_or_after_as_of_leaks_in(variant: str, shop: str) -> None:
    whole = made(shop)
    cut_s = whole.as_of_s - 20 * DAY_S
    at_cut = np.where(whole.at_s >= cut_s, np.maximum(whole.at_s - 3 * DAY_S, cut_s), whole.at_s)
    past = whole.lines(np.flatnonzero(whole.at_s < cut_s))
    other_future = Shop(
        whole.customer_row,
        np.where(whole.at_s >= cut_s, (whole.product_row + 7) % whole.n_products, whole.product_row),
        whole.order_row,
        at_cut,  # some of it at the very second
        whole.category_row,
        whole.n_customers,
    )
    known = build(variant).fit(past.interactions(cut_s)).state()
    assert_same_state(build(variant).fit(other_future.interactions().before(cut_s)).state(), known)


@pytest.mark.parametrize("shop", ["grocer", "gift_shop"])
def test_what_is_known_before_a_moment_is_the_same_however_it_is_asked_for(shop: str) -> None:
    """A model sees nothing else, so none learns more from one than from another."""
    whole = made(shop)
    cut_s = whole.as_of_s - 20 * DAY_S
    known = whole.lines(np.flatnonzero(whole.at_s < cut_s)).interactions(cut_s)
    for again in (whole.interactions(cut_s), whole.interactions().before(cut_s)):
        assert (again.as_of_s, again.n_customers) == (known.as_of_s, known.n_customers)
        for name, array in arrays_of(known).items():
            np.testing.assert_array_equal(arrays_of(again)[name], array, err_msg=name)


@every_variant
@pytest.mark.parametrize("shop", ["grocer", "gift_shop", "one_order_each"])
def test_the_order_of_the_lines_changes_nothing(variant: str, shop: str) -> None:
    lines = np.random.default_rng(5).permutation(len(made(shop).at_s))
    mixed = made(shop).lines(lines).interactions()
    assert_same_state(build(variant).fit(mixed).state(), fitted(variant, shop).state())


@every_variant
@every_shop
def test_fitting_with_what_was_learned_gives_the_same_model(variant: str, shop: str) -> None:
    first = fitted(variant, shop)
    again = build(variant, asdict(first.options_)).fit(made(shop).interactions())
    assert again.options == again.options_ == first.options_
    assert_same_state(again.state(), first.state())


@every_variant
@every_shop
def test_nothing_is_left_to_learn_after_fit(variant: str, shop: str) -> None:
    assert "null" not in json.dumps(asdict(fitted(variant, shop).options_))


@every_variant
def test_fit_and_score_leave_the_history_and_the_state_as_they_were(variant: str) -> None:
    state = fitted(variant, "grocer").state()  # of a history where nobody may write
    frozen = {name: array.copy() for name, array in state.arrays.items()}
    for array in frozen.values():
        array.setflags(write=False)  # as arrays mapped from a version are
    all_scores(VARIANTS[variant].from_state(replace(state, arrays=frozen)), "grocer")


@every_variant
def test_an_option_chosen_by_hand_is_kept(variant: str) -> None:
    options = {"horizon_days": 14.0, "max_customers": 30, "seed": 3, "half_life_days": 21.0}
    given = {name: value for name, value in options.items() if hasattr(build(variant).options, name)}
    model = build(variant, given).fit(made("gift_shop").interactions())
    assert {name: asdict(model.options_)[name] for name in given} == given
