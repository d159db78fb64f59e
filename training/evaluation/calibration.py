"""Whether a probability can be believed: what it promised against what was then bought."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import AnyArray, AnyIntArray, BoolArray, LongArray
from training.evaluation.reliability import Ratio, Reliability, observed_over_expected, reliability, wilson

LEVELS = (0.8, 0.7, 0.5)
STEADY = (0.8, 1.25)  # observed over expected outside of this is told as a warning
MAX_ECE = 0.02  # and so is a larger ECE


@dataclass(frozen=True, eq=False)
class JudgedPairs:
    """Probabilities given before a window, and what happened in it.

    Attributes:
        as_of_s: where the window begins, Unix seconds.
        p: shape (n,), float, 0 to 1: probability that the customer buys the product in the window.
        is_bought: shape (n,), bool: whether they did.
        customer: shape (n,), customer rows.
        rank: shape (n,), place of the pair in that customer's list, 0 first; each place at most once.
        active: shape (m,), distinct customer rows: those with a purchase in the last 8 horizons before the
            window, whether or not they came in it and whether or not they have a list.
    """

    as_of_s: int
    p: AnyArray
    is_bought: BoolArray
    customer: AnyIntArray
    rank: AnyIntArray
    active: AnyIntArray

    def __post_init__(self) -> None:
        if len({len(self.p), len(self.is_bought), len(self.customer), len(self.rank)}) != 1:
            raise ValueError("p, is_bought, customer and rank differ in length")
        if not bool(((self.p >= 0) & (self.p <= 1)).all()):  # False for NaN too
            raise ValueError("a probability is not between 0 and 1")


@dataclass(frozen=True)
class Kept:
    """For how many active customers "our first product will be bought" can be promised at one level.

    Attributes:
        level: the share of the promises that must be kept.
        best_share: the most active customers that any threshold on p can choose with at least `level` of
            their first products bought. Read on the outcome, so nobody can reach it beforehand.
        best_threshold: that threshold, None if no threshold does it.
        trusted_share: active customers whose first product has p >= level.
        trusted_observed: share of those first products that was bought, None if there are none; with its
            Wilson 95 % interval.
    """

    level: float
    best_share: float
    best_threshold: float | None
    trusted_share: float
    trusted_observed: float | None
    trusted_low: float | None
    trusted_high: float | None


@dataclass(frozen=True)
class WindowFigures:
    """One window by itself; None where nothing was judged, or nothing expected.

    Attributes:
        as_of_s: where the window begins.
        pairs, active: how many were judged; how many customers were active.
        ratio, ece, ece_by_chance: over all pairs.
        first_ratio, first_ece, first_ece_by_chance: over the first products of active customers.
    """

    as_of_s: int
    pairs: int
    active: int
    ratio: Ratio | None
    ece: float | None
    ece_by_chance: float | None
    first_ratio: Ratio | None
    first_ece: float | None
    first_ece_by_chance: float | None


@dataclass(frozen=True)
class Calibration:
    """What a report says about one variant's probabilities.

    Attributes:
        pairs: over every (customer, product) pair of the judged windows, None without any.
        first: over the first product of each active customer who has a list, None without any.
        active: active customers, counted once in each judged window.
        kept: one for each of LEVELS; empty without active customers.
        windows: earlier and judged windows, oldest first.
    """

    pairs: Reliability | None
    first: Reliability | None
    active: int
    kept: list[Kept]
    windows: list[WindowFigures]


def judge(judged: Sequence[JudgedPairs], earlier: Sequence[WindowFigures] = ()) -> Calibration:
    """Probabilities of one variant against what was bought.

    Args:
        judged: at least one window, pooled; a customer counts in each by itself.
        earlier: figures of windows before them, which say how stable the calibration was. The models of
            every window must have been fitted, and calibrated, on what was known before it.
    """
    firsts = [_first(pairs) for pairs in judged]
    p, is_bought = _joined([(pairs.p, pairs.is_bought) for pairs in judged])
    first_p, first_bought = _joined(
        [(pairs.p[at], pairs.is_bought[at]) for pairs, at in zip(judged, firsts, strict=True)]
    )
    active = sum(len(pairs.active) for pairs in judged)
    windows = [*earlier, *(judge_window(pairs) for pairs in judged)]
    return Calibration(
        pairs=reliability(p, is_bought),
        first=reliability(first_p, first_bought),
        active=active,
        kept=[keep_rate(first_p, first_bought, active, level) for level in LEVELS] if active else [],
        windows=sorted(windows, key=lambda window: window.as_of_s),
    )


def judge_window(pairs: JudgedPairs) -> WindowFigures:
    """The few figures of a past window that are kept to compare windows."""
    at = _first(pairs)
    every, first = reliability(pairs.p, pairs.is_bought), reliability(pairs.p[at], pairs.is_bought[at])
    return WindowFigures(
        as_of_s=pairs.as_of_s,
        pairs=len(pairs.p),
        active=len(pairs.active),
        ratio=observed_over_expected(pairs.p, pairs.is_bought, pairs.customer),
        ece=every.ece if every else None,
        ece_by_chance=every.ece_by_chance if every else None,
        first_ratio=observed_over_expected(pairs.p[at], pairs.is_bought[at], pairs.customer[at]),
        first_ece=first.ece if first else None,
        first_ece_by_chance=first.ece_by_chance if first else None,
    )


def keep_rate(p: AnyArray, is_bought: BoolArray, active: int, level: float) -> Kept:
    """The keep-rate table's entry of one level.

    Args:
        p, is_bought: shape (n,), of each active customer's first product; those without a list are missing.
        active: how many customers are active, at least 1 and at least n.
        level: share of promises to be kept.
    """
    order = np.argsort(-p, kind="stable")
    falling, bought = p[order], np.cumsum(is_bought[order])
    can_cut = np.append(falling[1:] < falling[:-1], True)[: len(p)]  # equal p are chosen together
    able = np.flatnonzero(can_cut & (bought / np.arange(1, len(p) + 1) >= level))
    is_trusted = p >= level  # in p's own precision: a float32 of 0.7 is 0.7
    trusted, kept = int(is_trusted.sum()), int(is_bought[is_trusted].sum())
    low, high = wilson(np.array([kept]), np.array([trusted])) if trusted else (None, None)
    return Kept(
        level=level,
        best_share=float((able[-1] + 1) / active) if len(able) else 0.0,
        best_threshold=float(falling[able[-1]]) if len(able) else None,
        trusted_share=trusted / active,
        trusted_observed=kept / trusted if trusted else None,
        trusted_low=None if low is None else float(low[0]),
        trusted_high=None if high is None else float(high[0]),
    )


def _first(pairs: JudgedPairs) -> LongArray:
    """Where the first products of the active customers stand, each at most once."""
    at: LongArray = np.flatnonzero((pairs.rank == 0) & np.isin(pairs.customer, pairs.active))
    if len(np.unique(pairs.customer[at])) != len(at):
        raise ValueError("a customer has two first products")
    return at


def _joined(parts: Sequence[tuple[AnyArray, BoolArray]]) -> tuple[AnyArray, BoolArray]:
    return np.concatenate([p for p, _ in parts]), np.concatenate([bought for _, bought in parts])
