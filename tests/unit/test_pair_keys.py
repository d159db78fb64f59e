"""A pair's key is its own, keys rise as pairs do, and are found among others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from models.history.pair_keys import are_among, cell_keys, pair_keys

N_PRODUCTS = 7
pairs = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, N_PRODUCTS - 1)), max_size=30)


def keys_of(some: list[tuple[int, int]]) -> np.ndarray:
    customer, product = np.array(some, np.int32).reshape(-1, 2).T
    return pair_keys(customer, product, N_PRODUCTS)


@given(pairs)
def test_keys_are_sorted_as_pairs_are_and_say_which_they_are(some: list[tuple[int, int]]) -> None:
    keys = keys_of(some)
    assert sorted(some) == [divmod(int(key), N_PRODUCTS) for key in np.sort(keys)]


@given(pairs, pairs)
def test_a_key_is_among_those_of_its_pair(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    found = are_among(keys_of(some), np.sort(keys_of(others)))
    assert found.tolist() == [pair in others for pair in some]


def test_keys_of_several_customers_are_told_line_by_line_also_where_there_are_no_others() -> None:
    keys = np.arange(6).reshape(2, 3)
    assert are_among(keys, np.array([1, 5])).tolist() == [[False, True, False], [False, False, True]]
    assert are_among(keys, np.empty(0, np.int64)).tolist() == [[False] * 3] * 2


def test_each_cell_of_a_table_has_the_key_of_its_row_and_column() -> None:
    table = sparse.csr_array(np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1]], np.float32))
    assert cell_keys(table).tolist() == [1, 6, 8]
