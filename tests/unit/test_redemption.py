"""Who redeems what: learned from campaigns before, never from later ones or against what speaks for it."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from models.arrays import DAY_S
from models.numerics.nonnegative import nonnegative_logistic
from models.offers import redemption
from models.offers.campaigns import Campaign, Redemptions
from models.offers.features import NAMES, RISING, OfferFeatures
from models.offers.redemption import Redemption, _Lessons
from storage.history.history import History
from tests.data.coupons import CAMPAIGN_DAYS, START, coupon_shop
from training.history.offers import ShopOffers

OWN, POPULAR = NAMES.index("own"), NAMES.index("popularity")


@cache
def the_shop() -> tuple[History, ShopOffers]:
    with TemporaryDirectory() as folder:
        history = coupon_shop(Path(folder))
    shop = ShopOffers.of(history)
    assert shop is not None
    return history, shop


@cache
def fitted() -> Redemption:
    history, shop = the_shop()
    return Redemption().fit(history.interactions(), shop.offers, shop.redemptions)


@cache
def before_the_fourth() -> tuple[Campaign, Redemption, OfferFeatures]:
    """The fourth campaign, and what was learned of those before it as it began."""
    history, shop = the_shop()
    campaign = shop.offers.campaigns[3]
    before = history.interactions().before(campaign.starts_s)
    model = Redemption().fit(before, shop.offers, shop.redemptions)
    return campaign, model, OfferFeatures(before, shop.offers, shop.redemptions)


def test_coupons_of_a_later_campaign_are_found_better_than_by_chance() -> None:
    """Favourites come first for most."""
    campaign, model, features = before_the_fourth()
    scores = model.log_odds(features.of(campaign.customer_rows, campaign.offer_rows))
    redeemed = the_shop()[1].redemptions.grid(campaign).toarray()
    better = (scores[redeemed][:, None] > scores[~redeemed][None, :]).mean()
    assert better > 0.8


def test_expected_redemptions_are_about_those_seen() -> None:
    campaign, model, features = before_the_fourth()
    expected = model.probability(features.of(campaign.customer_rows, campaign.offer_rows)).sum()
    seen = the_shop()[1].redemptions.grid(campaign).nnz
    assert 0.75 * seen < expected < 1.25 * seen


def test_where_later_campaigns_were_redeemed_less_than_earlier_ones_promised_the_level_falls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the redemptions of the later two campaigns every third is left; the order stays what it is."""
    history, shop = the_shop()
    found = shop.redemptions
    of_later = np.concatenate([campaign.offer_rows for campaign in shop.offers.campaigns[2:]])
    later = np.isin(found.offer_row, of_later)
    kept = ~later | (np.arange(len(later)) % 3 == 0)
    fewer = Redemptions(found.offer_row[kept], found.customer_row[kept], found.at_s[kept])
    told = []
    for doubt in (redemption.DOUBT, 1e12):
        monkeypatch.setattr(redemption, "DOUBT", doubt)
        told.append(Redemption().fit(history.interactions(), shop.offers, fewer))
    last = shop.offers.campaigns[-1]
    asked = OfferFeatures(history.interactions(), shop.offers, fewer).of(last.customer_rows, last.offer_rows)
    corrected, plain = (model.log_odds(asked) for model in told)
    assert np.ptp(corrected - plain) < 1e-6
    assert np.log(0.25) < (corrected - plain)[0, 0] < np.log(0.6)


def test_what_comes_after_the_moment_changes_nothing() -> None:
    history, shop = the_shop()
    as_of_s = int(START.timestamp()) + CAMPAIGN_DAYS[2] * DAY_S
    before = history.interactions().before(as_of_s)
    one = Redemption().fit(before, shop.offers, shop.redemptions)
    other = Redemption().fit(before, shop.offers, shop.redemptions.before(as_of_s))
    asked = np.zeros((1, len(NAMES)), np.float32)
    assert one.n_redemptions == other.n_redemptions > 0
    assert one.log_odds(asked) == other.log_odds(asked)


def test_campaigns_to_nobody_or_before_any_purchase_teach_nothing() -> None:
    history, shop = the_shop()
    asked = np.ones((1, len(NAMES)), np.float32)
    first, *others = shop.offers.campaigns

    def learned(*campaigns: Campaign) -> tuple[int, float]:
        offers = replace(shop.offers, campaigns=campaigns)
        model = Redemption().fit(history.interactions(), offers, shop.redemptions)
        return model.n_redemptions, model.log_odds(asked)[0]

    without = learned(*others)
    assert without[0] > 0
    assert learned(replace(first, customer_rows=np.empty(0, np.int32)), *others) == without
    assert learned(replace(first, starts_s=first.starts_s - 10**8), *others)[0] == without[0]
    assert learned(shop.offers.campaigns[-1])[0] == 0  # it is yet to come: there is none to learn from


def lessons(n: int = 2000) -> _Lessons:
    """Every second redeems what is popular and their own, one in fifty what is one of these or neither."""
    rng = np.random.default_rng(3)
    features = np.zeros((n, len(NAMES)), np.float32)
    both = features[:, [OWN, POPULAR]] = rng.integers(0, 2, (n, 2))
    is_redeemed = rng.random(n) < np.where(both.all(axis=1), 0.5, 0.02)
    return _Lessons(features, is_redeemed, np.ones(n, np.float32))


def test_trees_count_as_much_as_the_regression_once_enough_was_redeemed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = np.zeros((4, len(NAMES)), np.float32)
    asked[:, [OWN, POPULAR]] = [[0, 0], [0, 1], [1, 0], [1, 1]]
    known, told = lessons(), []
    n = int(known.is_redeemed.sum())
    for half_trees in (1e-9, n, 1e12):
        monkeypatch.setattr(redemption, "HALF_TREES", half_trees)
        model = Redemption()
        model._learn(known)
        told.append(model.log_odds(asked))
    trees, mean, regression = told
    assert (np.ptp([trees, regression], axis=0) > 0.1).all()  # what each alone would say
    assert min(expit(trees)[3], expit(regression)[3]) > 0.4
    np.testing.assert_allclose(mean, (trees + regression) / 2, atol=1e-6)


def test_without_an_earlier_campaign_that_was_redeemed_the_level_is_left() -> None:
    """Nothing was learned by which the later ones could have been told."""
    later = lessons()
    earlier = _Lessons(later.features, np.zeros(len(later.is_redeemed), np.bool_), later.weight)
    assert Redemption()._correction([later, earlier], np.random.default_rng(0)) == 0
    assert Redemption()._correction([later], np.random.default_rng(0)) == 0


def test_those_who_are_drawn_by_lot_stand_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redemption, "MOST_CUSTOMERS", 2)
    monkeypatch.setattr(redemption, "MOST_PAIRS", 2)
    rng = np.random.default_rng(0)
    rows, weight = Redemption()._drawn(np.array([False, True, False, False, False, False]), rng)
    assert rows.tolist() == sorted(rows)
    assert weight[rows == 1].tolist() == [1]
    assert weight[rows != 1].tolist() == [2.5, 2.5]
    some = lessons(6)
    pairs = _Lessons(some.features, np.arange(6) == 4, np.full(6, 3, np.float32))
    found = Redemption()._joined([pairs], rng)
    assert sorted(zip(found.is_redeemed.tolist(), found.weight.tolist(), strict=True)) == [
        (False, 7.5), (False, 7.5), (True, 3),
    ]  # fmt: skip


def test_without_redemptions_own_purchases_and_popularity_order_and_no_probability_is_told() -> None:
    history, shop = the_shop()
    nothing = Redemptions(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))
    model = Redemption().fit(history.interactions(), shop.offers, nothing)
    features = np.zeros((3, len(NAMES)), np.float32)
    features[1, NAMES.index("popularity")] = 1
    features[2, NAMES.index("own")] = 1
    assert model.n_redemptions == 0
    assert model.log_odds(features).tolist() == pytest.approx([0.0, 0.3, 0.4])
    assert np.isnan(model.probability(features)).all()


@given(place=st.integers(0, len(NAMES) - 1), more=st.floats(0, 20), seed=st.integers(0, 1000))
def test_more_of_what_speaks_for_an_offer_never_lowers_its_odds(place: int, more: float, seed: int) -> None:
    model = fitted()
    pair = np.random.default_rng(seed).normal(0, 3, (1, len(NAMES))).astype(np.float32)
    raised = pair.copy()
    raised[0, place] += np.float32(more)
    if RISING[place]:
        assert model.log_odds(raised)[0] >= model.log_odds(pair)[0] - 1e-6


def test_drawing_lots_keeps_every_redemption_and_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those who redeemed nothing ten are looked at, of pairs 300: the expected number hardly moves."""
    history, shop = the_shop()
    every = fitted()
    monkeypatch.setattr(redemption, "MOST_CUSTOMERS", 10)
    monkeypatch.setattr(redemption, "MOST_PAIRS", 300)
    model = Redemption().fit(history.interactions(), shop.offers, shop.redemptions)
    assert model.n_redemptions == every.n_redemptions
    features = OfferFeatures(history.interactions(), shop.offers, shop.redemptions)
    last = shop.offers.campaigns[-1]
    asked = features.of(last.customer_rows, last.offer_rows)
    assert model.probability(asked).sum() == pytest.approx(every.probability(asked).sum(), rel=0.3)


def test_a_coefficient_that_may_not_fall_stays_at_nothing() -> None:
    """The outcome falls with the first feature and rises with the second."""
    features = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10, float)
    happened = np.array([False, True, False, False] * 10)
    told = {"weight": np.ones(40, np.float32), "prior": np.zeros(2), "ridge": 0.1}
    _, bound = nonnegative_logistic(features, happened, rising=np.array([True, True]), **told)  # type: ignore[arg-type]
    _, free = nonnegative_logistic(features, happened, rising=np.array([False, False]), **told)  # type: ignore[arg-type]
    assert bound[0] == 0 < bound[1]
    assert free[0] < -1


def test_a_strong_ridge_gives_the_prior() -> None:
    features = np.array([[0.0], [1.0]] * 10)
    happened = np.array([True, False] * 10)
    _, found = nonnegative_logistic(
        features, happened, np.ones(20, np.float32), prior=np.array([0.7]), rising=np.array([True]), ridge=1e9
    )
    assert found[0] == pytest.approx(0.7, abs=1e-4)
