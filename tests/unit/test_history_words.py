"""Words of titles: which are kept, and where they stand."""

import numpy as np
import polars as pl

from storage.history.words import title_words


def test_words_of_two_titles_or_more_are_columns_in_alphabetical_order() -> None:
    titles = pl.Series(["Red Mug", "MUG, blue", None, "red-hot red ütensil 3", "Ütensil of 10 b"])
    words = title_words(titles)
    # mug: 0, 1 · red: 0, 3 · ütensil: 3, 4; the others stand in one title or are too short
    assert words.shape == (5, 3)
    assert words.toarray().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert words.dtype == np.float32


def test_a_shop_without_titles_has_no_words() -> None:
    assert title_words(pl.Series("title", [None, None], dtype=pl.String)).shape == (2, 0)
    assert title_words(pl.Series("title", ["one", "two"])).shape == (2, 0)
