"""Dense scores of some products from what is the same for all customers, or from sparse rows."""

import numpy as np
from scipy import sparse

from models.arrays import AnyIntArray, FloatArray, IntArray, LongArray


def line_for_all(line: FloatArray, n_rows: int, products: AnyIntArray | None) -> FloatArray:
    """One line of scores for each of `n_rows` customers; NaN where it isn't above 0."""
    part = line if products is None else line[products]
    return np.repeat(np.where(part > 0, part, np.float32(np.nan))[None, :], n_rows, axis=0)


def picked(table: sparse.csr_array, products: AnyIntArray | None) -> FloatArray:
    """The rows of a sparse table as a dense one of these columns, 0 where it holds nothing.

    Args:
        table: shape (n, n_products), each cell at most once.
        products: columns, rising; None for all.
    """
    if products is None:
        return np.asarray(table.toarray(), np.float32)
    place = np.full(table.shape[1], -1, np.int32)
    place[products] = np.arange(len(products), dtype=np.int32)
    column = place[table.indices]
    is_wanted = column >= 0
    row = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    dense = np.zeros((table.shape[0], len(products)), np.float32)
    dense[row[is_wanted], column[is_wanted]] = table.data[is_wanted]
    return dense


def as_arrays(table: sparse.csr_array) -> tuple[LongArray, IntArray, FloatArray]:
    """A sparse table as three arrays, which `lines` takes: where each row begins, columns, values."""
    return table.indptr.astype(np.int64), table.indices.astype(np.int32), table.data


def lines(
    indptr: LongArray, column: IntArray, value: FloatArray, n_columns: int, rows: AnyIntArray
) -> sparse.csr_array:
    """Some rows, in any order, of a sparse table that is kept as arrays, see `as_arrays`.

    scipy would take over the whole table first, that of all customers for each few who are asked about.
    """
    starts = indptr[rows]
    ends = np.cumsum(indptr[rows + 1] - starts)
    own_indptr = np.concatenate([[0], ends])
    place = np.repeat(starts - own_indptr[:-1], np.diff(own_indptr)) + np.arange(own_indptr[-1])
    return sparse.csr_array((value[place], column[place], own_indptr), shape=(len(rows), n_columns))


def own_alone(
    indptr: LongArray,
    product: IntArray,
    value: FloatArray,
    n_products: int,
    rows: IntArray,
    products: AnyIntArray | None,
) -> FloatArray:
    """What is known of own products, NaN for all others.

    Args:
        indptr, product, value: each customer's own products and the value of each, above 0.
        n_products: how many there are.
        rows: whose lines are wanted.
        products: columns, rising; None for all.
    """
    scores = picked(lines(indptr, product, value, n_products, rows), products)
    scores[scores <= 0] = np.nan
    return scores
