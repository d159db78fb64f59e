"""Candidate lists go to their files a block at a time, as wide as there are products at most."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import base
from models.arrays import AnyIntArray, FloatArray, IntArray
from models.base import Model, Told
from models.content import Content, ContentOptions
from models.history.catalogue import EVER, Catalogue
from models.history.follow_up import category_left, follow_up_lift
from models.history.timeline import Timeline
from models.item_item import ItemItem
from models.popular import Popular
from storage.versions.evidence import NO_EVIDENCE
from storage.versions.writer import VersionWriter
from tests.data.scores import history_of
from tests.data.shops import grocer
from training.publishing.candidates import OwnHistory
from training.publishing.contents import (
    write_alike,
    write_candidates,
    write_follow_up,
    write_intervals,
    write_shared,
)
from training.ranking import as_one, ranked_blocks
from training.strangers import ALIKE


class Sure(Popular):
    """Popular, with half of each score as its probability."""

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        for told in super().opinions(rows):
            yield told._replace(probability=told.scores / 2)


class SureOfNew(Sure):
    """The same for new products only: it has no opinion on half of them."""

    is_for_new_only = True

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        scores = super().score(rows, products)
        scores[HISTORY.matrix()[rows].toarray() > 0] = np.nan
        scores[:, ::2] = np.nan
        return scores


HISTORY = grocer().interactions()
MODELS: dict[str, Model] = {
    "item_item": ItemItem().fit(HISTORY),
    "popular": Popular().fit(HISTORY),
    "sure": Sure().fit(HISTORY),
    "sure_of_new": SureOfNew().fit(HISTORY),
}
N_CUSTOMERS, N_PRODUCTS = HISTORY.n_customers, HISTORY.n_products
NONE_SOLD_OUT = np.zeros(N_PRODUCTS, np.bool_)


def own_history() -> OwnHistory:
    owned = HISTORY.matrix()
    some = np.ones(owned.nnz)
    return OwnHistory(
        owned.indptr.astype(np.int64), owned.indices.astype(np.int32), *(some.astype(np.uint16),) * 3
    )


def written(folder: Path, variant: str, k: int) -> dict[str, np.ndarray]:
    write_candidates(VersionWriter(folder), variant, MODELS, own_history(), k=k, sold_out=NONE_SOLD_OUT)
    return {path.stem: np.load(path) for path in folder.rglob("*.npy")}


@pytest.mark.parametrize("cells", [1, 7 * N_PRODUCTS, 10**6])
def test_the_size_of_a_block_changes_nothing(
    cells: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(N_CUSTOMERS, dtype=np.int32)
    order = np.argsort(-MODELS["popular"].score(rows[:1])[0], kind="stable").astype(np.int32)
    owned = own_history().matrix(N_PRODUCTS)
    _, lists, probability = as_one(ranked_blocks(MODELS["sure"], rows, 4, fill=order, owned=owned))
    monkeypatch.setattr(base, "BLOCK_CELLS", cells)
    found = written(tmp_path, "sure", 4)
    np.testing.assert_array_equal(found["product"], lists)
    assert probability is not None
    np.testing.assert_array_equal(found["probability"], probability.astype(np.float16))
    assert found["evidence"].shape == lists.shape
    assert found["evidence"].dtype == np.uint8
    assert (found["evidence"] != NO_EVIDENCE).any()


def test_what_is_sold_out_takes_half_of_the_places_at_most_and_none_from_its_betters(tmp_path: Path) -> None:
    order = Popular().fit(HISTORY).order()
    sold_out = np.isin(np.arange(N_PRODUCTS), order[[0, 1, 2, 5]])
    write_candidates(VersionWriter(tmp_path), "sure", MODELS, own_history(), k=4, sold_out=sold_out)
    lists = np.load(tmp_path / "candidates" / "sure" / "product.npy")
    chance = np.load(tmp_path / "candidates" / "sure" / "probability.npy")
    wanted = order[[0, 1, 3, 4]]  # the third that is sold out has to go, for one that can be bought
    np.testing.assert_array_equal(lists, np.tile(wanted, (N_CUSTOMERS, 1)))
    of_all = MODELS["popular"].score(np.zeros(1, np.int32))[0]
    np.testing.assert_array_equal(chance[0], (of_all[wanted] / 2).astype(np.float16))


def test_where_little_is_sold_out_lists_are_what_they_were(tmp_path: Path) -> None:
    sold_out = np.isin(np.arange(N_PRODUCTS), Popular().fit(HISTORY).order()[[1, 3]])
    write_candidates(VersionWriter(tmp_path), "sure", MODELS, own_history(), k=4, sold_out=sold_out)
    lists = np.load(tmp_path / "candidates" / "sure" / "product.npy")
    np.testing.assert_array_equal(lists[0], Popular().fit(HISTORY).order()[:4])


def test_it_is_told_which_customers_lists_are_made_since_those_of_a_million_take_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BLOCK_CELLS", 20 * N_PRODUCTS)
    steps: list[str] = []
    write_candidates(
        *(VersionWriter(tmp_path), "sure", MODELS, own_history()),
        k=4,
        sold_out=NONE_SOLD_OUT,
        on_step=steps.append,
    )
    begins, *lines = steps
    assert begins == "candidates of sure"
    assert lines == [f"{begins}, customer {first} of {N_CUSTOMERS}" for first in (1, 21, 41)]


def test_lists_of_new_products_are_filled_with_new_ones_until_there_are_no_more(tmp_path: Path) -> None:
    popular = Popular().fit(HISTORY).order()
    owned = HISTORY.matrix().toarray() > 0
    lists = written(tmp_path, "sure_of_new", N_PRODUCTS)["product"].tolist()
    for listed, of_customer in zip(lists, owned, strict=True):
        known = {*range(1, N_PRODUCTS, 2), *popular.tolist()}  # by the model, by the fill
        able = known - set(np.flatnonzero(of_customer))
        assert sorted(listed[: len(able)]) == sorted(able)
        assert listed[len(able) :] == [-1] * (N_PRODUCTS - len(able))
    assert owned[:, popular].any()


def test_there_are_no_more_places_than_products(tmp_path: Path) -> None:
    found = written(tmp_path, "popular", 200)
    assert {name: array.shape for name, array in found.items()} == {
        "product": (N_CUSTOMERS, N_PRODUCTS),
        "evidence": (N_CUSTOMERS, N_PRODUCTS),
    }


def test_intervals_are_told_where_the_like_was_bought_again(tmp_path: Path) -> None:
    # Product 0 is bought again after 4 days, product 1 of its category never; product 2 has no category. The
    # shop writes the category of 0 and 1 in two ways, which the day takes for two.
    lines = [(0, 0, 90, 0), (0, 0, 94, 1), (0, 1, 94, 1), (1, 2, 95, 2)]
    plain = history_of(lines, n_customers=2, n_products=3, as_of_day=100)
    history = replace(plain, catalogue=Catalogue.of(np.array([0, 0, -1], np.int32)))
    write_intervals(VersionWriter(tmp_path), Timeline.of(history), np.array([1, 0, -1], np.int32), 2)
    assert np.load(tmp_path / "products/interval_days.npy").tolist() == pytest.approx(
        [4, 4, np.nan], nan_ok=True
    )
    of_category = np.load(tmp_path / "categories/interval_days.npy").tolist()
    assert of_category == [4, 4]


def test_what_orders_that_follow_another_are_for_is_written_beside_the_lists(tmp_path: Path) -> None:
    group = HISTORY.catalogue.category_row
    # the shop has one more category, and calls the last one, which nothing is known of, first
    named = np.where(group >= 0, group + 1, -1).astype(np.int32)
    n_named = int(named.max()) + 1
    write_follow_up(VersionWriter(tmp_path), HISTORY, named, n_named, 7.0)
    np.testing.assert_array_equal(np.load(tmp_path / "follow_up/lift.npy"), follow_up_lift(HISTORY, 7.0))
    left = np.load(tmp_path / "follow_up/category_left.npy")
    np.testing.assert_array_equal(left, np.append(np.float32(1), category_left(HISTORY, 7.0)))


def test_behind_what_is_popular_comes_what_nobody_bought_the_newest_first(tmp_path: Path) -> None:
    lines = [(0, 2, 1.0, 0), (1, 2, 1.0, 1), (1, 1, 1.0, 1)]
    history = history_of(lines, n_customers=2, n_products=6, as_of_day=2)
    models: dict[str, Model] = {"item_item": ItemItem().fit(history), "popular": Popular().fit(history)}
    available_s = np.full(6, EVER)
    available_s[[1, 4, 5]] = 30, 10, 20
    write_shared(VersionWriter(tmp_path), models, available_s)
    assert np.load(tmp_path / "popular" / "order.npy").tolist() == [2, 1, 5, 4, 0, 3]


def test_what_is_like_a_product_is_looked_for_among_what_may_be_new_to_somebody(tmp_path: Path) -> None:
    content = Content(ContentOptions(horizon_days=7.0)).fit(HISTORY)
    write_alike(VersionWriter(tmp_path), content, HISTORY, 7.0, NONE_SOLD_OUT)
    alike = np.load(tmp_path / "alike" / "product.npy")
    assert alike.shape == (N_PRODUCTS, ALIKE)
    everything = np.arange(N_PRODUCTS, dtype=np.int32)
    np.testing.assert_array_equal(alike, content.like(everything, everything, ALIKE))
    assert (alike >= 0).any()


def test_what_is_sold_out_is_like_nothing_and_leaves_its_places_to_others(tmp_path: Path) -> None:
    content = Content(ContentOptions(horizon_days=7.0)).fit(HISTORY)
    everything = np.arange(N_PRODUCTS, dtype=np.int32)
    first = content.like(everything, everything, 1)[0, 0]
    sold_out = everything == first
    write_alike(VersionWriter(tmp_path), content, HISTORY, 7.0, sold_out)
    alike = np.load(tmp_path / "alike" / "product.npy")
    np.testing.assert_array_equal(alike, content.like(everything, everything[~sold_out], ALIKE))
    assert first >= 0
    assert (alike != first).all()
    assert (alike[first] >= 0).any()  # it may be asked about itself


def test_what_is_sold_out_takes_no_place_of_the_products_that_are_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Content(ContentOptions(horizon_days=7.0)).fit(HISTORY)
    everything = np.arange(N_PRODUCTS, dtype=np.int32)
    sold_out = np.isin(everything, Popular().fit(HISTORY).order()[: N_PRODUCTS // 2])
    monkeypatch.setattr("training.strangers.ALIKE_POOL", N_PRODUCTS - N_PRODUCTS // 2)
    write_alike(VersionWriter(tmp_path), content, HISTORY, 7.0, sold_out)
    alike = np.load(tmp_path / "alike" / "product.npy")
    np.testing.assert_array_equal(alike, content.like(everything, everything[~sold_out], ALIKE))


def test_where_all_is_sold_out_nothing_is_like_anything(tmp_path: Path) -> None:
    content = Content(ContentOptions(horizon_days=7.0)).fit(HISTORY)
    write_alike(VersionWriter(tmp_path), content, HISTORY, 7.0, np.ones(N_PRODUCTS, np.bool_))
    alike = np.load(tmp_path / "alike" / "product.npy")
    np.testing.assert_array_equal(alike, np.full((N_PRODUCTS, ALIKE), -1))
