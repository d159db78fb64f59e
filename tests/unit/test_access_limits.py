"""Token buckets: what they let through by hand, and what always holds of them."""

from hypothesis import given
from hypothesis import strategies as st

from service.access.limits import Buckets


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_of_three_gives_three_at_once_and_then_one_every_half_second() -> None:
    clock = Clock()
    buckets = Buckets(rate_per_s=2, burst=3, most=10, clock=clock)
    assert [buckets.take("anna") for _ in range(5)] == [0, 0, 0, 1, 1]
    clock.now_s += 0.5
    assert [buckets.take("anna") for _ in range(2)] == [0, 1]
    clock.now_s += 60
    assert [buckets.take("anna") for _ in range(4)] == [0, 0, 0, 1]


def test_each_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(rate_per_s=1, burst=1, most=10, clock=Clock())
    assert (buckets.take("anna"), buckets.take("anna"), buckets.take("bert")) == (0, 1, 0)


def test_the_wait_is_told_in_whole_seconds_and_ends_then() -> None:
    clock = Clock()
    buckets = Buckets(rate_per_s=0.1, burst=1, most=10, clock=clock)
    assert buckets.take("anna") == 0
    assert buckets.take("anna") == 10
    clock.now_s += 9
    assert buckets.take("anna") == 1
    clock.now_s += 1
    assert buckets.take("anna") == 0


def test_a_share_below_one_call_still_lets_one_through() -> None:
    """A rate of 1 per second with half a second's worth at once, over four workers."""
    assert Buckets(rate_per_s=0.25, burst=0.125, most=10, clock=Clock()).take("anna") == 0


@given(st.lists(st.floats(0, 3), max_size=60), st.floats(0.1, 50), st.floats(1, 20))
def test_never_more_than_a_full_bucket_and_what_came_back_is_let_through(
    gaps_s: list[float], rate_per_s: float, burst: float
) -> None:
    clock = Clock()
    buckets = Buckets(rate_per_s, burst, most=10, clock=clock)
    let_through = 0
    for gap_s in gaps_s:
        clock.now_s += gap_s
        let_through += buckets.take("anna") == 0
        assert let_through <= burst + (clock.now_s - 1000) * rate_per_s + 1e-6


def test_however_many_addresses_ask_they_take_no_more_memory_than_the_bound() -> None:
    buckets = Buckets(rate_per_s=1, burst=5, most=1000, clock=Clock())
    for number in range(100_000):
        buckets.take(str(number))
        assert len(buckets) <= 1000


def test_those_who_asked_most_are_remembered_when_there_are_too_many() -> None:
    buckets = Buckets(rate_per_s=1, burst=3, most=100, clock=Clock())
    for _ in range(3):
        buckets.take("greedy")
    for number in range(5000):
        buckets.take(str(number))
        assert buckets.take("greedy") > 0


def test_full_buckets_are_forgotten_first() -> None:
    clock = Clock()
    buckets = Buckets(rate_per_s=1, burst=3, most=100, clock=clock)
    for number in range(100):
        buckets.take(str(number))
    clock.now_s += 2
    buckets.take("anna")
    assert len(buckets) == 1
