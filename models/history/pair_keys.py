"""One number for each (customer, product) pair, by which pairs are sorted, counted and found among others."""

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, BoolArray, LongArray


def pair_keys(customer_row: AnyIntArray, product_row: AnyIntArray, n_products: int) -> LongArray:
    """customer x n_products + product, shape (n,): it rises as pairs do that are sorted by both."""
    return customer_row.astype(np.int64) * n_products + product_row


def cell_keys(table: sparse.csr_array) -> LongArray:
    """The key of each stored cell of a table of customers x products, row by row."""
    row = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    return pair_keys(row, table.indices, table.shape[1])


def are_in(table: sparse.csr_array, row: AnyIntArray, column: AnyIntArray) -> BoolArray:
    """Which of these cells a table of customers x products stores; of the shape of both indices."""
    return np.isin(pair_keys(row, column, table.shape[1]), cell_keys(table))


def are_among(keys: LongArray, rising: LongArray) -> BoolArray:
    """Which of the keys are among others, which rise; of the shape of the keys."""
    return places_among(keys, rising)[1]


def places_among(keys: LongArray, rising: LongArray) -> tuple[LongArray, BoolArray]:
    """Where each key stands among others, which rise, and whether it is there; each of the shape of the keys.

    The place of a key that isn't there is that of another one; 0 where there are no others.
    """
    if not len(rising):
        return np.zeros(keys.shape, np.int64), np.zeros(keys.shape, np.bool_)
    place = np.minimum(np.searchsorted(rising, keys), len(rising) - 1)
    return place, rising[place] == keys
