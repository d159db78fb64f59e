"""Products by brand and category at once: all of one cell are alike to whoever counts either."""

from typing import NamedTuple

import numpy as np

from models.arrays import IntArray


class Cells(NamedTuple):
    """Every brand with every category that a product has both of.

    Attributes:
        of_product: the cell of each product row.
        brand, category: row of each cell; one behind the last of a table stands for none.
    """

    of_product: IntArray
    brand: IntArray
    category: IntArray

    @classmethod
    def of(cls, brand_row: IntArray, category_row: IntArray, n_brands: int, n_categories: int) -> "Cells":
        brand = np.where(brand_row < 0, n_brands, brand_row).astype(np.int64)
        category = np.where(category_row < 0, n_categories, category_row)
        both, of_product = np.unique(brand * (n_categories + 1) + category, return_inverse=True)
        brands, categories = np.divmod(both, n_categories + 1)
        return cls(of_product.astype(np.int32), brands.astype(np.int32), categories.astype(np.int32))
