"""Whether predicted log odds need a correction: a line with two bends, where it helps on another window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from models.arrays import AnyIntArray, BoolArray, DoubleArray, FloatArray

# Shift and slope of the log odds, and how much steeper they are from each of the bends on.
UNCHANGED = (0.0, 1.0, 0.0, 0.0)
BENDS = (float(np.log(0.1 / 0.9)), 0.0)  # where the odds are 1 to 9, and even

LEAST_WINDOWS = 3  # with fewer, one odd week would decide


@dataclass(frozen=True, eq=False)
class Predicted:
    """Log odds of pairs of one window, from trees that had not seen it.

    Attributes:
        log_odds: shape (n,).
        is_bought: shape (n,).
        weight: shape (n,): how many pairs each stands for.
        customer_row: shape (n,), whose pair it is: pairs of one customer go together.
    """

    log_odds: DoubleArray
    is_bought: BoolArray
    weight: FloatArray
    customer_row: AnyIntArray


def calibrated(log_odds: DoubleArray, line: tuple[float, ...]) -> FloatArray:
    """Probabilities, in (0, 1), float32; `line` as UNCHANGED."""
    probability: DoubleArray = np.clip(expit(_parts(log_odds) @ np.array(line)), 1e-7, 1 - 1e-6)
    return probability.astype(np.float32)


def learned_calibration(windows: Sequence[Predicted]) -> tuple[float, ...]:
    """What makes the predictions of past windows likely, as UNCHANGED, if it does so where not learned from.

    It is learned on all windows but the first of `windows` and tried on that: unless the log loss falls there
    by more than its standard error over customers, nothing is changed. With fewer than three windows one odd
    week would decide, so nothing is changed either. Trees end before they are as sure as they could be, so
    what is likely wants another slope than the many that are not, and one line would go by these.

    How much is expected altogether stays what the trees say. Windows differ in that, and by how much trees
    were wrong about past ones says nothing of the next.

    Source: Platt 1999, with bends, checked on a window of its own.
    """
    if len(windows) < LEAST_WINDOWS:
        return UNCHANGED
    gain = _losses(windows[0], UNCHANGED) - _losses(windows[0], _fitted(windows[1:]))
    if len(gain) < 2 or gain.mean() <= gain.std() / np.sqrt(len(gain)):
        return UNCHANGED
    line = _fitted(windows)
    rises = (np.cumsum(line[1:]) > 0).all()  # else what is likelier would be told as less likely
    return at_their_level(windows, line) if rises else UNCHANGED


def at_their_level(windows: Sequence[Predicted], line: tuple[float, ...]) -> tuple[float, ...]:
    """The line with the shift under which as much is expected of all windows together as without the line."""
    from scipy.optimize import brentq  # noqa: PLC0415 - for nights with a ranker

    log_odds = np.concatenate([window.log_odds for window in windows])
    weight = np.concatenate([window.weight for window in windows]).astype(np.float64)
    bent, expected = _parts(log_odds) @ np.array((0.0, *line[1:])), weight @ expit(log_odds)
    moved = log_odds - bent  # with the least of these nothing is likelier than before, with the most all is
    shift = brentq(lambda shift: weight @ expit(bent + shift) - expected, moved.min() - 1, moved.max() + 1)
    return (float(shift), *line[1:])


def _parts(log_odds: DoubleArray) -> DoubleArray:
    """What a line with bends is the weighted sum of, shape (n, len(UNCHANGED))."""
    above = [np.maximum(log_odds - bend, 0) for bend in BENDS]
    return np.stack([np.ones(len(log_odds)), log_odds, *above], axis=1)


def _fitted(windows: Sequence[Predicted]) -> tuple[float, ...]:
    """Weighted logistic regression on the log odds, by Newton's steps; bends are taken as 0 +- 1."""
    parts = _parts(np.concatenate([window.log_odds for window in windows]))
    y = np.concatenate([window.is_bought for window in windows])
    weight = np.concatenate([window.weight for window in windows]).astype(np.float64)
    line, ridge = np.array(UNCHANGED), np.array([1e-9, 1e-9, 1.0, 1.0])
    for _ in range(25):
        expected = expit(parts @ line)
        slope = parts.T @ (weight * (expected - y)) + ridge * (line - UNCHANGED)
        curve = (parts * (weight * expected * (1 - expected))[:, None]).T @ parts + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        line = line - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    return tuple(float(part) for part in line)


def _losses(window: Predicted, line: tuple[float, ...]) -> DoubleArray:
    """The log loss of each customer."""
    scores = _parts(window.log_odds) @ np.array(line)
    loss = window.weight * (np.logaddexp(0, scores) - np.where(window.is_bought, scores, 0))
    _, customer = np.unique(window.customer_row, return_inverse=True)
    return np.bincount(customer, loss)
