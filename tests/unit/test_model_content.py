"""Content of five products as vectors, counted by hand."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from scipy import sparse

from models import content
from models.arrays import AnyArray
from models.content import Content, ContentOptions, content_features, content_vectors, rarity
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from models.numerics.top_k import top_k
from tests.data.scores import history_of

# words: "red" of 0 and 1, "cup" of 0, 2 and 3; 2 and 3 have a category too, and of 4 nothing is known
WORDS = sparse.csr_array(np.array([[1, 1], [1, 0], [0, 1], [0, 1], [0, 0]], np.float32))
CATALOGUE = Catalogue.of(np.array([-1, -1, 0, 0, -1], np.int32), words=WORDS)
RED, CUP, CATEGORY = log(5 / 2), log(5 / 3), log(5 / 2)
OPTIONS = ContentOptions(
    half_life_days=7.0, profile_half_life_days=7.0, take_up_power=0.0, rarity_power=1.0, loyalty_power=0.0
)
# customer 0 bought 1, customer 1 bought 2 and, in two orders, 1; each order weighs 1/2
LINES = [(0, 1, 93, 0), (1, 2, 93, 1), (1, 1, 93, 1), (1, 1, 93, 2)]
ROWS = np.arange(3, dtype=np.int32)


def shop() -> Interactions:
    return replace(history_of(LINES, n_customers=3, n_products=5, as_of_day=100), catalogue=CATALOGUE)


def vectors() -> AnyArray:
    table = np.zeros((5, 3))
    table[0] = [RED, CUP, 0]
    table[1] = [RED, 0, 0]
    table[2] = table[3] = [0, CUP, CATEGORY]
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(length > 0, length, 1)


def by_rarity(catalogue: Catalogue) -> AnyArray:
    features = content_features(catalogue)
    return content_vectors(features, rarity(features)).toarray()


def test_a_product_is_its_words_category_and_brand_by_how_few_others_have_them() -> None:
    np.testing.assert_allclose(by_rarity(CATALOGUE), vectors(), atol=1e-6)
    with_brand = replace(CATALOGUE, brand_row=np.array([0, 0, 1, 1, 1], np.int32))
    table = by_rarity(with_brand)
    assert table.shape == (5, 5)
    np.testing.assert_allclose(table[4], [0, 0, 0, 0, 1], atol=1e-6)


def test_categories_that_share_a_word_are_alike() -> None:
    rows = np.array([0, 1, 2, -1], np.int32)
    words = sparse.csr_array(np.array([[1, 0], [0, 0], [0, 0], [0, 0]], np.float32))
    shared = sparse.csr_array(np.array([[1, 0], [1, 0], [0, 1]], np.float32))
    table = by_rarity(Catalogue.of(rows, words=words, category_words=shared))
    # Each category holds for one of 4 products, the first word for 2, once where title and category have it.
    # The second word is of one category alone, so that it says nothing more.
    own, word = log(4), log(2)
    length = (own**2 + word**2) ** 0.5
    expected = [
        [word / length, 0, own / length, 0, 0],
        [word / length, 0, 0, own / length, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(table, expected, atol=1e-6)


def test_what_every_product_has_tells_nothing() -> None:
    assert not by_rarity(Catalogue.of(np.zeros(3, np.int32))).any()


def test_a_score_is_the_cosine_with_what_was_bought_also_for_what_nobody_bought() -> None:
    scores = Content(OPTIONS).fit(shop()).score(ROWS)
    table = vectors()
    profile = np.stack([table[1], 0.5**0.5 * table[2] + table[1]])  # roots of 1/2 and of 2 x 1/2
    profile /= np.linalg.norm(profile, axis=1, keepdims=True)
    cosine = profile @ table.T
    np.testing.assert_allclose(scores[:2], np.where(cosine > 1e-9, cosine, np.nan), rtol=1e-5)
    assert np.isfinite(scores[0]).tolist() == [True, True, False, False, False]  # 0 was never bought
    assert np.isnan(scores[2]).all()  # they bought nothing


def test_of_products_alike_the_one_that_is_taken_up_goes_first() -> None:
    scores = Content(replace(OPTIONS, take_up_power=1.0)).fit(shop()).score(ROWS)
    plain = Content(OPTIONS).fit(shop()).score(ROWS)
    # of 2 customers 2 and 1 have products 1 and 2; 10 more are thought of, and 0.1 first purchases
    chance = np.array([0.1 / 12, 1.1 / 10, 0.6 / 11, 0.1 / 12, 0.1 / 12])
    np.testing.assert_allclose(scores, plain * chance, rtol=1e-5)
    assert scores[1, 2] > scores[1, 3]


def test_a_shop_that_knows_nothing_of_its_products_gets_no_opinion() -> None:
    history = replace(shop(), catalogue=Catalogue.of(np.full(5, -1, np.int32)))
    assert np.isnan(Content(OPTIONS).fit(history).score(ROWS)).all()


def test_what_customers_keep_to_weighs_more_where_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who bought the red cup gets what is red before a cup with a category, unless cups are kept to."""
    kept = np.array([1.0, 3.0, 1.0])  # of red, of cup, of the category
    monkeypatch.setattr(content, "loyalty", lambda *_: kept)
    of_cup = replace(
        history_of([(0, 0, 93, 0)], n_customers=3, n_products=5, as_of_day=100), catalogue=CATALOGUE
    )
    plain = Content(OPTIONS).fit(of_cup).score(ROWS)[0]
    assert plain[1] > plain[2]
    loyal = Content(replace(OPTIONS, loyalty_power=1.0)).fit(of_cup).score(ROWS)[0]
    table = np.array([[RED, 3 * CUP, 0], [RED, 0, 0], [0, 3 * CUP, CATEGORY]])
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    np.testing.assert_allclose(loyal[:3], table @ table[0], rtol=1e-5)
    assert loyal[2] > loyal[1]
    alone = Content(replace(OPTIONS, loyalty_power=1.0, rarity_power=0.0)).fit(of_cup).score(ROWS)[0]
    table = np.array([[1, 3, 0], [1, 0, 0], [0, 3, 1]])
    table = table / np.linalg.norm(table, axis=1, keepdims=True)
    np.testing.assert_allclose(alone[:3], table @ table[0], rtol=1e-5)


def test_what_only_later_purchases_told_is_not_known_when_constants_are_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [(who, day // 7 % 4, day, who * 20 + day // 7) for who in range(30) for day in range(1, 100, 7)]
    lines += [(who, 4, 98, who * 20 + 19) for who in range(30)]  # sold since the last days alone
    every = history_of(lines, n_customers=30, n_products=5, as_of_day=100)
    sold_since_s = np.array([every.at_s[every.product_row == product].min() for product in range(5)])
    words = sparse.csr_array(np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1]], np.float32))
    catalogue = Catalogue.of(
        np.zeros(5, np.int32), words=words, sold_since_s=sold_since_s, is_told=np.zeros((5, 3), np.bool_)
    )
    seen: list[int] = []

    def kept(_: Interactions, features: sparse.csr_array, __: int) -> AnyArray:
        seen.append(features[[4]].nnz)
        return np.ones(features.shape[1])

    monkeypatch.setattr(content, "loyalty", kept)
    Content(ContentOptions(half_life_days=7.0)).fit(replace(every, catalogue=catalogue))
    *folds, tonight = seen
    assert (len(folds) > 0, set(folds), tonight) == (True, {0}, 3)


def test_what_is_like_a_product_is_what_somebody_who_bought_it_alone_would_like_best() -> None:
    model = Content(replace(OPTIONS, take_up_power=1.0)).fit(shop())
    everything = np.arange(5, dtype=np.int32)
    alone = [(row, row, 93, row) for row in range(5)]
    one_each = replace(history_of(alone, n_customers=5, n_products=5, as_of_day=100), catalogue=CATALOGUE)
    buyers = Content(replace(OPTIONS, take_up_power=1.0)).fit(one_each)
    buyers.chance_ = model.chance_
    scores = buyers.score(everything)
    scores[everything, everything] = np.nan
    for pool in (everything, np.array([1, 3], np.int32)):
        able = np.isin(everything, pool)
        np.testing.assert_array_equal(
            model.like(everything, pool, 3), top_k(np.where(able, scores, np.nan), 3)
        )
    # 2 and 3 are the same to 0, and more of 2 was bought; 4 is like nothing
    assert model.like(everything, everything, 3).tolist() == [
        [1, 2, 3],
        [0, -1, -1],
        [3, 0, -1],
        [2, 0, -1],
        [-1, -1, -1],
    ]


def test_what_is_alike_is_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Content(OPTIONS).fit(shop())
    pool = np.arange(5, dtype=np.int32)
    whole = model.like(pool, pool, 2)
    monkeypatch.setattr(content, "BLOCK", 2)
    np.testing.assert_array_equal(model.like(pool, pool, 2), whole)
