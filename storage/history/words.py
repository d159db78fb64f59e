"""The words of titles and of categories' names, as a table of texts x words that models can learn from."""

import numpy as np
import polars as pl
from scipy import sparse

# Scripts that are written without spaces between words; the last is the mark of a long vowel in Japanese.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
# Of one character too, as sizes are; a mark begins none: it stands after many pictures.
WORD = rf"[\p{{L}}\p{{N}}--[{UNSPACED}]][\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}]]*"
# A letter that an apostrophe parts from a word is no size: women's, l'eau.
PARTED = r"([\p{L}\p{M}])['\u2019]\p{L}\b|\b\p{L}['\u2019](\p{L})"
RUN = rf"[{UNSPACED}]+"
# What follows a word's fifth letter mostly tells number, gender or case: candle, candles; świeca, świece.
ENDING = r"^([\p{L}\p{M}]{5})[\p{L}\p{M}]+$"


def word_table(texts: pl.Series) -> sparse.csr_array:
    """Which words each text has, cut to five letters; a word of one text alone tells nothing of another.

    Where a script has no spaces between words, each two characters that follow one another are one.
    Source: truncation and bigrams as in retrieval over many languages, McNamee, Mayfield 2004.

    Args:
        texts: strings, null where unknown.
    Returns:
        n_texts x n_words, float32, 1 where the text has the word; words in alphabetical order.
    """
    text = pl.col("text").str.normalize("NFKC").str.to_lowercase().str.replace_all(PARTED, "$1 $2")
    pairs = pl.col("run").str.split("").list.eval(pl.element() + pl.element().shift(-1)).list.drop_nulls()
    table = pl.DataFrame({"row": pl.int_range(len(texts), eager=True), "text": texts.cast(pl.String)}).select(
        "row", text
    )
    words = table.select("row", word=pl.col("text").str.extract_all(WORD)).explode("word")
    words = words.with_columns(pl.col("word").str.replace(ENDING, "$1"))
    runs = table.select("row", run=pl.col("text").str.extract_all(RUN)).explode("run").drop_nulls()
    found = (
        pl.concat([words, runs.select("row", word=pairs).explode("word")])
        .drop_nulls("word")
        .unique()
        .filter(pl.len().over("word") > 1)
    )
    known = found["word"].unique().sort()
    found = found.select("row", place=pl.col("word").cast(pl.Enum(known)).to_physical()).sort("row", "place")
    cells = (np.ones(found.height, np.float32), (found["row"].to_numpy(), found["place"].to_numpy()))
    return sparse.csr_array(cells, shape=(len(texts), len(known)), dtype=np.float32)
