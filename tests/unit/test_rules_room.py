"""The longest answer under limits by brand and by category, against all answers that there are."""

from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.rules.room import Room
from service.versions.cells import Cells

type Product = tuple[int, int]
"""Brand and category, -1 for none."""

N_BRANDS, N_CATEGORIES = 3, 4
products = st.lists(
    st.tuples(st.integers(-1, N_BRANDS - 1), st.integers(-1, N_CATEGORIES - 1)), min_size=1, max_size=9
)


def room_of(shop: list[Product], brands: list[int], categories: list[int], n: int, first: list[int]) -> Room:
    cells = Cells.of(*np.array(shop, np.int32).T, N_BRANDS, N_CATEGORIES)
    supply = np.bincount(cells.of_product, minlength=len(cells.brand)).astype(np.int32)
    most = (np.array([*each, 1000], np.int32) for each in (brands, categories))
    return Room(cells, *most, supply, cells.of_product[first].tolist(), n)


def fits(shop: list[Product], rows: tuple[int, ...], brands: list[int], categories: list[int]) -> bool:
    for group, most in ((0, brands), (1, categories)):
        counts = Counter(shop[row][group] for row in rows)
        if any(name >= 0 and count > max(most[name], 0) for name, count in counts.items()):
            return False
    return True


def greedy(shop: list[Product], n: int, brands: list[int], categories: list[int]) -> list[int]:
    taken: list[int] = []
    for row in range(len(shop)):
        if len(taken) < n and fits(shop, (*taken, row), brands, categories):
            taken.append(row)
    return taken


@settings(max_examples=600, deadline=None)
@given(
    shop=products,
    brands=st.lists(st.integers(-1, 3), min_size=N_BRANDS, max_size=N_BRANDS),
    categories=st.lists(st.integers(-1, 3), min_size=N_CATEGORIES, max_size=N_CATEGORIES),
    n=st.integers(1, 8),
    spare=st.integers(0, 2),
)
@example(  # a path that went through a brand with room again would have no end
    shop=[(2, 2), (1, 2), (1, 1), (2, 2)], brands=[2, 1, 2], categories=[1, 1, 2, 1], n=3, spare=0
)
@example(  # nor one that went twice through one of the others
    shop=[(2, 0), (2, 2), (0, 0), (1, 2), (1, 1), (2, 2)],
    brands=[1, 1, 2],
    categories=[1, 2, 2, 1],
    n=8,
    spare=0,
)
def test_what_is_taken_is_as_long_as_can_be_and_the_first_such_in_order(
    shop: list[Product], brands: list[int], categories: list[int], n: int, spare: int
) -> None:
    came = greedy(shop, n, brands, categories)
    room = room_of(shop, brands, categories, n, came)
    all_that_fit = [
        rows
        for length in range(n, -1, -1)
        for rows in combinations(range(len(shop)), length)  # in order of what stands first
        if fits(shop, rows, brands, categories)
    ]
    best = list(all_that_fit[0])
    assert room.length == len(best)
    kept_out, taken = [], []
    for row in range(len(shop)):
        if len(taken) == n + spare:
            break
        may_come = bool(room.may_come(np.array([row]))[0])
        if room.take(row):
            assert may_come
            taken.append(row)
        else:
            kept_out.append(row)
    assert taken[: len(best)] == best
    assert fits(shop, tuple(taken), brands, categories)
    if len(taken) < n + spare:  # beyond what was asked for comes whatever fits
        assert not any(fits(shop, (*taken, row), brands, categories) for row in kept_out)


def test_without_room_for_any_nothing_comes() -> None:
    room = room_of([(0, 0), (0, 1)], [0, 0, 0], [1, 1, 1, 1], 2, [])
    assert room.length == 0
    assert not room.take(0)
    assert not room.take(1)


def test_the_first_product_goes_where_it_costs_a_place() -> None:
    # of brand 0 and of category 0 one each: with the first product there is no other
    shop = [(0, 0), (0, 1), (1, 0)]
    room = room_of(shop, [1, 1, 1], [1, 1, 1, 1], 2, greedy(shop, 2, [1, 1, 1], [1, 1, 1, 1]))
    assert room.length == 2
    assert [room.take(row) for row in range(3)] == [False, True, True]
