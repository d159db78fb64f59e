"""Inner products whose bits depend on nothing but the two rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.numerics.factors import score_factors

factor = st.floats(-100, 100, width=32)


def table(rows: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, (rows, 5), elements=factor)


def test_a_score_is_the_inner_product() -> None:
    scores = score_factors(np.array([[1, 2], [0.5, -1]], np.float32), np.array([[3, 4], [1, 0]], np.float32))
    assert scores.tolist() == [[11.0, 1.0], [-2.5, 0.5]]
    assert scores.dtype == np.float32


def test_factors_of_zero_on_either_side_have_no_score() -> None:
    scores = score_factors(np.array([[1, 1], [0, 0]], np.float32), np.array([[0, 0], [2, 3]], np.float32))
    np.testing.assert_array_equal(scores, [[np.nan, 5], [np.nan, np.nan]])


@given(table(4), table(6), st.permutations(range(6)))
def test_neither_batch_nor_order_changes_a_bit(
    customers: np.ndarray, products: np.ndarray, order: list[int]
) -> None:
    scores = score_factors(customers, products)
    for row in range(4):
        np.testing.assert_array_equal(score_factors(customers[[row]], products[order])[0], scores[row, order])


@pytest.mark.parametrize("n_customers", [1, 2, 63, 64, 65, 130])
def test_many_factors_add_up_alike_in_every_batch(n_customers: int) -> None:
    rng = np.random.default_rng(0)
    customers = rng.standard_normal((130, 500)).astype(np.float32) * np.float32(1e-3)
    products = (rng.standard_normal((300, 500)) * 10.0 ** rng.integers(-20, 5, (300, 1))).astype(np.float32)
    scores = score_factors(customers, products)
    np.testing.assert_array_equal(score_factors(customers[:n_customers], products), scores[:n_customers])
    np.testing.assert_array_equal(score_factors(customers[-1:], products), scores[-1:])
    true = customers.astype(np.float64) @ products.T.astype(np.float64)
    largest = np.abs(customers).max(axis=1)[:, None] * np.abs(products).max(axis=1)[None, :]
    assert (np.abs(scores - true) / largest).max() < 1e-4
