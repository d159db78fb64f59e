"""The probability that a customer redeems an offer, learned from the shop's earlier campaigns."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from scipy.special import expit

from models.arrays import DAY_S, BoolArray, DoubleArray, FloatArray, IntArray
from models.history.interactions import Interactions
from models.numerics.boosting import Binned, TreeOptions, Trees
from models.numerics.nonnegative import nonnegative_logistic
from models.offers.campaigns import Campaign, Offers, Redemptions
from models.offers.features import NAMES, RISING, OfferFeatures

# What is thought before any redemption was seen: own purchases of the offer's products, and their popularity.
PRIOR = np.array([{"own": 0.4, "popularity": 0.3}.get(name, 0.0) for name in NAMES])
TREES = TreeOptions(n_trees=40, leaves=8, min_pairs=200, ridge=10.0)
KNOWN_AFTER_DAYS = 28.0  # a campaign is learned from once it is over or has been on for this long
MOST_CAMPAIGNS = 40  # that are learned from, the latest
MOST_CUSTOMERS = 2000  # that are looked at of those who redeemed nothing in a campaign, by lot
MOST_PAIRS = 250_000  # that are learned from of those that were not redeemed, by lot
RIDGE = 10.0  # how strongly coefficients are drawn to PRIOR; hundreds of redemptions outweigh it
HALF_TREES = 1000.0  # redemptions learned from, with which trees count as much as the regression
DOUBT = 20.0  # redemptions that speak for the level of probabilities being right as it is
SEED = 0  # of the lots


class _Lessons(NamedTuple):
    """Pairs of past campaigns, each as it stood when its campaign began."""

    features: FloatArray
    is_redeemed: BoolArray
    weight: FloatArray


class Redemption:
    """A logistic regression and boosted trees, in which what speaks for an offer may never lower its odds.

    Campaigns are few and unlike each other: what was learned freely from some did not hold in the next. The
    log odds are a mean of both, in which trees count the more the more redemptions were learned from: they
    see what counts only together, and few redemptions don't tell it.

    Attributes:
        n_redemptions: that were learned from; with none, only the order of scores means something.
    """

    n_redemptions: int
    _trees: Trees | None = None
    _level: float = 0.0  # what the log odds of all pairs are raised by

    def fit(self, history: Interactions, offers: Offers, redemptions: Redemptions) -> Self:
        """Learn from the campaigns that the history's `as_of_s` looks back on."""
        rng = np.random.default_rng(SEED)
        parts = list(self._campaigns(history, offers, redemptions.before(history.as_of_s), rng))
        lessons = self._joined(parts, rng)
        self.n_redemptions = int(lessons.is_redeemed.sum())
        self._mean, self._spread = np.zeros(len(NAMES)), np.ones(len(NAMES))
        self._intercept, self._coefficients = 0.0, PRIOR
        self._trees, self._level = None, 0.0
        if self.n_redemptions:
            self._learn(lessons)
            self._level = self._correction(parts, rng)
        return self

    def log_odds(self, features: FloatArray) -> DoubleArray:
        """Of pairs, shape of `features` without its last axis; higher is likelier."""
        slopes = self._coefficients / self._spread
        odds = self._intercept - float(self._mean @ slopes) + np.asarray(features @ slopes)
        if self._trees:
            sums = self._trees.sums(features.reshape(-1, len(NAMES))).reshape(odds.shape)
            odds += self._part_of_trees * (sums - odds)
        return self._level + odds

    def probability(self, features: FloatArray) -> FloatArray:
        """Of redeeming while the campaign is on; NaN where no redemption was ever seen."""
        if not self.n_redemptions:
            return np.full(features.shape[:-1], np.nan, np.float32)
        return np.asarray(np.clip(expit(self.log_odds(features)), 1e-7, 1 - 1e-6), np.float32)

    def _learn(self, lessons: _Lessons) -> None:
        weight = lessons.weight
        self._mean = np.average(lessons.features, axis=0, weights=weight).astype(np.float64)
        squares = np.average((lessons.features - self._mean) ** 2, axis=0, weights=weight)
        self._spread = np.maximum(np.sqrt(squares), 1e-3)
        self._intercept, self._coefficients = nonnegative_logistic(
            (lessons.features - self._mean) / self._spread,
            lessons.is_redeemed,
            weight,
            prior=PRIOR * self._spread,
            rising=RISING,
            ridge=RIDGE,
        )
        n = int(lessons.is_redeemed.sum())
        self._part_of_trees = n / (n + HALF_TREES)
        pairs, every = Binned([lessons.features], lessons.is_redeemed), np.arange(len(weight))
        share = np.ones(len(weight), np.float32)
        self._trees = Trees.for_chance(pairs, every, weight, share, TREES, SEED, rising=RISING)

    def _correction(self, parts: list[_Lessons], rng: np.random.Generator) -> float:
        """What the log odds of later campaigns were too low by, where earlier ones were learned from.

        Habits grow with the history, and what comes next is no such campaign: learned from the first half of
        the campaigns, more was expected in the second half than was seen.
        """
        n_later = len(parts) // 2
        earlier, later = self._joined(parts[n_later:], rng), self._joined(parts[:n_later], rng)
        if not n_later or not earlier.is_redeemed.any():
            return 0.0
        trial = Redemption()
        trial._learn(earlier)
        expected = float(later.weight @ expit(trial.log_odds(later.features)))
        seen = float(later.weight @ later.is_redeemed)
        return float(np.log((seen + DOUBT) / (expected + DOUBT)))

    def _joined(self, parts: list[_Lessons], rng: np.random.Generator) -> _Lessons:
        """Pairs of some campaigns, those that were not redeemed by lot if they are too many."""
        if not parts:
            return _Lessons(
                np.empty((0, len(NAMES)), np.float32), np.empty(0, np.bool_), np.empty(0, np.float32)
            )
        lessons = _Lessons(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        others = np.flatnonzero(~lessons.is_redeemed)
        if len(others) <= MOST_PAIRS:
            return lessons
        drawn = rng.choice(others, MOST_PAIRS, replace=False)
        kept = np.sort(np.concatenate([np.flatnonzero(lessons.is_redeemed), drawn]))
        scale = np.float32(len(others) / len(drawn))
        weight = np.where(lessons.is_redeemed, np.float32(1), scale) * lessons.weight
        return _Lessons(lessons.features[kept], lessons.is_redeemed[kept], weight[kept])

    def _campaigns(
        self, history: Interactions, offers: Offers, redemptions: Redemptions, rng: np.random.Generator
    ) -> Iterator[_Lessons]:
        """The pairs of each campaign that can be learned from, the latest first."""
        known = [campaign for campaign in offers.campaigns if self._is_known(campaign, history.as_of_s)]
        for campaign in known[::-1][:MOST_CAMPAIGNS]:
            before = history.before(campaign.starts_s)
            if not len(before) or not len(campaign.customer_rows):
                continue
            redeemed = redemptions.grid(campaign)
            rows, weight = self._drawn(np.diff(redeemed.indptr) > 0, rng)
            features = OfferFeatures(before, offers, redemptions)
            found = features.of(campaign.customer_rows[rows], campaign.offer_rows)
            yield _Lessons(
                found.reshape(-1, len(NAMES)),
                redeemed[rows].toarray().ravel(),
                np.repeat(weight, len(campaign.offer_rows)),
            )

    def _is_known(self, campaign: Campaign, as_of_s: int) -> bool:
        days = min(campaign.days, KNOWN_AFTER_DAYS)
        return campaign.starts_s + days * DAY_S <= as_of_s

    def _drawn(self, did_redeem: BoolArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Who is looked at, rising, and for how many each stands."""
        others = np.flatnonzero(~did_redeem)
        weight = np.ones(len(did_redeem), np.float32)
        if len(others) > MOST_CUSTOMERS:
            weight[others] = len(others) / MOST_CUSTOMERS
            others = rng.choice(others, MOST_CUSTOMERS, replace=False)
        rows = np.sort(np.concatenate([np.flatnonzero(did_redeem), others])).astype(np.int32)
        return rows, weight[rows]
