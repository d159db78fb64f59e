"""Dense and sparse pieces of tables: what scipy would say, without touching the rest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from models.numerics.columns import lines

row = st.lists(st.sampled_from(range(6)), unique=True, max_size=6)


@given(st.lists(row, min_size=1, max_size=8), st.data())
def test_lines_are_the_rows_that_scipy_would_slice(table: list[list[int]], data: st.DataObject) -> None:
    indptr = np.concatenate([[0], np.cumsum([len(each) for each in table])]).astype(np.int64)
    column = np.array([place for each in table for place in each], np.int32)
    value = np.arange(1, len(column) + 1, dtype=np.float32)
    rows = np.array(data.draw(st.lists(st.sampled_from(range(len(table))), max_size=9)), np.int32)
    found = lines(indptr, column, value, 6, rows)
    whole = sparse.csr_array((value, column, indptr), shape=(len(table), 6))
    assert found.shape == (len(rows), 6)
    np.testing.assert_array_equal(found.toarray(), whole.toarray()[rows])
