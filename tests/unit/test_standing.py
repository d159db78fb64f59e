"""What is popular in its category and what is new are counted, in small shops too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.versions.standing import FIRST_PLACES, new_in_shop, popular_in_category


def popular(recent: list[int], category: list[int]) -> list[int]:
    found = popular_in_category(np.array(recent, np.int32), np.array(category, np.int32))
    return np.flatnonzero(found).tolist()


@pytest.mark.parametrize(
    ("recent", "category", "rows"),
    [
        ([5, 9, 1, 7], [0, 0, 0, 0], [1, 3]),
        ([5, 9, 1], [0, 0, 0], [0, 1]),  # half of three is two
        ([5, 9, 1], [0, 1, -1], [0, 1]),  # alone in its category; without a category
        ([0, 0], [0, 1], []),  # nobody bought any of late
        ([4, 0, 0], [0, 0, 0], [0]),
        ([4, 4], [0, 0], []),  # neither is bought more than the other
        ([8, 4, 4, 1], [0, 0, 0, 0], [0]),
        ([8, 8, 4, 1], [0, 0, 0, 0], [0, 1]),
        ([], [], []),
    ],
)
def test_the_first_half_of_a_category_is_popular_in_it(
    recent: list[int], category: list[int], rows: list[int]
) -> None:
    assert popular(recent, category) == rows


def test_of_a_large_category_only_the_first_ten_are() -> None:
    assert popular(list(range(1, 101)), [0] * 100) == list(range(90, 100))
    assert popular([7] * 11 + [1] * 50, [0] * 61) == []  # eleven at one place


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 2)), max_size=60))
def test_each_popular_product_has_no_more_beside_or_above_it_than_may_be(
    products: list[tuple[int, int]],
) -> None:
    found = popular([recent for recent, _ in products], [category for _, category in products])
    for row, (recent, category) in enumerate(products):
        others = [count for count, of in products if of == category and count]
        place = sum(count >= recent for count in others)
        is_popular = recent > 0 and category >= 0 and place <= min(FIRST_PLACES, -(-len(others) // 2))
        assert is_popular == (row in found)


def new(first_day: list[int], last_day: int = 1000) -> list[int]:
    return np.flatnonzero(new_in_shop(np.array(first_day, np.uint16), last_day, 28)).tolist()


@pytest.mark.parametrize(
    ("first_day", "rows"),
    [
        ([500, 972, 973, 1000, 0], [2, 3]),  # the 28 days to the last one; nobody bought the fifth
        ([944, 990], [1]),
        ([945, 990], []),  # a shop of 55 days: all of it is new
        ([0, 0], []),  # of a night that didn't note it
        ([], []),
    ],
)
def test_new_is_what_an_older_shop_first_sold_within_the_last_days(
    first_day: list[int], rows: list[int]
) -> None:
    assert new(first_day) == rows
