"""Words of texts: which are kept, and where they stand."""

import numpy as np
import polars as pl

from storage.history.words import alike, word_table


def test_words_of_two_titles_or_more_are_columns_in_alphabetical_order() -> None:
    titles = pl.Series(["Red Mug", "MUG, blue", None, "red-hot red ütensil 3", "Ütensil of 10 b"])
    words = word_table(titles)
    # mug: 0, 1 · red: 0, 3 · ütensil: 3, 4; the others stand in one title
    assert words.shape == (5, 3)
    assert words.toarray().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert words.dtype == np.float32


def test_words_count_by_their_first_five_letters_but_figures_whole() -> None:
    titles = pl.Series(["Candle 123456", "candles", "świeca 123457", "Świece model15", "model16", "modest"])
    # candl: 0, 1 · świec: 2, 3; no figure stands twice, and what holds one is not cut
    assert word_table(titles).toarray().tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]]


def test_a_word_that_ends_with_another_has_that_one_too() -> None:
    joined = ["Herztasse", "Rotnotizbuch", "Buchdeckel", "Fahrrad", "Ertassee", "Abbuch"]
    words = word_table(pl.Series([*joined, *["Tasse", "Notizbuch", "Buch", "Rad"] * 2])).toarray()
    # buch, notiz, rad, tasse: the longest alone, from four letters on, and three or more stand before it
    assert words[: len(joined)].tolist() == [
        [0, 0, 0, 1],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert words[len(joined) :].sum(axis=0).tolist() == [4, 2, 2, 2]  # a Notizbuch is a Buch


def test_scripts_without_spaces_have_pairs_of_characters_for_words() -> None:
    titles = pl.Series(["コーヒー豆250g", "アイスコーヒー", "绿茶 250g", "绿茶杯子", "茶"])
    # 250g: 0, 2 · コー, ーヒ, ヒー: 0, 1 · 绿茶: 2, 3; others stand in one title, one character is no pair
    assert word_table(titles).toarray().tolist() == [
        [1, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
    ]


def test_marks_belong_to_their_letters_however_they_are_coded() -> None:
    titles = pl.Series(["नीली किताब", "लाल किताब", "cafe\u0301", "caf\u00e9", "\uff2d\uff35\uff27", "mug"])
    assert word_table(titles).toarray().tolist() == [
        [0, 0, 1],
        [0, 0, 1],
        [1, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 1, 0],
    ]


def test_a_mark_without_a_letter_is_no_word() -> None:
    titles = pl.Series(["Mug \u2764\ufe0f", "Cup \u2600\ufe0f", "Ü"])  # both pictures end with one
    assert word_table(titles).shape == (3, 0)


def test_what_an_apostrophe_parts_from_a_word_is_no_size() -> None:
    titles = pl.Series(["Women's shirt", "Men\u2019s belt", "Tee, S", "Tee 'S'", "L'eau", "L", "Eau", "L"])
    # eau: 4, 6 · l: 5, 7 · s: 2, 3 · tee: 2, 3
    assert word_table(titles).toarray().tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 1],
        [0, 0, 1, 1],
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 1, 0, 0],
    ]


def test_letters_count_without_accents_capitals_and_codes_of_html() -> None:
    coded = ["&#346;wieca", "&amp;#346;WIECA caf&eacute;", "CAFE\u2122"]
    titles = pl.Series(["Świeca café", "SWIECA", *coded, "Κούπα", "ΚΟΥΠΑ"])
    # cafe: 0, 3, 4 · swiec: 0 to 3 · κουπα: 5, 6
    assert word_table(titles).toarray().tolist() == [
        [1, 1, 0],
        [0, 1, 0],
        [0, 1, 0],
        [1, 1, 0],
        [1, 0, 0],
        [0, 0, 1],
        [0, 0, 1],
    ]


def test_letters_that_have_no_bare_form_of_their_own_are_written_as_in_a_hurry() -> None:
    titles = pl.Series(
        ["Łóżko", "LOZKO", "Straße", "STRASSE", "k\u0131rm\u0131z\u0131", "KIRMIZI", "rød", "rod"]
    )
    assert word_table(titles).toarray().sum(axis=0).tolist() == [2, 2, 2, 2]


def test_arabic_and_hebrew_are_read_without_vowels_and_hamza() -> None:
    titles = pl.Series(
        [
            "كُوب أحمر",
            "كـــوب",
            "احمر",
            "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
            "שלום",
            "שלום־בית",
            "בית",
        ]
    )
    # bayt: 5, 6 · shalom: 3 to 5, which a hyphen joins · red: 0, 2 · cup: 0, 1
    assert word_table(titles).toarray().tolist() == [
        [0, 0, 1, 1],
        [0, 0, 0, 1],
        [0, 0, 1, 0],
        [0, 1, 0, 0],
        [0, 1, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
    ]


def test_in_vietnamese_accents_tell_words_apart() -> None:
    titles = pl.Series(["bàn gỗ", "bán đỏ", "BA\u0300N", "ban", "bán"])
    # bàn: 0, 2 · bán: 1, 4; a tenth of the titles or more have marks as only Vietnamese has
    assert word_table(titles).toarray().tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 1]]


def test_vietnamese_is_known_by_a_letter_with_two_marks_too() -> None:
    """None of these has a hook or a horn, and tables that fold and tables on sale were one category."""
    assert alike(pl.Series(["Bàn gấp", "Bán gấp", "BÀN GẤP"])).n_unique() == 2
    assert alike(pl.Series(["Bạn nặng", "Bàn năng", "Lắp", "Lập"])).n_unique() == 4
    for elsewhere in (["Gâteaux", "Gateaux"], ["Προϊόν", "προιον"], ["Lǜ chá", "lu cha"]):
        assert alike(pl.Series(elsewhere)).n_unique() == 1, elsewhere


def test_what_nobody_sees_parts_no_word() -> None:
    titles = pl.Series(["Kis\u00adsen rot", "\u200bKis&shy;sen", "Kissen\u200e", "ro\u2060t", "rot\ufeff"])
    assert word_table(titles).toarray().tolist() == [[1, 1], [1, 0], [1, 0], [0, 1], [0, 1]]


def test_what_is_damaged_stops_nothing() -> None:
    """Of a code with thousands of figures Python makes an error, and a word has as many ends as letters."""
    code, endless = f"&#{'9' * 5000}; mug", f"{'x' * 100}tasse"
    titles = [code, f"&amp;{code[1:]}", "mug", endless, endless, "Tasse", "Tasse"]
    # 999...: 0, 1 · mug: 0 to 2 · tasse: 5, 6 · xxxxx: 3, 4
    assert word_table(pl.Series(titles)).toarray().T.tolist() == [
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1],
        [0, 0, 0, 1, 1, 0, 0],
    ]


def test_syllables_and_vowels_of_other_scripts_stay() -> None:
    titles = pl.Series(["컵받침대세트", "컵받침대세", "की", "कि", "ガラ", "カラ", "की", "कि", "ガラ", "カラ"])
    assert word_table(titles).toarray().sum(axis=0).tolist() == [2, 2, 2, 2, 2]


def test_names_are_alike_whatever_parts_their_words() -> None:
    same = [
        "Home > Kitchen",
        "home/kitchen",
        " HOME | Kitchen",
        "Kitchen, Home, Kitchen",
        "Home &gt; Kitchen",
    ]
    assert alike(pl.Series(same)).n_unique() == 1
    assert alike(pl.Series(["Nestlé", "NESTLE\u00ae", "nestle ", None])).n_unique() == 2
    other = ["Mug", "Mugs", "C", "C++", "1.5", "15", "\U0001f436", "\U0001f431", "-", "?", "Women's", "Women"]
    other += ["2.1", "1.2", "A-B", "B-A", "Size 1 > 2", "Size 2 > 1"]
    assert alike(pl.Series(other)).n_unique() == len(other) - 1


def test_a_shop_without_titles_has_no_words() -> None:
    assert word_table(pl.Series("title", [None, None], dtype=pl.String)).shape == (2, 0)
    assert word_table(pl.Series("title", ["one", "two"])).shape == (2, 0)
