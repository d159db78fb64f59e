"""Ids found in mapped arrays, whatever they are made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.versions import strings
from storage.versions.strings import IdIndex, StringTable, hash_of, order_of

text = st.text(st.characters(codec="utf-8"), max_size=8)
some_texts = st.lists(text, max_size=20)


@given(some_texts)
def test_strings_come_back_by_row(values: list[str]) -> None:
    table = StringTable.build(values)
    assert [table[row] for row in range(len(table))] == values
    assert table.offsets.dtype == np.int64
    assert table.blob.dtype == np.uint8


@given(st.sets(text, max_size=20), text)
def test_every_id_is_found_at_its_row_and_no_other_is(ids: set[str], other: str) -> None:
    ordered = order_of(list(ids))
    index = IdIndex.build(ordered)
    assert [index.find(name) for name in ordered] == list(range(len(ids)))
    assert [index[row] for row in range(len(index))] == ordered
    assert index.find(other) == (ordered.index(other) if other in ids else -1)


@given(st.sets(text, min_size=1, max_size=20), text, st.integers(1, 3))
def test_ids_of_one_hash_are_told_apart(ids: set[str], other: str, n_hashes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strings, "hash_of", lambda name: len(name) % n_hashes + 2**64 - n_hashes)
        ordered = order_of(list(ids))
        index = IdIndex.build(ordered)
        assert (np.diff(index.hashes.astype(object)) >= 0).all()
        assert [index.find(name) for name in ordered] == list(range(len(ids)))
        assert index.find(other) == (ordered.index(other) if other in ids else -1)


@given(st.sets(text, max_size=20), st.sets(text, max_size=5))
def test_ids_are_found_by_their_hashes_in_another_index(ids: set[str], others: set[str]) -> None:
    here, there = IdIndex.build(order_of(list(ids))), IdIndex.build(order_of(list(others)))
    hashes = np.array(there.hashes_of(range(len(there))), np.uint64)
    rows = here.rows_of(hashes).tolist()
    assert rows == [here.find(there[row]) for row in range(len(there))]


def test_equal_looking_ids_are_different_ids() -> None:
    ids = order_of(["7", "007", "7 ", "7.0", "\N{FULLWIDTH DIGIT SEVEN}", "e\u0301", "\u00e9", "", "\0"])
    index = IdIndex.build(ids)
    assert {index.find(name) for name in ids} == set(range(9))
    assert index.find("07") == -1


def test_order_is_by_hash_and_does_not_depend_on_the_given_one() -> None:
    ids = [str(number) for number in range(50)]
    ordered = order_of(ids)
    assert ordered == order_of(ids[::-1])
    hashes = [hash_of(name) for name in ordered]
    assert hashes == sorted(hashes)


def test_a_hash_is_the_same_in_every_process() -> None:
    # the first 8 bytes of BLAKE2b with a digest of that size, little-endian
    assert hash_of("") == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "little")
    assert 0 <= hash_of("anna") < 2**64


def test_nothing_is_found_among_no_ids() -> None:
    assert IdIndex.build([]).find("anna") == -1
    assert len(IdIndex.build([])) == len(StringTable.build([])) == 0
