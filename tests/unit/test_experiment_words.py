"""Figures of a judgement are written as people write them, however large a shop's revenue is."""

from math import inf

from experiments.words import number, signed


def test_figures_are_never_written_with_a_power_of_ten() -> None:
    assert [number(value) for value in (0.2758, 31.76, 999.4, 999.6, 10_490.0)] == [
        "0.276",
        "31.8",
        "999",
        "1,000",
        "10,490",
    ]
    assert [signed(value) for value in (0.5, -31.76, 999.6, -12_345.6, inf)] == [
        "+0.5",
        "-31.8",
        "+1,000",
        "-12,346",
        "unbounded",
    ]
