"""Lifts of categories and brands on five products, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.affinity import Affinity, AffinityOptions
from models.arrays import FloatArray, IntArray
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from tests.data.scores import history_of
from tests.data.shops import grocer

# 0 and 1 are tea of brands 0 and 1, 2 is coffee of brand 0, of 3 nothing is known, 4 was never bought
CATEGORY, BRAND = np.array([0, 0, 1, -1, 0], np.int32), np.array([0, 1, 0, -1, 0], np.int32)
LINES = [(0, 0, 93, 0), (0, 0, 93.5, 1), (0, 1, 93, 0), (1, 2, 93, 2), (2, 2, 93, 3), (2, 3, 93, 3)]
# all first purchases are 7 days old and weigh 1/2; 1, 1 and 2 of three customers have 0, 1 and 2
TAKE_UP = np.array([0.5 / 12, 0.5 / 12, 1 / 11])
OPTIONS = AffinityOptions(
    half_life_days=7.0, profile_half_life_days=7.0, category_power=1.0, brand_power=0.0, both_power=0.0
)
ALL = np.arange(4, dtype=np.int32)


def shop(category: IntArray = CATEGORY, brand: IntArray = BRAND) -> Interactions:
    history = history_of(LINES, n_customers=4, n_products=5, as_of_day=100)
    return replace(history, catalogue=Catalogue.of(category, brand_row=brand))


def scored(options: AffinityOptions, history: Interactions | None = None) -> FloatArray:
    return Affinity(options).fit(history or shop()).score(ALL)


def test_a_category_lifts_by_the_customer_s_share_of_it_over_everybody_s() -> None:
    # of 2.5 first purchases 1 is tea, 1 coffee, 0.5 neither: shares 0.4, 0.4; the prior adds 10 by shares
    tea = np.array([1 + 4, 4, 4]) / np.array([11, 10.5, 11]) / 0.4
    coffee = np.array([4, 0.5 + 4, 0.5 + 4]) / np.array([11, 10.5, 11]) / 0.4
    wanted = np.stack([tea * TAKE_UP[0], tea * TAKE_UP[1], coffee * TAKE_UP[2]], axis=1)
    np.testing.assert_allclose(scored(OPTIONS)[:3, :3], wanted, rtol=1e-5)


def test_powers_act_on_each_lift_and_the_lifts_multiply() -> None:
    none = replace(OPTIONS, category_power=0.0)
    plain = scored(none)[:3, :3]
    np.testing.assert_allclose(plain, np.repeat(TAKE_UP[None, :], 3, axis=0), rtol=1e-5)
    by_category = scored(OPTIONS)[:3, :3] / plain
    by_brand = scored(replace(none, brand_power=1.0))[:3, :3] / plain
    by_both = scored(replace(none, both_power=1.0))[:3, :3] / plain
    together = scored(replace(none, category_power=0.5, brand_power=1.0, both_power=2.0))[:3, :3]
    np.testing.assert_allclose(together, plain * by_category**0.5 * by_brand * by_both**2, rtol=1e-4)
    assert all((np.abs(lift - 1) > 0.01).any() for lift in (by_category, by_brand, by_both))


def test_nothing_is_said_of_unknown_products_or_to_unknown_customers() -> None:
    scores = scored(OPTIONS)
    assert np.isnan(scores[:, 3]).all()  # neither category nor brand
    assert np.isnan(scores[3]).all()


def test_what_nobody_bought_yet_has_its_chance_by_what_the_customer_likes() -> None:
    scores = scored(OPTIONS)[:3]
    assumed = 0.1 / (3 + 10)  # a tenth of a first purchase by one of three customers, of whom none has it
    np.testing.assert_allclose(scores[:, 4], scores[:, 0] / TAKE_UP[0] * assumed, rtol=1e-5)
    assert scores[0, 4] > scores[1, 4]  # the first bought tea, the second coffee


def test_a_shop_has_categories_or_brands_or_neither() -> None:
    nothing = np.full(5, -1, np.int32)
    powers = replace(OPTIONS, brand_power=1.0, both_power=1.0)
    by_brand = scored(powers, shop(category=nothing))
    np.testing.assert_allclose(
        by_brand, scored(replace(powers, both_power=0.0, category_power=0.0)), rtol=1e-5
    )
    by_category = scored(powers, shop(brand=nothing))
    np.testing.assert_allclose(by_category, scored(OPTIONS), rtol=1e-5)
    assert np.isnan(scored(powers, shop(nothing, nothing))).all()


@pytest.mark.parametrize("has", ["category", "brand", "both"])
def test_what_is_not_there_has_no_power(has: str) -> None:
    history = grocer().interactions()
    nothing = np.full(history.n_products, -1, np.int32)
    known = history.catalogue
    catalogue = replace(
        known,
        category_row=nothing if has == "brand" else known.category_row,
        brand_row=nothing if has == "category" else known.brand_row,
    )
    options = Affinity().fit(replace(history, catalogue=catalogue)).options_
    assert has != "brand" or options.category_power == 0
    assert has != "category" or options.brand_power == 0
    assert has == "both" or options.both_power == 0


def test_a_shop_whose_customers_keep_to_a_category_learns_a_high_power() -> None:
    rng = np.random.default_rng(7)
    lines = [
        (c, int(rng.integers(20)) * 6 + c % 6, day + c / 100, day * 80 + c)
        for day in range(0, 84, 4)
        for c in range(80)
    ]
    history = history_of(lines, n_customers=80, n_products=120, as_of_day=84)
    history = replace(history, catalogue=Catalogue.of(np.arange(120, dtype=np.int32) % 6))
    powers = AffinityOptions(half_life_days=56.0, profile_half_life_days=56.0)
    assert Affinity(powers).fit(history).options_.category_power in (0.6, 1.0)
