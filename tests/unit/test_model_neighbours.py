"""Customer neighbours on four customers, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models import neighbours
from models.arrays import IntArray
from models.history.interactions import Interactions
from models.neighbours import Neighbours, NeighboursOptions, shares
from tests.data.scores import history_of
from tests.data.shops import gift_shop, grocer

# every order is 7 days old and so weighs 1/2; with a prior of 1/2 one order makes shares of 1/2, three of 3/4
LINES = [(0, 0, 93, 0), (0, 1, 93, 0)]
LINES += [(1, 0, 93, 1), (1, 0, 93, 2), (1, 2, 93, 2), (1, 0, 93, 3)]
LINES += [(2, 1, 93, 4), (2, 3, 93, 4)]
LINES += [(3, 4, 93, 5)]
HISTORY = history_of(LINES, n_customers=5, n_products=6, as_of_day=100)
OPTIONS = NeighboursOptions(half_life_days=7.0, k=2, alpha=0.5, q=2.0, prior_orders=0.5)
SHARE = np.zeros((5, 6))
SHARE[0, [0, 1]] = SHARE[2, [1, 3]] = SHARE[3, 4] = 1 / 2
SHARE[1, 0], SHARE[1, 2] = 3 / 4, 1 / 4
# squared lengths of the roots are the sums of shares: 1, 1, 1 and 1/2
DOT_01, DOT_02 = (1 / 2 * 3 / 4) ** 0.5, 1 / 2


EVERYONE = np.arange(5, dtype=np.int32)


def similarity(model: Neighbours) -> np.ndarray:
    table = np.zeros((5, 5))
    for customer, (others, values) in enumerate(zip(*model.nearest(EVERYONE), strict=True)):
        held = others >= 0
        assert (values[~held] == 0).all()
        assert (np.diff(others[held]) > 0).all()
        table[customer, others[held]] = values[held]
    return table


def test_a_share_is_of_decayed_orders_and_the_prior() -> None:
    share, orders = shares(HISTORY, 7.0, 0.5)
    np.testing.assert_allclose(share.toarray(), SHARE, rtol=1e-6)
    assert orders.tolist() == [0.5, 1.5, 0.5, 0.5, 0]


def test_similarity_is_the_cosine_of_the_roots_of_shares() -> None:
    wanted = np.zeros((5, 5))
    wanted[0, 1] = wanted[1, 0] = DOT_01
    wanted[0, 2] = wanted[2, 0] = DOT_02
    np.testing.assert_allclose(similarity(Neighbours(OPTIONS).fit(HISTORY)), wanted, atol=1e-6)


def test_the_nearest_are_kept() -> None:
    model = Neighbours(replace(OPTIONS, k=1)).fit(HISTORY)
    assert model.nearest(EVERYONE)[0].tolist() == [[1], [0], [0], [-1], [-1]]


def test_alpha_divides_by_the_own_length_and_by_that_of_the_other() -> None:
    lines = [*LINES, (3, 0, 93, 5), (3, 2, 93, 5)]  # shares of 1/2 in 0, 2 and 4: squared length 3/2
    history = history_of(lines, n_customers=5, n_products=6, as_of_day=100)
    for alpha in (0.0, 0.25, 1.0):
        found = similarity(Neighbours(replace(OPTIONS, alpha=alpha, k=4)).fit(history))
        assert found[3, 0] == pytest.approx(1 / 2 / 1.5**alpha)
        assert found[0, 3] == pytest.approx(1 / 2 / 1.5 ** (1 - alpha))


def test_a_score_is_the_own_share_and_that_of_neighbours_by_similarity_to_the_power() -> None:
    scores = Neighbours(OPTIONS).fit(HISTORY).score(np.array([0, 3, 4], np.int32))
    wanted = SHARE[0] + DOT_01**2 * SHARE[1] + DOT_02**2 * SHARE[2]
    np.testing.assert_allclose(scores[0, :4], wanted[:4], rtol=1e-5)
    assert np.isnan(scores[0, 4:]).all()
    np.testing.assert_array_equal(scores[1], [np.nan] * 4 + [0.5, np.nan])  # nobody is like customer 3
    assert np.isnan(scores[2]).all()  # they bought nothing


def test_neighbours_come_from_those_with_the_most_orders_lately() -> None:
    model = Neighbours(replace(OPTIONS, pool=1)).fit(HISTORY)
    assert model.nearest(EVERYONE)[0].tolist() == [[1], [-1], [-1], [-1], [-1]]


@pytest.mark.parametrize("cells", [1, 100, 1000])
def test_the_size_of_a_block_changes_nothing(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history = grocer().interactions()
    model, rows = Neighbours(replace(OPTIONS, k=7)).fit(history), rows_of(history)
    scores = model.score(rows)
    monkeypatch.setattr(neighbours, "BLOCK_CELLS", cells)
    np.testing.assert_array_equal(model.score(rows), scores)


def test_fewer_neighbours_are_the_nearest_of_more() -> None:
    history = gift_shop().interactions()
    rows = rows_of(history)
    many = np.sort(Neighbours(replace(OPTIONS, k=60)).fit(history).nearest(rows)[1], axis=1)[:, ::-1]
    few = np.sort(Neighbours(replace(OPTIONS, k=4)).fit(history).nearest(rows)[1], axis=1)[:, ::-1]
    np.testing.assert_allclose(few, many[:, :4], rtol=1e-6)


def test_what_is_kept_does_not_grow_with_the_neighbours_of_each_customer() -> None:
    few, many = (Neighbours(replace(OPTIONS, k=k)).fit(HISTORY).state().arrays for k in (1, 100))
    assert {name: array.nbytes for name, array in few.items()} == {
        name: array.nbytes for name, array in many.items()
    }


def rows_of(history: Interactions) -> IntArray:
    return np.arange(history.n_customers, dtype=np.int32)


def test_more_neighbours_than_there_are_customers_are_all_of_them_and_take_no_room() -> None:
    history = gift_shop().interactions()
    everybody, more = (Neighbours(NeighboursOptions(k=k)).fit(history) for k in (1000, 2_000_000_000))
    rows = np.arange(5, dtype=np.int32)
    np.testing.assert_array_equal(more.score(rows), everybody.score(rows))
    assert more.nearest(rows)[0].shape == (5, len(more.pool_))
