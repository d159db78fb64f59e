"""The breaker opens after errors in a row, lets a probe through now and then, and closes on an answer."""

from service.cache.breaker import Breaker
from service.cache.keys import list_key, list_life_s


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_it_opens_at_the_fifth_error_in_a_row_and_not_before() -> None:
    breaker = Breaker()
    assert [breaker.failed() for _ in range(4)] == [False] * 4
    assert breaker.succeeded() is False
    assert [breaker.failed() for _ in range(5)] == [False] * 4 + [True]
    assert breaker.is_open
    assert not breaker.allows()


def test_while_open_one_caller_in_one_to_two_seconds_may_ask() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock, chance=lambda: 0.5)
    for _ in range(5):
        breaker.failed()
    clock.now_s = 1.4
    assert not breaker.allows()
    clock.now_s = 1.5
    assert breaker.allows()
    assert not breaker.allows()
    assert breaker.failed() is False  # a failed probe is no news
    clock.now_s = 3.0
    assert breaker.allows()
    assert breaker.succeeded() is True
    assert breaker.allows()
    assert breaker.allows()


def test_it_opens_once_the_calls_in_a_row_lost_50_ms_however_few_they_were() -> None:
    breaker = Breaker()
    assert (breaker.failed(0.03), breaker.failed(0.03)) == (False, True)
    assert breaker.succeeded() is True
    assert [breaker.slow(0.02) for _ in range(3)] == [False, False, True]
    assert breaker.slow(0.02) is False  # a probe that is slow is no news, and doesn't close it
    assert breaker.is_open
    assert breaker.succeeded() is True
    assert (breaker.slow(0.04), breaker.succeeded(), breaker.slow(0.04)) == (False, False, False)


def test_lists_of_two_customers_variants_versions_or_epochs_never_share_a_key() -> None:
    keys = {
        list_key(v, r, c, e)
        for v in ("v1", "v2")
        for r in ("als", "blend")
        for c in ("a", "b", "a:b")
        for e in (0, 1)
    }
    assert len(keys) == 24


def test_lists_live_between_nine_tenths_of_their_time_and_all_of_it() -> None:
    assert (list_life_s(3600, 0.0), list_life_s(3600, 0.5), list_life_s(3600, 1.0)) == (3600, 3420, 3240)
