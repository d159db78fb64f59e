"""Which products become candidates, and from whom: two customers and six products, listed by hand."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import models.ranking.sources as sources_module
from models.arrays import IntArray
from models.base import Model
from models.due import Due
from models.history.catalogue import Catalogue
from models.popular import Popular, PopularOptions
from models.ranking.sources import (
    SOURCES,
    Candidates,
    Limits,
    Owned,
    candidates,
    pool_of,
    unsold_share,
)
from models.repeat import Repeat, RepeatOptions
from tests.data.scores import Fixed, history_of
from tests.data.shops import market

NAN = np.nan
# customer 0 bought product 0 three times and 1 once, customer 1 product 2 twice, customer 2 nothing
LINES = [(0, 0, 1, 0), (0, 0, 2, 1), (0, 0, 3, 2), (0, 1, 3, 2), (1, 2, 1, 3), (1, 2, 2, 4)]
HISTORY = history_of(LINES, n_customers=3, n_products=6, as_of_day=4)
OWNED = Owned.of(HISTORY.matrix())
SCORES = np.array([[9, 8, 5, NAN, 7, 6], [1, 2, 9, 4, 5, NAN], [NAN] * 6], np.float32)
ROWS, EVERY = np.arange(3, dtype=np.int32), np.arange(6, dtype=np.int32)
EVERY_120 = np.arange(120, dtype=np.int32)


def few_sources() -> dict[str, Model[Any]]:
    repeat = Repeat(RepeatOptions(half_life_days=100.0, due_power=0.0))
    return {
        "popular": Popular(PopularOptions(half_life_days=1e6)).fit(HISTORY),
        "repeat": repeat.fit(HISTORY),
        "fixed": Fixed(SCORES),
    }


def in_blocks(*asked: Any) -> list[Candidates]:
    return [step() for step in candidates(*asked)]


def found(
    sources: Mapping[str, Model[Any]],
    *,
    own: int = 1,
    new: int = 2,
    rows: np.ndarray = ROWS,
    unsold: float = 0.0,
) -> Candidates:
    return Candidates.joined(in_blocks(sources, OWNED, rows, Limits(own, new, 6), EVERY, unsold))


def pairs(of: Candidates) -> list[tuple[int, int]]:
    return list(zip(of.customer_row.tolist(), of.product_row.tolist(), strict=True))


def assert_same(one: Candidates, other: Candidates) -> None:
    for name in ("customer_row", "product_row", "is_own", "scores", "places", "nearness"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_nearness_is_the_score_over_the_customers_best_among_new_products() -> None:
    """Of `fixed` alone: popular says the same to all, and repeat speaks of own products."""
    listed = found(few_sources())
    expected = [NAN, 5 / 7, 1, 6 / 7, 1 / 5, 2 / 5, NAN, 4 / 5, 1, NAN, NAN]
    np.testing.assert_allclose(listed.nearness[:, 0], np.array(expected, np.float32), rtol=1e-6)
    assert listed.nearness.shape == (11, 1)
    (alone,) = in_blocks(few_sources(), OWNED, ROWS[1:2], Limits(1, 2, 6), EVERY, 0.0)
    np.testing.assert_array_equal(alone.nearness, listed.nearness[4:9])


def test_there_is_no_nearness_where_nothing_scores_above_0() -> None:
    below = {"fixed": Fixed(np.where(np.isnan(SCORES), np.float32(np.nan), -SCORES))}
    assert np.isnan(found(below).nearness).all()


def test_candidates_are_the_union_of_the_lists_sorted_and_without_duplicates() -> None:
    """Repeat lists 0 for customer 0 and 2 for customer 1; fixed 4, 5 and 4, 3; popular 2 and 0, 1."""
    listed = found(few_sources())
    assert pairs(listed) == [
        *((0, 0), (0, 2), (0, 4), (0, 5)),
        *((1, 0), (1, 1), (1, 2), (1, 3), (1, 4)),
        *((2, 0), (2, 2)),
    ]
    assert listed.is_own.tolist() == [True, *[False] * 3, *[False] * 2, True, *[False] * 4]
    assert (listed.customer_row.dtype, listed.product_row.dtype) == (np.int32, np.int32)


def test_places_are_ranks_in_the_source_s_list_and_scores_are_given_beside_it_too() -> None:
    listed = found(few_sources(), rows=ROWS[:1])
    share = [1 / 2, 1 / 2, 0, 0]  # of the customers; 0 for what nobody bought
    np.testing.assert_array_equal(listed.places[:, 0], [NAN, 0, NAN, NAN])
    np.testing.assert_array_equal(listed.places[:, 1], [0, NAN, NAN, NAN])
    np.testing.assert_array_equal(listed.places[:, 2], [NAN, NAN, 0, 1])
    np.testing.assert_allclose(np.nan_to_num(listed.scores[:, 0]), share, rtol=1e-4)
    assert np.isnan(listed.scores[1:, 1]).all()
    np.testing.assert_array_equal(listed.scores[:, 2], [9, 5, 7, 6])


def test_what_repeat_and_due_do_not_list_is_own_for_nobody_else() -> None:
    sources = few_sources()
    del sources["repeat"]
    assert not found(sources, new=6).is_own.any()
    only_own = found({"repeat": few_sources()["repeat"], "due": Due().fit(HISTORY)}, own=6)
    assert only_own.is_own.all()
    assert pairs(only_own) == [(0, 0), (0, 1), (1, 2)]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_source_lists_more_than_its_limit(n: int) -> None:
    listed = found(few_sources(), own=n, new=n)
    for column in range(3):
        for row in ROWS:
            places = listed.places[listed.customer_row == row, column]
            places = np.sort(places[~np.isnan(places)])
            np.testing.assert_array_equal(places, np.arange(len(places)))
            assert len(places) <= n


def test_of_what_nobody_bought_a_source_lists_some_beside_its_first_places() -> None:
    """3, 4 and 5 are unsold; the second customer owns 2."""
    fixed = {"fixed": Fixed(np.array([[NAN, NAN, 9, 1, 2, 3]] * 3, np.float32))}
    both = found(fixed, new=1, unsold=1.0)
    assert pairs(both) == [(0, 2), (0, 5), (1, 4), (1, 5), (2, 2), (2, 5)]
    assert both.places[:, 0].tolist() == [0, 1, 1, 0, 0, 1]
    assert pairs(found(fixed, new=1, unsold=0.1)) == pairs(both)  # one at least


def test_the_part_of_the_lists_for_what_nobody_bought_is_its_share_of_late_first_purchases() -> None:
    # 0 was bought long ago, 1 and 2 from day 50 on, in weeks that end with day 60
    early = [(c, 0, 1, c) for c in range(10)]
    late = [(10, 0, 55, 10), (0, 1, 50, 11), (1, 1, 51, 12), (2, 1, 55, 13), (0, 1, 56, 14), (3, 2, 52.9, 15)]
    history = history_of([*early, *late], n_customers=11, n_products=3, as_of_day=60)
    assert unsold_share(history, 7.0) == pytest.approx(3 / 5)  # not 0, nor 1 in its second week
    assert unsold_share(history_of(early, n_customers=10, n_products=1, as_of_day=60), 7.0) == 0


def test_a_source_that_is_left_out_leaves_no_column() -> None:
    sources = few_sources()
    del sources["popular"]
    listed = found(sources)
    assert listed.scores.shape == listed.places.shape == (len(listed), 2)
    assert pairs(listed) == [(0, 0), (0, 4), (0, 5), (1, 2), (1, 3), (1, 4)]


def test_without_sources_or_customers_there_are_no_candidates() -> None:
    assert found({}).scores.shape == (0, 0)
    assert candidates(few_sources(), OWNED, ROWS[:0], Limits(1, 1, 6), EVERY, 0.0) == []


def test_equal_scores_are_listed_by_product_row() -> None:
    listed = found({"fixed": Fixed(np.ones((3, 6), np.float32))}, rows=ROWS[2:])
    assert pairs(listed) == [(2, 0), (2, 1)]


def test_at_keeps_the_pairs_asked_for() -> None:
    listed = found(few_sources())
    some = listed.at(np.array([1, 6]))
    assert pairs(some) == [(0, 2), (1, 2)]
    np.testing.assert_array_equal(some.scores, listed.scores[[1, 6]])
    np.testing.assert_array_equal(some.places, listed.places[[1, 6]])


@cache
def all_fitted() -> dict[str, Model[Any]]:
    history = market().interactions()
    return {source.name: source().fit(history) for source in SOURCES}


def test_one_block_or_many_one_customer_or_all_list_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    sources, history = all_fitted(), market().interactions()
    owned, rows, limits = Owned.of(history.matrix()), np.arange(0, 151, 3, dtype=np.int32), Limits(4, 5, 1000)
    pool = pool_of(history, 7.0, 60, 0.125)
    monkeypatch.setattr(sources_module, "LEAST_ROWS", 256)
    (whole,) = in_blocks(sources, owned, rows, limits, pool, 0.125)
    assert set(pairs(whole)) >= {(150, int(product)) for product in top_of(sources["popular"], pool, 5)}
    monkeypatch.setattr(sources_module, "MOST_ROWS", 7)
    monkeypatch.setattr(sources_module, "LEAST_ROWS", 7)
    blocks = in_blocks(sources, owned, rows, limits, pool, 0.125)
    assert [len(np.unique(block.customer_row)) for block in blocks] == [7] * 7 + [2]
    assert_same(Candidates.joined(blocks), whole)
    (alone,) = in_blocks(sources, owned, rows[5:6], limits, pool, 0.125)
    assert_same(alone, whole.at(np.flatnonzero(whole.customer_row == rows[5])))


def top_of(model: Model[Any], pool: IntArray, n: int) -> IntArray:
    return pool[np.argsort(-model.score(np.zeros(1, np.int32), pool)[0], kind="stable")[:n]]


def test_new_products_come_from_the_pool_and_own_ones_from_anywhere() -> None:
    history, rows = market().interactions(), np.arange(150, dtype=np.int32)
    pool = np.array([3, 50, 51], np.int32)
    owned = Owned.of(history.matrix())
    listed = Candidates.joined(in_blocks(all_fitted(), owned, rows, Limits(100, 3, 3), pool, 0.125))
    assert set(listed.product_row[~listed.is_own].tolist()) <= set(pool.tolist())
    assert listed.is_own.sum() == owned.table[rows].nnz


def test_the_pool_is_what_is_taken_up_lately_and_an_eighth_or_more_that_nobody_bought() -> None:
    """Product p has p first purchases for p up to 20, those of 5 long ago; 21 to 39 were never sold."""
    lines = [(c, p, 0.5 if p == 5 else 99.0, c * 40 + p) for p in range(1, 21) for c in range(p)]
    history = history_of(lines, n_customers=20, n_products=40, as_of_day=100)
    assert pool_of(history, 7.0, 16, 0.125).tolist() == [0, *range(7, 22)]
    assert pool_of(history, 7.0, 16, 0.0).tolist() == [0, *range(7, 22)]
    assert pool_of(history, 7.0, 16, 0.25).tolist() == [0, *range(9, 24)]
    assert pool_of(history, 7.0, 40, 0.125).tolist() == list(range(40))
    hidden = np.isin(np.arange(40), [0, 10, 20])
    assert pool_of(history, 7.0, 16, 0.25, hidden).tolist() == [*range(7, 10), *range(11, 20), *range(21, 25)]
    assert pool_of(history, 7.0, 37, 0.25, hidden).tolist() == np.flatnonzero(~hidden).tolist()


def test_own_is_exactly_what_the_customer_bought() -> None:
    history = market().interactions()
    owned, rows = history.matrix(), np.arange(history.n_customers, dtype=np.int32)
    listed = Candidates.joined(
        in_blocks(all_fitted(), Owned.of(owned), rows, Limits(100, 3, 120), EVERY_120, 0.125)
    )
    bought = owned.toarray()[listed.customer_row, listed.product_row] > 0
    np.testing.assert_array_equal(listed.is_own, bought)
    assert listed.is_own.sum() == owned.nnz  # the limit leaves room for all
    assert (np.diff(listed.customer_row.astype(np.int64) * history.n_products + listed.product_row) > 0).all()


def test_of_what_nobody_bought_the_pool_has_what_is_most_like_what_is_taken_up() -> None:
    history = history_of(
        [(0, 0, 99.0, 0), (0, 1, 99.0, 0), (1, 2, 99.0, 1)], n_customers=2, n_products=40, as_of_day=100
    )
    words = np.zeros((40, 3), np.float32)
    words[[0, 1, 2, 33, 37], 0] = 1  # what sells has this word
    words[3:33, 1] = 1
    catalogue = Catalogue.of(np.full(40, -1, np.int32), words=sparse.csr_array(words))
    assert pool_of(replace(history, catalogue=catalogue), 7.0, 5, 0.2).tolist() == [0, 1, 2, 33, 37]
