"""Groups as tables of ones, by hand."""

import numpy as np

from models.numerics.one_hot import one_hot


def test_each_row_has_a_one_for_its_group_and_none_without() -> None:
    group = np.array([1, -1, 0, 1], np.int32)
    assert one_hot(group).toarray().tolist() == [[0, 1], [0, 0], [1, 0], [0, 1]]
    assert one_hot(group, 3).shape == (4, 3)
    assert one_hot(np.full(2, -1, np.int32)).shape == (2, 0)
    assert one_hot(group).dtype == np.float32
