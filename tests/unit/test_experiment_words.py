"""Figures of a judgement are written as people write them, however large or small they are."""

from math import inf

from experiments.reports.words import number, signed


def test_figures_are_never_written_with_a_power_of_ten() -> None:
    levels = (0.0, 0.00001, 0.00012345, 0.2758, 31.76, 999.4, 999.6, 10_490.0)
    assert [number(value) for value in levels] == [
        "0",
        "0.00001",
        "0.000123",
        "0.276",
        "31.8",
        "999",
        "1,000",
        "10,490",
    ]
    gains = (0.0, -1e-17, 0.00002, -0.0000123, 0.5, -31.76, 999.6, -12_345.6, inf)
    assert [signed(value) for value in gains] == [
        "+0",
        "+0",
        "+0.00002",
        "-0.0000123",
        "+0.5",
        "-31.8",
        "+1,000",
        "-12,346",
        "unbounded",
    ]
