"""Lists that customers would see: the model's opinions, then popular products, none twice, none left out."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from models import base
from models.arrays import IntArray
from models.base import Told
from tests.data.scores import Fixed
from training.ranking import as_one, rank_each, ranked_blocks

N = np.nan
ROWS = np.arange(2, dtype=np.int32)
SCORES = np.array([[0.1, N, 0.3, N, 0.2], [N, N, N, N, N]], np.float32)
FILL = np.array([3, 2, 0, 1], np.int32)  # nobody bought 4 lately


def owned(*pairs: tuple[int, int], shape: tuple[int, int] = (2, 5)) -> sparse.csr_array:
    table = np.zeros(shape, np.float32)
    for row, product in pairs:
        table[row, product] = 1
    return sparse.csr_array(table)


def rank(model: Fixed, rows: IntArray, k: int, without: sparse.csr_array | None = None) -> IntArray:
    return rank_each(model, rows, k, fill=FILL, without=[without])[0]


def test_opinions_come_first_and_popular_products_after_them() -> None:
    lists = rank(Fixed(SCORES), ROWS, 4)
    assert lists.tolist() == [[2, 4, 0, 3], [3, 2, 0, 1]]
    assert lists.dtype == np.int32


def test_minus_one_only_where_products_run_out() -> None:
    assert rank(Fixed(SCORES), ROWS, 6).tolist() == [[2, 4, 0, 3, 1, -1], [3, 2, 0, 1, -1, -1]]


def test_owned_products_are_left_out_of_opinions_and_of_the_fill() -> None:
    lists = rank(Fixed(SCORES), ROWS, 3, owned((0, 2), (0, 3), (1, 3)))
    assert lists.tolist() == [[4, 0, 1], [2, 0, 1]]


def test_an_owned_entry_counts_also_where_its_value_is_zero() -> None:
    held = owned((0, 2))
    held.data[:] = 0  # decayed to nothing
    assert rank(Fixed(SCORES), ROWS[:1], 2, held).tolist() == [[4, 0]]


def test_hidden_products_are_left_out_for_everyone() -> None:
    hidden = np.array([False, False, True, True, False])
    nothing = owned(shape=(2, 5))
    parts = ranked_blocks(Fixed(SCORES), ROWS, 3, fill=FILL, owned=nothing, hidden=hidden)
    lists = as_one(parts).lists
    assert lists.tolist() == [[4, 0, 1], [0, 1, -1]]


def test_what_can_be_bought_fills_a_list_before_what_is_sold_out() -> None:
    sold_out, nothing = np.array([False, True, True, True, False]), owned(shape=(2, 5))
    for k, wanted in {2: [[2, 4], [0, 3]], 4: [[2, 4, 0, 3], [0, 3, 2, 1]]}.items():
        parts = ranked_blocks(Fixed(SCORES), ROWS, k, fill=FILL, owned=nothing, sold_out=sold_out)
        assert as_one(parts).lists.tolist() == wanted


def test_rows_may_come_in_any_order_and_none_at_all() -> None:
    model = Fixed(SCORES)
    rows = np.array([1, 0, 1], np.int32)
    assert rank(model, rows, 2, owned((1, 3))).tolist() == [[2, 0], [2, 4], [2, 0]]
    assert rank(model, ROWS[:0], 2).shape == (0, 2)


def test_several_kinds_of_lists_are_those_made_one_by_one() -> None:
    model, kinds = Fixed(SCORES), [owned((0, 2), (1, 3)), None, owned((0, 4))]
    together = rank_each(model, ROWS, 4, fill=FILL, without=kinds)
    apart = [rank(model, ROWS, 4, held) for held in kinds]
    assert [lists.tolist() for lists in together] == [lists.tolist() for lists in apart]
    assert together[0].tolist() != together[1].tolist() != together[2].tolist()


cell = st.sampled_from([np.nan, 0.0, 1.0, 2.0])


@given(st.data())
def test_every_list_is_what_the_rules_say(data: st.DataObject) -> None:
    n, m = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 7))
    scores = np.array(data.draw(st.lists(cell, min_size=n * m, max_size=n * m)), np.float32).reshape(n, m)
    fill = data.draw(st.permutations(range(m)))[: data.draw(st.integers(0, m))]
    held = {(r, p) for r in range(n) for p in range(m) if data.draw(st.booleans())}
    hidden, gone = (np.array([data.draw(st.booleans()) for _ in range(m)]) for _ in range(2))
    k = data.draw(st.integers(1, 9))
    model, rows, order = Fixed(scores), np.arange(n, dtype=np.int32), np.array(fill, np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_CELLS", data.draw(st.sampled_from([1, 5, 1000])))
        without = owned(*held, shape=(n, m))
        (unowned,) = rank_each(model, rows, k, fill=order, without=[without])
        shown = as_one(ranked_blocks(model, rows, k, fill=order, owned=without, hidden=hidden)).lists
        stocked = as_one(ranked_blocks(model, rows, k, fill=order, owned=without, sold_out=gone)).lists
    for row in range(n):
        for lists, able, sold_out in (
            (unowned, [p for p in range(m) if (row, p) not in held], none := np.zeros(m, np.bool_)),
            (shown, [p for p in range(m) if not hidden[p]], none),
            (stocked, list(range(m)), gone),
        ):
            liked = sorted((p for p in able if scores[row, p] >= 0), key=lambda p: (-scores[row, p], p))
            half = [p for p in liked if sold_out[p]][: k // 2]
            listed = [p for p in liked if not sold_out[p] or p in half][:k]
            more = [p for p in fill if p in able and p not in listed]
            wanted = [*listed, *sorted(more, key=lambda p: bool(sold_out[p]))][:k]
            assert lists[row].tolist() == wanted + [-1] * (k - len(wanted))


class Sure(Fixed):
    """A model that knows probabilities too: half of each score."""

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        for told in super().opinions(rows):
            yield told._replace(probability=told.scores / 2)


class Few(Sure):
    """The same, told of those products alone that somebody in the block may get."""

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        for told in super().opinions(rows):
            some = np.flatnonzero(~np.isnan(told.scores).all(axis=0))
            assert told.probability is not None
            yield Told(told.rows, some, told.scores[:, some], told.probability[:, some])


class FewNew(Few):
    is_for_new_only = True


class SureNew(Sure):
    is_for_new_only = True


@pytest.mark.parametrize(("few", "all_told"), [(Few, Sure), (FewNew, SureNew)])
@pytest.mark.parametrize("cells", [5, 1000])
def test_what_a_model_leaves_out_since_it_has_no_opinion_changes_nothing(
    few: type[Sure], all_told: type[Sure], cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BLOCK_CELLS", cells)
    scores = np.array([[N, 3, N, 1, 2, N], [N] * 6, [N, 1, N, 5, 5, N]], np.float32)
    hidden, held = np.arange(6) == 4, owned((0, 3), (1, 2), (2, 0), (2, 3), shape=(3, 6))
    about = {"fill": np.array([3, 2, 4, 5], np.int32), "owned": held, "hidden": hidden}
    rows = np.arange(3, dtype=np.int32)
    found, wanted = (as_one(ranked_blocks(kind(scores), rows, 3, **about)) for kind in (few, all_told))
    assert found.lists.tolist() == wanted.lists.tolist()
    assert found.lists[0].tolist() == ([1, 2, 5] if few.is_for_new_only else [1, 3, 2])
    np.testing.assert_array_equal(found.probability, wanted.probability)


def test_probabilities_stand_beside_opinions_and_are_unknown_of_the_fill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "BLOCK_CELLS", 5)  # a block for each customer
    hidden = np.array([False, False, True, False, False])
    parts = ranked_blocks(Sure(SCORES), ROWS, 5, fill=FILL, owned=owned((0, 0), shape=(2, 5)), hidden=hidden)
    rows, lists, probability = as_one(parts)
    assert rows.tolist() == ROWS.tolist()
    assert lists.tolist() == [[4, 0, 3, 1, -1], [3, 0, 1, -1, -1]]
    assert probability is not None
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, [[0.1, 0.05, N, N, N], [N] * 5])


def test_a_model_without_probabilities_gives_the_same_lists_and_none() -> None:
    parts = ranked_blocks(Fixed(SCORES), ROWS, 4, fill=FILL, owned=owned(shape=(2, 5)))
    _, lists, probability = as_one(parts)
    assert probability is None
    assert lists.tolist() == rank(Fixed(SCORES), ROWS, 4).tolist()
