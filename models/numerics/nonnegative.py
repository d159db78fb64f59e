"""Logistic regression whose coefficients may be told not to fall below 0, drawn to a prior."""

import numpy as np

from models.arrays import BoolArray, DoubleArray, FloatArray


def nonnegative_logistic(
    features: DoubleArray,
    happened: BoolArray,
    weight: FloatArray,
    *,
    prior: DoubleArray,
    rising: BoolArray,
    ridge: float,
) -> tuple[float, DoubleArray]:
    """Intercept and coefficients that make the outcomes likely.

    Args:
        features: shape (n, m), of about unit spread each, since one ridge holds for all.
        happened: shape (n,).
        weight: shape (n,), how much each line counts.
        prior: shape (m,), where coefficients are drawn to; the intercept is free.
        rising: shape (m,), coefficients that may not be below 0.
        ridge: how strongly.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - for nights with offers

    share = np.clip(np.average(happened, weights=weight), 1e-6, 1 - 1e-6)
    start = np.concatenate([[np.log(share / (1 - share))], prior])

    def loss(point: DoubleArray) -> tuple[float, DoubleArray]:
        scores = point[0] + features @ point[1:]
        off = point[1:] - prior
        each = weight * (np.logaddexp(0, scores) - np.where(happened, scores, 0))
        slope = weight * (1 / (1 + np.exp(-np.clip(scores, -60, 60))) - happened)
        value = float(each.sum() + ridge / 2 * (off**2).sum())
        return value, np.concatenate([[slope.sum()], features.T @ slope + ridge * off])

    bounds = [(None, None), *((0, None) if one else (None, None) for one in rising)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300})
    return float(found.x[0]), np.asarray(found.x[1:])
