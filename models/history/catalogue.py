"""What is known of products without a single purchase: category, brand, price and words."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, BoolArray, FloatArray, IntArray, LongArray
from models.history.promotions import Promotions

TOLD = ("category", "brand", "title")
KNOWN_S = DAY_S  # before it can be bought a product is known: lists are for the hours after the last purchase
EVER, LATER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The shop's products, by product row.

    Attributes:
        category_row, brand_row: shape (n_products,), int32, -1 where a product has none.
        price: shape (n_products,), float32, in the shop's currency; NaN where unknown.
        words: n_products x n_words, float32, 1 where the title or the keywords have the word.
        category_words: n_categories x n_words, the same for the names of categories: what these have in
            common with one another, as the levels of "Home > Kitchen > Mugs", and with titles.
        sold_since_s: shape (n_products,), int64, Unix seconds of the first purchase, LATER for none.
        is_told: shape (n_products, 3), bool: whether category, brand and words stand in the shop's own table
            of products. What a purchase alone tells is not known before the first one, nor is a price: a
            shop's list of prices is often made from what was sold.
        available_s: shape (n_products,), int64, Unix seconds from which the product can be bought, as the
            shop tells it; EVER where it doesn't. Some are sold before.
        promotions: when which of them were put forward.
    """

    category_row: IntArray
    brand_row: IntArray
    price: FloatArray
    words: sparse.csr_array
    category_words: sparse.csr_array
    sold_since_s: LongArray
    is_told: BoolArray
    available_s: LongArray
    promotions: Promotions = field(default_factory=Promotions)

    def __len__(self) -> int:
        return len(self.category_row)

    @property
    def category_group(self) -> LongArray:
        """Each product's category, shape (n_products,), int64; those without one are one of their own."""
        row = self.category_row.astype(np.int64)
        return np.where(row >= 0, row, row.max(initial=-1) + 1)

    @classmethod
    def of(
        cls,
        category_row: IntArray,
        *,
        brand_row: IntArray | None = None,
        price: FloatArray | None = None,
        words: sparse.csr_array | None = None,
        category_words: sparse.csr_array | None = None,
        sold_since_s: LongArray | None = None,
        is_told: BoolArray | None = None,
        available_s: LongArray | None = None,
        promotions: Promotions | None = None,
    ) -> Self:
        """A catalogue of which no more need be known than the categories; by default known from ever."""
        n, n_categories = len(category_row), int(category_row.max(initial=-1)) + 1
        if words is None:
            words = sparse.csr_array((n, 0), dtype=np.float32)
        if category_words is None:
            category_words = sparse.csr_array((n_categories, words.shape[1]), dtype=np.float32)
        return cls(
            category_row=np.ascontiguousarray(category_row, np.int32),
            brand_row=np.full(n, -1, np.int32) if brand_row is None else brand_row,
            price=np.full(n, np.nan, np.float32) if price is None else price,
            words=words,
            category_words=category_words,
            sold_since_s=np.full(n, EVER, np.int64) if sold_since_s is None else sold_since_s,
            is_told=np.ones((n, len(TOLD)), np.bool_) if is_told is None else is_told,
            available_s=np.full(n, EVER, np.int64) if available_s is None else available_s,
            promotions=promotions or Promotions(),
        )

    def before(self, as_of_s: int) -> Self:
        """What was known then: nothing that a later purchase tells, no product or promotion to come."""
        promotions, unsold = self.promotions.before(as_of_s), self.sold_since_s >= as_of_s
        if not unsold.any():
            return self if promotions is self.promotions else replace(self, promotions=promotions)
        is_to_come = unsold & (self.available_s >= as_of_s + KNOWN_S)
        hides_category, hides_brand, hides_title = (unsold[:, None] & ~self.is_told | is_to_come[:, None]).T
        words = self.words
        if hides_title.any():
            words = sparse.csr_array(sparse.diags_array((~hides_title).astype(np.float32)) @ words)
            words.eliminate_zeros()
        return replace(
            self,
            category_row=np.where(hides_category, np.int32(-1), self.category_row),
            brand_row=np.where(hides_brand, np.int32(-1), self.brand_row),
            price=np.where(unsold, np.float32(np.nan), self.price),
            words=words,
            available_s=np.where(is_to_come, EVER, self.available_s),
            promotions=promotions,
        )
