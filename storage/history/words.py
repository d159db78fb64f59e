"""The words of the products' titles, as a table of products x words that models can learn from."""

import numpy as np
import polars as pl
from scipy import sparse

# Scripts that are written without spaces between words; the last is the mark of a long vowel in Japanese.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
WORD = rf"[\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}]]+"  # of one character too, as sizes are
RUN = rf"[{UNSPACED}]+"
# What follows a word's fifth letter mostly tells number, gender or case: candle, candles; świeca, świece. Figures stay.
ENDING = r"^([\p{L}\p{M}]{5})[\p{L}\p{M}]+$"


def title_words(titles: pl.Series) -> sparse.csr_array:
    """Which words each title has, cut to five letters; a word of one title alone tells nothing of another.

    Where a script has no spaces between words, each two characters that follow one another are one.
    Source: truncation and bigrams as in retrieval over many languages, McNamee, Mayfield 2004.

    Args:
        titles: by product row, null where unknown.
    Returns:
        n_products x n_words, float32, 1 where the title has the word; words in alphabetical order.
    """
    text = pl.col("title").str.normalize("NFKC").str.to_lowercase()
    pairs = pl.col("run").str.split("").list.eval(pl.element() + pl.element().shift(-1)).list.drop_nulls()
    table = pl.DataFrame(
        {"row": pl.int_range(len(titles), eager=True), "title": titles.cast(pl.String)}
    ).select("row", text)
    words = table.select("row", word=pl.col("title").str.extract_all(WORD)).explode("word")
    words = words.with_columns(pl.col("word").str.replace(ENDING, "$1"))
    runs = table.select("row", run=pl.col("title").str.extract_all(RUN)).explode("run").drop_nulls()
    found = (
        pl.concat([words, runs.select("row", word=pairs).explode("word")])
        .drop_nulls("word")
        .unique()
        .filter(pl.len().over("word") > 1)
        .with_columns(place=pl.col("word").rank("dense") - 1)
        .sort("row", "place")
    )
    n_words = found["word"].n_unique() if found.height else 0
    cells = (np.ones(found.height, np.float32), (found["row"].to_numpy(), found["place"].to_numpy()))
    return sparse.csr_array(cells, shape=(len(titles), n_words), dtype=np.float32)
