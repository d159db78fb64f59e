"""Offers, audiences and redemptions become rows; what a history doesn't know is passed over."""

from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from models.offers.campaigns import OPEN_END_S, Redemptions
from models.offers.features import NAMES, OfferFeatures, column_sums
from tests.data.coupons import history_of
from training.history.offers import ALWAYS_S, ShopOffers

PURCHASES = """customer_id,product_id,purchased_at
ann,tea,2026-01-01
ann,tea,2026-01-11
bob,milk,2026-01-11
"""
OFFERS = """offer_id,product_ids,discount,starts_at,ends_at,segment,budget
tea-off,tea;gone,0.5,2026-01-05,2026-01-24,fans,10
milk-off,milk,0.2,2026-01-05,2026-01-24,fans,
for-all,tea;milk,,,,,
"""
AUDIENCES = "segment,customer_id\nfans,ann\nfans,ann\nfans,nobody\n"
REDEMPTIONS = "offer_id,customer_id,redeemed_at\ntea-off,ann,2026-01-11\nold,ann,2026-01-11\n"
AS_OF = datetime(2026, 1, 21, tzinfo=UTC)


class Shop:
    """The tables above, and the rows of their names."""

    def __init__(self, folder: Path) -> None:
        history = history_of(
            folder,
            as_of=AS_OF,
            purchases=PURCHASES,
            offers=OFFERS,
            audiences=AUDIENCES,
            redemptions=REDEMPTIONS,
        )
        found = ShopOffers.of(history)
        assert found is not None
        self.found, self.interactions = found, history.interactions()
        self.features = OfferFeatures(self.interactions, found.offers, found.redemptions)
        self.customer = {name: row for row, name in enumerate(history.customer_ids)}
        self.offer = {name: row for row, name in enumerate(found.table["offer_id"].to_list())}

    def feature(self, name: str, customer: str, offer: str) -> float:
        rows = np.array([self.customer[customer]], np.int32), np.array([self.offer[offer]], np.int32)
        return float(self.features.of(*rows)[0, 0, NAMES.index(name)])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_offers_of_one_segment_and_time_are_a_campaign(shop: Shop) -> None:
    always, fans = shop.found.offers.campaigns
    assert always.offer_rows.tolist() == [shop.offer["for-all"]]
    assert (always.starts_s, always.ends_s) == (ALWAYS_S, OPEN_END_S)
    assert always.customer_rows.tolist() == [0, 1]
    assert fans.offer_rows.tolist() == sorted([shop.offer["tea-off"], shop.offer["milk-off"]])
    assert fans.customer_rows.tolist() == [shop.customer["ann"]]
    assert fans.days == 20


def test_unknown_products_offers_and_customers_are_passed_over(shop: Shop) -> None:
    products = shop.found.offers.products
    assert products[[shop.offer["tea-off"]]].sum() == 1
    assert shop.found.redemptions.offer_row.tolist() == [shop.offer["tea-off"]]
    assert shop.found.redemptions.customer_row.tolist() == [shop.customer["ann"]]


def test_who_redeems_an_offer_twice_redeemed_it(shop: Shop) -> None:
    """Ann in the campaign of both, Bob who isn't in it, and an offer that is of another campaign."""
    ann, bob = shop.customer["ann"], shop.customer["bob"]
    tea, milk, everybodys = (shop.offer[name] for name in ("tea-off", "milk-off", "for-all"))
    rows = np.array([tea, tea, milk, everybodys], np.int32), np.array([ann, ann, bob, ann], np.int32)
    found = Redemptions(*rows, np.arange(4)).grid(shop.found.offers.campaigns[1])
    assert (found.nnz, found.dtype) == (1, np.bool_)
    assert found.toarray().tolist() == [[tea < milk, milk < tea]]


def test_a_shop_without_offers_has_none(tmp_path: Path) -> None:
    assert ShopOffers.of(history_of(tmp_path, purchases=PURCHASES)) is None


def test_own_purchases_are_decayed_by_hand(shop: Shop) -> None:
    """Ann bought tea 20 and 10 days before the moment, which count as noons, half-life 90 days; Bob never."""
    amount = 2 ** (-19.5 / 90) + 2 ** (-9.5 / 90)
    assert shop.feature("own", "ann", "tea-off") == pytest.approx(np.log(amount + 0.01), abs=1e-5)
    assert shop.feature("own_ever", "ann", "tea-off") == pytest.approx(np.log(2.01), abs=1e-5)
    assert shop.feature("own", "bob", "tea-off") == pytest.approx(np.log(0.01), abs=1e-5)


def test_popularity_is_the_share_of_customers_who_bought_lately(shop: Shop) -> None:
    assert shop.feature("popularity", "ann", "tea-off") == pytest.approx(np.log(0.5 + 1e-4), abs=1e-5)
    assert shop.feature("popularity", "bob", "for-all") == pytest.approx(np.log(1 + 1e-4), abs=1e-5)


def test_others_redemptions_count_by_shared_products(shop: Shop) -> None:
    """Received: for-all by two, tea-off and milk-off by one; redeemed: tea-off once. Usual: 1.5 of 1004.

    Tea-off shares all products with itself and half with for-all: (1 + 3 u) / (1 + 0.5 x 2 + 3).
    """
    usual = 1.5 / 1004
    expected = (1 + 3 * usual) / 5
    found = shop.feature("redeemed_by_others", "bob", "tea-off")
    assert found == pytest.approx(np.log(expected), abs=1e-5)


def test_the_chance_to_buy_anyway_is_by_hand(shop: Shop) -> None:
    """Ann's tea: two purchases decayed, over her 19.5 decayed days, drawn to everybody's by 14 days."""
    days_of = lambda days: (1 - 2 ** (-days / 90)) * 90 / np.log(2)  # noqa: E731
    tea = 2 ** (-19.5 / 90) + 2 ** (-9.5 / 90)
    usual = tea / (days_of(19.5) + days_of(9.5))
    rate = (tea + 14 * usual) / (days_of(19.5) + 14)
    rows = np.array([shop.customer["ann"]], np.int32), np.array([shop.offer["tea-off"]], np.int32)
    found = shop.features.anyway(*rows, np.array([7.0]))
    assert found[0, 0] == pytest.approx(1 - np.exp(-7 * rate), abs=1e-5)


def test_all_features_are_finite_for_who_bought_nothing(shop: Shop) -> None:
    history = shop.interactions.before(int(datetime(2026, 1, 6, tzinfo=UTC).timestamp()))
    features = OfferFeatures(history, shop.found.offers, shop.found.redemptions)
    every = np.arange(2, dtype=np.int32), np.arange(3, dtype=np.int32)
    assert np.isfinite(features.of(*every)).all()
    assert (features.anyway(*every, np.ones(3)) < 1).all()


def test_what_everybody_buys_counts_every_customer_however_many_there_are() -> None:
    held = sparse.csr_array(np.array([[2**24, 0], [1, 0], [1, 3]], np.float32))
    assert column_sums(held).tolist() == [2**24 + 2, 3]


def test_customers_asked_about_one_by_one_and_other_offers_between_have_the_same_features(shop: Shop) -> None:
    customers, offers = np.arange(2, dtype=np.int32), np.arange(3, dtype=np.int32)
    whole = shop.features.of(customers, offers)
    fresh = OfferFeatures(shop.interactions, shop.found.offers, shop.found.redemptions)
    for row, column in product((1, 0), (2, 0, 1)):
        assert np.array_equal(fresh.of(customers[[row]], offers[[column]])[0, 0], whole[row, column])
        assert np.array_equal(fresh.of(customers[[row]], offers)[0], whole[row])
