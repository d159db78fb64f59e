"""Scores from two tables of factors: what matrix factorisations have in common."""

import numpy as np

from models.arrays import DoubleArray, FloatArray
from models.numerics.cores import blas_threads

BITS = 22  # of each factor
MOST_FACTORS = 512  # a sum of so many products of two such numbers is exact in float64, which has 53 bits
BLOCK_ROWS = 64


def score_factors(customer_factors: FloatArray, product_factors: FloatArray) -> FloatArray:
    """Inner products; shape (n, n_products), float32, NaN where either side's factors are all 0.

    BLAS adds up in an order that depends on the shape of the batch. Here every sum is exact before it is
    rounded to float32: a customer scores the same bits alone, among others and on another machine.
    """
    scores = np.empty((len(customer_factors), len(product_factors)), np.float32)
    products = _rounded(product_factors).T
    with blas_threads(1):
        for start in range(0, len(scores), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            scores[block] = _rounded(customer_factors[block]) @ products
    scores[:, ~product_factors.any(axis=1)] = np.nan
    scores[~customer_factors.any(axis=1)] = np.nan
    return scores


def _rounded(factors: FloatArray) -> DoubleArray:
    """Each row to BITS bits below its largest factor, which is about what float32 holds."""
    exponent = np.frexp(np.abs(factors).max(axis=1, keepdims=True, initial=0))[1]
    unit = np.ldexp(1.0, exponent - BITS)
    rounded: DoubleArray = np.round(factors / unit) * unit
    return rounded
