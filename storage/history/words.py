"""The words of titles and of categories' names, as a table of texts x words that models can learn from."""

import html
import re

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

# German, Dutch or Swedish words are joined, and the last of them says what it is: a Herztasse is a Tasse.
# Longer than any of them are damaged texts, which have as many ends as letters.
JOINED, LEAST_HEAD, LEAST_BEFORE = r"^[\p{L}\p{M}]{7,80}$", 4, 3

ENTITY = r"&#?\w{1,32};"  # of a number with thousands of figures Python makes an error
UNSEEN = r"\p{Cf}"  # soft hyphens, spaces of no width, marks of direction
TRADE_MARK = "[\u2120\u2122]"  # which NFKC makes letters of
# Of Latin, Greek and Cyrillic, of Hebrew and Arabic letters, and letters that no accent can be taken from:
# capitals, and what is typed in a hurry, have none. In Vietnamese they tell words apart; it alone has hooks,
# horns, and marks of tone beside a circumflex or a breve.
ACCENT = "[\u0300-\u036f\u0591-\u05bd\u05c1\u05c2\u0640\u064b-\u065f\u0670]"
VIETNAMESE = "[\u0309\u031b]|[\u0302\u0306][\u0300\u0301\u0303]|\u0323[\u0302\u0306]"
BARE = {"ł": "l", "đ": "d", "ø": "o", "\u0131": "i", "ß": "ss", "æ": "ae", "œ": "oe"}
VIETNAMESE_SHARE = 0.1  # of the texts of a shop: elsewhere a few are of other languages
CODE = r"\p{N}|\b\p{L}\b"  # 1.2 is not 2.1
NAME_PART = r"[^\s\p{P}<>|\u00ae\u00a9]+"


def word_table(texts: pl.Series) -> sparse.csr_array:
    """Which words each text has, cut to five letters; a word of one text alone tells nothing of another.

    A word that ends with another has that one too.
    Where a script has no spaces between words, each two characters that follow one another are one.
    Source: truncation and bigrams as in retrieval over many languages, McNamee, Mayfield 2004.

    Args:
        texts: strings, null where unknown.
    Returns:
        n_texts x n_words, float32, 1 where the text has the word; words in alphabetical order.
    """
    pairs = pl.col("run").str.split("").list.eval(pl.element() + pl.element().shift(-1)).list.drop_nulls()
    table = pl.DataFrame({"row": pl.int_range(len(texts), eager=True), "text": _plain(texts)})
    words = table.select("row", word=pl.col("text").str.extract_all(WORD)).explode("word").drop_nulls()
    words = pl.concat([words, _heads(words)]).with_columns(pl.col("word").str.replace(ENDING, "$1"))
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


def _heads(words: pl.DataFrame) -> pl.DataFrame:
    """What words end with: the longest that two texts or more have by itself.

    Source: splitting of compounds by the words of a corpus, Koehn, Knight 2003.
    """
    known = words.unique().group_by("word").len().filter(pl.col("len") > 1).select(head="word")
    joined = words.select("word").unique().filter(pl.col("word").str.contains(JOINED))
    last = pl.col("word").str.len_chars().cast(pl.Int64) - LEAST_HEAD
    ends = joined.with_columns(at=pl.int_ranges(LEAST_BEFORE, last + 1)).explode("at")
    found = ends.with_columns(head=pl.col("word").str.slice(pl.col("at"))).join(known, on="head", how="semi")
    longest = found.sort("at").unique("word", keep="first")
    return words.join(longest, on="word").select("row", word="head")


def alike(names: pl.Series) -> pl.Series:
    """What is equal where names differ by accents, capitals, what stands between their words or, but for
    codes, the order of these alone; null where there is no name."""
    words = _plain(names).str.extract_all(NAME_PART)
    given, sorted_ = words.list.join(" "), words.list.unique().list.sort().list.join(" ")
    common = given.zip_with(given.str.contains(CODE), sorted_)
    return common.zip_with(common != "", names)


def _plain(texts: pl.Series) -> pl.Series:
    """Texts as they are compared: small letters without accents, nothing that isn't seen."""
    texts = texts.cast(pl.String)
    if texts.str.contains(ENTITY).any():
        unescaped = (text and _unescaped(_unescaped(text)) for text in texts)  # &amp;#39; is usual
        texts = pl.Series(texts.name, unescaped, dtype=pl.String)
    seen = texts.str.replace_all(UNSEEN, "").str.replace_all(TRADE_MARK, " ")
    letters = seen.str.normalize("NFKD").str.to_lowercase()
    vietnamese = letters.str.contains(VIETNAMESE).drop_nulls()
    if vietnamese.sum() < VIETNAMESE_SHARE * max(vietnamese.len(), 1):
        letters = letters.str.replace_all(ACCENT, "").str.replace_many(BARE)
    return letters.str.normalize("NFC").str.replace_all(PARTED, "$1 $2")


def _unescaped(text: str) -> str:
    return re.sub(ENTITY, lambda code: html.unescape(code[0]), text)
