"""Showings as words: what was put in is counted, by hand and for any showings; the newer part stays."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answering.packed_showings import (
    at_most_showings,
    newer_part,
    packed_showing,
    times_shown,
    where_of,
)

NUMBERS = st.integers(1, 2**64 - 1) | st.integers(1, 5) | st.sampled_from([2**56, 2**63])
HASHES = st.lists(NUMBERS, min_size=1, max_size=4, unique=True)
SHOWN = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2), HASHES), max_size=12)


@given(shown=SHOWN, where=st.integers(0, 2), since=st.integers(1, 6))
def test_each_hash_is_counted_there_and_since_then(
    shown: list[tuple[int, int, list[int]]], where: int, since: int
) -> None:
    value = b"".join(packed_showing(*one) for one in shown)
    wanted = Counter(one for day, at, hashes in shown if at == where and day >= since for one in hashes)
    assert times_shown(value, where, since) == wanted
    assert at_most_showings(value) >= len(shown)


@given(shown=SHOWN, most_bytes=st.integers(0, 400), after=st.integers(0, 5))
def test_the_newer_part_is_the_end_of_it_and_no_longer_than_it_may_be(
    shown: list[tuple[int, int, list[int]]], most_bytes: int, after: int
) -> None:
    shown.sort(key=lambda one: one[0])
    parts = [packed_showing(*one) for one in shown if one[0] > after]
    while len(b"".join(parts)) > most_bytes:
        del parts[0]
    assert newer_part(b"".join(packed_showing(*one) for one in shown), most_bytes, after) == b"".join(parts)


@given(
    st.binary(max_size=64)
    | st.lists(st.sampled_from([0, 1, 2**40])).map(lambda words: np.array(words, np.uint64).tobytes())
)
def test_whatever_stands_in_redis_can_be_looked_at(value: bytes) -> None:
    times_shown(value, 0, 0)
    assert value.endswith(newer_part(value, 100, 0))


@pytest.mark.parametrize("what", ["products", "offers"])
def test_places_are_told_apart_and_none_is_as_good_as_empty(what: str) -> None:
    places = {where_of(what, placement) for placement in ("home", "mail", "", None)}
    assert len(places) == 3
    assert places.isdisjoint({where_of("other", None)})
