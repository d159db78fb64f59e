"""A packed list is read back whole by its owner and by nobody else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.answering.packed import LIST_LENGTH, WHOLE, Columns, Entry, owner_of, pack, unpack

ENTRIES = st.lists(
    st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 255), st.just(-1.0) | st.floats(0, 1, width=16)),
    max_size=100,
)
OWNER = owner_of("20180101T000000Z-aa", "blend", "anna", 0)
KEY = b"only who can read the version has it"[:32]


def columns_of(entries: list[Entry]) -> Columns:
    rows, evidence, probability = zip(*entries, strict=True) if entries else ((), (), ())
    return Columns(
        memoryview(np.array(rows, np.int32)),
        memoryview(np.array(evidence, np.uint8)),
        memoryview(np.array(probability, np.float16)),
    )


@given(entries=ENTRIES, customer=st.text(st.characters(codec="utf-8"), max_size=64), epoch=st.integers(0, 3))
def test_what_was_packed_is_unpacked(entries: list[Entry], customer: str, epoch: int) -> None:
    owner = owner_of("20180101T000000Z-aa", "blend", customer, epoch)
    value = pack(owner, columns_of(entries), KEY)
    found = unpack(owner, value, KEY)
    assert found is not None
    columns, behind = found
    assert list(columns.entries()) == entries[:LIST_LENGTH]
    scores = [columns_of(entries).score_at(place) for place in range(LIST_LENGTH, len(entries))]
    assert all(score <= behind for score in scores)
    assert (behind == WHOLE) is (not scores)
    assert behind in (WHOLE, *scores)
    if owner != OWNER:
        assert unpack(OWNER, value, KEY) is None


@given(entries=ENTRIES, length=st.integers(0, 110))
def test_the_first_of_a_list_are_its_first_entries(entries: list[Entry], length: int) -> None:
    columns = columns_of(entries)
    assert list(columns.first(length).entries()) == entries[:length]


@given(entries=ENTRIES, place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_one_changed_byte_makes_it_nothing(entries: list[Entry], place: int, flip: int) -> None:
    value = bytearray(pack(OWNER, columns_of(entries), KEY))
    value[place % len(value)] ^= flip
    assert unpack(OWNER, bytes(value), KEY) is None


@given(st.binary(max_size=200))
def test_any_other_bytes_are_nothing(value: bytes) -> None:
    assert unpack(OWNER, value, KEY) is None


@given(entries=ENTRIES, key=st.binary(min_size=16, max_size=64))
def test_what_was_made_without_the_key_is_nothing(entries: list[Entry], key: bytes) -> None:
    """A row that is no product, or a place in the history of the customer behind, would be looked up."""
    found = unpack(OWNER, pack(OWNER, columns_of(entries), key), KEY)
    assert (found is not None) is (key == KEY)


def test_a_list_cut_short_is_nothing() -> None:
    value = pack(OWNER, columns_of([(1, 0, 0.5), (2, 0, 0.25), (3, 0, -1.0)]), KEY)
    assert all(unpack(OWNER, value[:length], KEY) is None for length in range(len(value)))


def test_a_list_as_it_is_cached_takes_420_bytes_at_most() -> None:
    owner = owner_of("20180101T000000Z-aaaaaaaa", "ranker", "1234567890", 1)
    assert len(pack(owner, columns_of([(1, 0, 0.5)] * LIST_LENGTH), KEY)) <= 420


def test_owners_differ_by_each_of_their_parts() -> None:
    owners = {
        owner_of(v, r, c, e) for v in ("v1", "v2") for r in ("a", "b") for c in ("x", "1\nx") for e in (0, 1)
    }
    assert len(owners) == 16
