"""A packed list is read back whole by its owner and by nobody else."""

from hypothesis import given
from hypothesis import strategies as st

from service.packed import Entries, owner_of, pack, unpack

ENTRIES = st.lists(
    st.tuples(
        st.integers(0, 2**31 - 1), st.integers(-1, 2**15 - 1), st.just(-1.0) | st.floats(0, 1, width=16)
    ),
    max_size=100,
)
OWNER = owner_of("20180101T000000Z-aa", "blend", "anna")

type Entry = tuple[int, int, float]


def columns_of(entries: list[Entry]) -> Entries:
    return [row for row, _, _ in entries], [place for _, place, _ in entries], [p for _, _, p in entries]


@given(entries=ENTRIES, customer=st.text(st.characters(codec="utf-8"), max_size=64))
def test_what_was_packed_is_unpacked(entries: list[Entry], customer: str) -> None:
    owner = owner_of("20180101T000000Z-aa", "blend", customer)
    columns = columns_of(entries)
    value = pack(owner, *columns)
    assert unpack(owner, value) == columns
    if owner != OWNER:
        assert unpack(OWNER, value) is None


@given(entries=ENTRIES, place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_one_changed_byte_makes_it_nothing(entries: list[Entry], place: int, flip: int) -> None:
    value = bytearray(pack(OWNER, *columns_of(entries)))
    value[place % len(value)] ^= flip
    assert unpack(OWNER, bytes(value)) is None


@given(st.binary(max_size=200))
def test_any_other_bytes_are_nothing(value: bytes) -> None:
    assert unpack(OWNER, value) is None


def test_a_list_cut_short_is_nothing() -> None:
    value = pack(OWNER, [1, 2, 3], [0, 0, 0], [0.5, 0.25, -1.0])
    assert all(unpack(OWNER, value[:length]) is None for length in range(len(value)))


def test_a_list_of_a_hundred_takes_900_bytes_at_most() -> None:
    assert len(pack(OWNER, list(range(100)), [0] * 100, [0.5] * 100)) <= 900
