"""What is known of products without a single purchase: category, brand, price and the words of the title."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from models.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The shop's products, by product row.

    Attributes:
        category_row, brand_row: shape (n_products,), int32, -1 where a product has none.
        price: shape (n_products,), float32, in the shop's currency; NaN where unknown.
        words: n_products x n_words, float32, 1 where the title has the word.
    """

    category_row: IntArray
    brand_row: IntArray
    price: FloatArray
    words: sparse.csr_array

    def __len__(self) -> int:
        return len(self.category_row)

    @classmethod
    def of(
        cls,
        category_row: IntArray,
        *,
        brand_row: IntArray | None = None,
        price: FloatArray | None = None,
        words: sparse.csr_array | None = None,
    ) -> Self:
        """A catalogue of which no more need be known than the categories."""
        n = len(category_row)
        return cls(
            category_row=np.ascontiguousarray(category_row, np.int32),
            brand_row=np.full(n, -1, np.int32) if brand_row is None else brand_row,
            price=np.full(n, np.nan, np.float32) if price is None else price,
            words=sparse.csr_array((n, 0), dtype=np.float32) if words is None else words,
        )
