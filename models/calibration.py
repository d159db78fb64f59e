"""Whether predicted log odds need a correction: one line through them, where it helps on another window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.arrays import AnyIntArray, BoolArray, FloatArray

type Doubles = NDArray[np.float64]

UNCHANGED = (0.0, 1.0)  # shift and slope


@dataclass(frozen=True, eq=False)
class Predicted:
    """Log odds of pairs of one window, from trees that had not seen it.

    Attributes:
        log_odds: shape (n,).
        is_bought: shape (n,).
        weight: shape (n,): how many pairs each stands for.
        customer_row: shape (n,), whose pair it is: pairs of one customer go together.
    """

    log_odds: Doubles
    is_bought: BoolArray
    weight: FloatArray
    customer_row: AnyIntArray


def calibrated(log_odds: Doubles, line: tuple[float, ...]) -> FloatArray:
    """Probabilities, in (0, 1), float32."""
    shift, slope = line
    probability: Doubles = np.clip(expit(shift + slope * log_odds), 1e-7, 1 - 1e-6)
    return probability.astype(np.float32)


def learned_calibration(windows: Sequence[Predicted]) -> tuple[float, float]:
    """Shift and slope that make the predictions of past windows likely, if they do so where not learned from.

    They are learned on all windows but the first of `windows` and tried on that: unless the log loss falls
    there by more than its standard error over customers, nothing is changed. With fewer than three windows
    one odd week would decide, so nothing is changed either.

    Source: Platt 1999, checked on a window of its own.
    """
    if len(windows) < 3:
        return UNCHANGED
    line = _fitted(windows[1:])
    gain = _losses(windows[0], UNCHANGED) - _losses(windows[0], line)
    is_clear = len(gain) > 1 and gain.mean() > gain.std() / np.sqrt(len(gain))
    return _fitted(windows) if is_clear else UNCHANGED


def _fitted(windows: Sequence[Predicted]) -> tuple[float, float]:
    """Weighted logistic regression on the log odds, by Newton's steps."""
    x = np.concatenate([window.log_odds for window in windows])
    y = np.concatenate([window.is_bought for window in windows])
    weight = np.concatenate([window.weight for window in windows]).astype(np.float64)
    design, line = np.stack([np.ones(len(x)), x], axis=1), np.array(UNCHANGED)
    for _ in range(25):
        expected = expit(design @ line)
        slope = design.T @ (weight * (expected - y))
        curve = (design * (weight * expected * (1 - expected))[:, None]).T @ design
        step = np.linalg.solve(curve + 1e-9 * np.eye(2), slope)
        line = line - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    return float(line[0]), float(line[1])


def _losses(window: Predicted, line: tuple[float, float]) -> Doubles:
    """The log loss of each customer."""
    scores = line[0] + line[1] * window.log_odds
    loss = window.weight * (np.logaddexp(0, scores) - np.where(window.is_bought, scores, 0))
    _, customer = np.unique(window.customer_row, return_inverse=True)
    return np.bincount(customer, loss)
