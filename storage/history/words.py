"""The words of the products' titles, as a table of products x words that models can learn from."""

import numpy as np
import polars as pl
from scipy import sparse

WORD = r"[\p{L}\p{N}]{2,}"  # letters and figures of any script; single characters say little


def title_words(titles: pl.Series) -> sparse.csr_array:
    """Which words each title has, in lower case; a word of one title alone tells nothing of another.

    Args:
        titles: by product row, null where unknown.
    Returns:
        n_products x n_words, float32, 1 where the title has the word; words in alphabetical order.
    """
    found = (
        pl.DataFrame({"row": pl.int_range(len(titles), eager=True), "title": titles.cast(pl.String)})
        .select("row", word=pl.col("title").str.to_lowercase().str.extract_all(WORD))
        .explode("word")
        .drop_nulls("word")
        .unique()
        .filter(pl.len().over("word") > 1)
        .with_columns(place=pl.col("word").rank("dense") - 1)
        .sort("row", "place")
    )
    n_words = found["word"].n_unique() if found.height else 0
    cells = (np.ones(found.height, np.float32), (found["row"].to_numpy(), found["place"].to_numpy()))
    return sparse.csr_array(cells, shape=(len(titles), n_words), dtype=np.float32)
