"""The taste of somebody who wasn't there when factors were fitted, from what they bought."""

import numpy as np

from models.arrays import FloatArray


def taste_matrix(product_factors: FloatArray, regularization: float) -> FloatArray:
    """What all products that were not bought say together, the same for everybody; shape (f, f), float32."""
    n_factors = product_factors.shape[1]
    return product_factors.T @ product_factors + regularization * np.eye(n_factors, dtype=np.float32)


def taste_of(matrix: FloatArray, held: FloatArray, weight: FloatArray) -> FloatArray:
    """The least-squares factors of one customer.

    Args:
        matrix: of `taste_matrix`.
        held: factors of the products that were bought, shape (n, f).
        weight: how often, decayed, shape (n, 1).
    Returns:
        shape (f,).
    Source: Hu, Koren, Volinsky 2008, eq. 4, with the product factors held.
    """
    # implicit takes the count itself as confidence: an absent pair weighs 1, a present one its count
    found: FloatArray = np.linalg.solve(matrix + held.T @ ((weight - 1) * held), (weight * held).sum(axis=0))
    return found
