"""A packed list is read back whole by its owner and by nobody else."""

from hypothesis import given
from hypothesis import strategies as st

from service.packed import owner_of, pack, unpack

ENTRIES = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(-1, 2**15 - 1)), max_size=100)
OWNER = owner_of("20180101T000000Z-aa", "blend", "anna")


@given(entries=ENTRIES, customer=st.text(st.characters(codec="utf-8"), max_size=64))
def test_what_was_packed_is_unpacked(entries: list[tuple[int, int]], customer: str) -> None:
    owner = owner_of("20180101T000000Z-aa", "blend", customer)
    rows, evidence = [row for row, _ in entries], [place for _, place in entries]
    value = pack(owner, rows, evidence)
    assert unpack(owner, value) == (rows, evidence)
    if owner != OWNER:
        assert unpack(OWNER, value) is None


@given(entries=ENTRIES, place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_one_changed_byte_makes_it_nothing(entries: list[tuple[int, int]], place: int, flip: int) -> None:
    value = bytearray(pack(OWNER, [row for row, _ in entries], [e for _, e in entries]))
    value[place % len(value)] ^= flip
    assert unpack(OWNER, bytes(value)) is None


@given(st.binary(max_size=200))
def test_any_other_bytes_are_nothing(value: bytes) -> None:
    assert unpack(OWNER, value) is None


def test_a_list_cut_short_is_nothing() -> None:
    value = pack(OWNER, [1, 2, 3], [0, 0, 0])
    assert all(unpack(OWNER, value[:length]) is None for length in range(len(value)))


def test_a_list_of_a_hundred_takes_700_bytes_at_most() -> None:
    assert len(pack(OWNER, list(range(100)), [0] * 100)) <= 700
