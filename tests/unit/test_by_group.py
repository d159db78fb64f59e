"""Each group keeps the order of all."""

import numpy as np

from models.numerics.by_group import ByGroup


def test_each_group_has_its_rows_in_the_order_of_all_and_what_has_no_group_is_in_none() -> None:
    order, group = np.array([4, 0, 3, 1], np.int32), np.array([2, 0, 2, 2, -1], np.int32)
    found = ByGroup.of(order, group, 3)
    assert [found[row].tolist() for row in range(3)] == [[1], [], [0, 3]]
    assert found[-1].tolist() == []
