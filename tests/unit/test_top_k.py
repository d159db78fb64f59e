"""The best k of each row, in one fixed order."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models.numerics import top_k as top_k_module
from models.numerics.top_k import top_k

score = st.sampled_from([np.nan, -np.inf, np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0])  # many ties


def naive(scores: np.ndarray, k: int) -> list[list[int]]:
    rows = []
    for line in scores.tolist():
        able = [column for column, value in enumerate(line) if value > -np.inf]
        best = sorted(able, key=lambda column: (-line[column], column))[:k]
        rows.append(best + [-1] * (k - len(best)))
    return rows


@pytest.mark.parametrize(
    ("line", "k", "wanted"),
    [
        ([1.0, 3.0, 2.0], 2, [1, 2]),
        ([2.0, 2.0, 2.0, 2.0], 2, [0, 1]),
        ([1.0, 2.0, 1.0, 1.0], 3, [1, 0, 2]),
        ([np.nan, 1.0, np.nan], 2, [1, -1]),
        ([-np.inf, -5.0, 1.0], 3, [2, 1, -1]),
        ([np.nan, -np.inf], 1, [-1]),
        ([7.0], 3, [0, -1, -1]),
        ([], 2, [-1, -1]),
    ],
)
def test_best_first_ties_by_the_lower_column_and_never_nan(
    line: list[float], k: int, wanted: list[int]
) -> None:
    best = top_k(np.array([line], np.float32), k)
    assert best.tolist() == [wanted]
    assert best.dtype == np.int32


def test_no_rows_give_no_rows() -> None:
    assert top_k(np.empty((0, 5), np.float32), 3).shape == (0, 3)


@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=score), st.integers(1, 15)
)
@example(np.full((1, 12), 1.0, np.float32), 11)
def test_it_is_what_sorting_gives(scores: np.ndarray, k: int) -> None:
    before = scores.copy()
    for few in (0, 12):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(top_k_module, "FEW", few)
            assert top_k(scores, k).tolist() == naive(scores, k)
    np.testing.assert_array_equal(scores, before)


@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=50), elements=score),
    st.integers(1, 5),
)
@example(np.tile(np.array([2, 1, 0, 0, 0, 0, 0, 0], np.float32), (1, 5)), 3)
def test_many_columns_for_each_that_is_wanted_change_nothing(scores: np.ndarray, k: int) -> None:
    """Then most are left out before any is sorted: by the bests of groups of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_k_module, "LEAST_GROUPS", 1)
        patch.setattr(top_k_module, "FEW", 0)
        assert top_k(scores, k).tolist() == naive(scores, k)
