"""When each customer buys each of their products again: the day it is due, and how likely it is by then."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from scipy.special import expit, logit

from models.arrays import AnyArray, AnyIntArray, BoolArray, DoubleArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.errors import BadOptionError
from models.history.interactions import Interactions
from models.history.pair_keys import are_in, pair_keys
from models.history.timeline import Timeline
from models.numerics.columns import own_alone
from models.numerics.shrinkage import shrunk_rates
from models.validation.folds import FoldOptions, InnerFold, inner_folds

DUE_KNOTS = np.array([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0])  # log2 of days since / to expect, times sureness
VISIT_KNOTS = np.array([-2.0, 0.0, 1.0, 2.0, 4.0])  # log2 of days since the last order / days between two
KEEP = 0.9  # an order counts so much of the one after it; M2 (Peng et al. 2022) found the same
RIDGE = 3.0  # how strongly coefficients are drawn to PRIOR; thousands of pairs outweigh it
N_COEFFICIENTS = 6 + len(DUE_KNOTS) - 1 + len(VISIT_KNOTS) - 1
PRIOR = np.array([0.0, 1.0, *[0.0] * (N_COEFFICIENTS - 2)])  # what the rate alone lets expect
BLOCK_PAIRS = 100_000


@dataclass(frozen=True)
class DueOptions(FoldOptions):
    """Options of `due`, beside those of FoldOptions.

    Attributes:
        coefficients: of the probability, in the order of `_Evidence.of`; None: learned on earlier folds.
        max_pairs: at most about this many own products are learned from in each fold, of customers by lot.
    """

    coefficients: tuple[float, ...] | None = None
    max_pairs: int = 100_000

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.coefficients
        if given is not None and len(given) != N_COEFFICIENTS:
            why = (
                f"{len(given)} numbers where there must be {N_COEFFICIENTS}; leave it out to have it learned"
            )
            raise BadOptionError("coefficients", why)


class Due(Model[DueOptions]):
    """The probability that a customer buys an own product within the horizon, and the interval to expect.

    The interval is the mean of the customer's own ones in logarithms, drawn to the product's, that to its
    category's and that to the shop's. The probability is a logistic regression, whose coefficients are
    learned on earlier folds over all known customers, those who stayed away included. Its first term is a
    Poisson-gamma rate, drawn up the same levels; the others correct it by how overdue the product is, by how
    often and lately the customer comes, and by the product's trend. Without folds the rate alone speaks.

    Source: Poisson-gamma after Bhagat et al. 2018; the rest is a discrete-time hazard (Allison 1982).
    """

    name: ClassVar[str] = "due"
    revision: ClassVar[int] = 2
    options_type: ClassVar[type] = DueOptions
    learnt: ClassVar[tuple[str, ...]] = (
        "indptr_",
        "product_",
        "probability_",
        "expected_days_",
        "last_age_days_",
    )

    indptr_: LongArray  # shape (n_customers + 1,): where each customer's pairs begin
    product_: IntArray  # shape (n_pairs,), own products, customer by customer, rising
    probability_: FloatArray  # shape (n_pairs,), in (0, 1)
    expected_days_: FloatArray  # shape (n_pairs,), days between two purchases; NaN if nobody ever came again
    last_age_days_: FloatArray  # shape (n_pairs,), days since the last purchase

    def fit(self, interactions: Interactions) -> Self:
        options = self.options
        if options.coefficients is None:
            folds = inner_folds(interactions, options)
            options = replace(options, coefficients=_learned_coefficients(folds, options))
        pairs = Timeline.of(interactions)
        evidence = _Evidence(pairs, options.horizon_days)
        self.options_ = options
        self.indptr_, self.product_ = pairs.indptr, pairs.product_row
        self.probability_ = evidence.probability(np.array(options.coefficients))
        self.expected_days_ = evidence.expected_days.astype(np.float32)
        self.last_age_days_ = pairs.waits.last_age_days.astype(np.float32)
        self.n_products_ = interactions.n_products
        return self

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; the probability of a purchase within the horizon, NaN for what was never bought."""
        self.check_fitted()
        return own_alone(self.indptr_, self.product_, self.probability_, self.n_products_, rows, products)

    def places(self, customer_row: IntArray, product_row: IntArray) -> LongArray:
        """Where these own products stand in the arrays of pairs; shape (n,), int64."""
        if not len(customer_row):
            return np.empty(0, np.int64)
        first, last = int(customer_row.min()), int(customer_row.max())  # asked for a few customers of many
        bounds = self.indptr_[first : last + 2]
        owner = np.repeat(np.arange(first, last + 1, dtype=np.int64), np.diff(bounds))
        keys = pair_keys(owner, self.product_[bounds[0] : bounds[-1]], self.n_products_)
        wanted = pair_keys(customer_row, product_row, self.n_products_)
        return np.asarray(bounds[0] + np.searchsorted(keys, wanted), np.int64)


class _Evidence:
    """What the probability rests on, worked out for all pairs of a history; rows of it as they are needed."""

    def __init__(self, pairs: Timeline, horizon_days: float) -> None:
        waits, visits = pairs.waits, pairs.visits
        self.pairs, self.horizon_days = pairs, horizon_days
        self.expected_days, self.sureness = waits.expected(pairs.parents())
        n_repeats = (waits.times - 1).astype(np.float64)
        self.rate = shrunk_rates(n_repeats, waits.first_age_days, pairs.parents())
        self.fading = pairs.fading(KEEP)
        self.trend = _trend(pairs.interactions, 2 * horizon_days)
        self.visit_days = np.nan_to_num(visits.mean_days(), nan=pairs.interactions.span_days)
        self.away = _overdue(visits.last_age_days, self.visit_days)

    def of(self, places: LongArray) -> AnyArray:
        """Of these pairs; shape (n, N_COEFFICIENTS), float64."""
        customer, product = self.pairs.customer_row[places], self.pairs.product_row[places]
        waits = self.pairs.waits
        overdue = _overdue(waits.last_age_days[places], self.expected_days[places])
        return np.column_stack(
            [
                np.ones(len(places)),
                logit(np.clip(-np.expm1(-self.horizon_days * self.rate[places]), 1e-9, 1 - 1e-9)),
                np.log(waits.times[places]),
                np.log(np.maximum(self.fading[places], 1e-4)),
                np.log((self.visit_days[customer] + 0.5) / self.horizon_days),
                self.trend[product],
                *_ramps(overdue * self.sureness[places], DUE_KNOTS),
                *_ramps(self.away[customer], VISIT_KNOTS),
            ]
        )

    def probability(self, coefficients: DoubleArray) -> FloatArray:
        """Of each pair, in blocks: the evidence of all takes many times the room of the history."""
        probability = np.empty(len(self.pairs), np.float32)
        for start in range(0, len(probability), BLOCK_PAIRS):
            places = np.arange(start, min(start + BLOCK_PAIRS, len(probability)))
            probability[places] = np.clip(expit(self.of(places) @ coefficients), 1e-7, 1 - 1e-6)
        return probability


def _overdue(last_age_days: DoubleArray, expected_days: DoubleArray) -> DoubleArray:
    """log2 of days since the last one against days to expect; 0 is on time, and where nothing is known."""
    return np.nan_to_num(np.log2((last_age_days + 0.5) / (expected_days + 0.5)), nan=0.0)


def _ramps(values: DoubleArray, knots: DoubleArray) -> list[DoubleArray]:
    """A basis of the functions that are linear between knots, level outside, and 0 at the first."""
    return [np.interp(values, knots, hat) for hat in np.eye(len(knots))[1:]]


def _trend(interactions: Interactions, days: float) -> DoubleArray:
    """log of each product's purchases in the last `days` against its share of all; shape (n_products,)."""
    products = interactions.product_row
    n_ever = np.bincount(products, minlength=interactions.n_products)
    recent = np.bincount(products[interactions.age_days <= days], minlength=interactions.n_products)
    expected = n_ever * (recent.sum() / max(len(interactions), 1))
    return np.log((recent + 1.0) / (expected + 1.0))


def _learned_coefficients(folds: Iterable[InnerFold], options: DueOptions) -> tuple[float, ...]:
    """The logistic regression over own products of the folds' customers, also those who did not come."""
    seen = [_seen(fold, options) for fold in folds]
    if not seen:
        return tuple(PRIOR.tolist())
    evidence = np.concatenate([fold[0] for fold in seen])
    is_bought = np.concatenate([fold[1] for fold in seen])
    return tuple(_regressed(evidence, is_bought).tolist())


def _seen(fold: InnerFold, options: DueOptions) -> tuple[AnyArray, BoolArray]:
    """Evidence and outcome of the own products of customers drawn by lot."""
    pairs = Timeline.of(fold.history)
    n_own = np.diff(pairs.indptr)
    customers = np.random.default_rng(options.seed).permutation(np.flatnonzero(n_own))
    n_drawn = max(1, int(np.searchsorted(np.cumsum(n_own[customers]), options.max_pairs, side="right")))
    drawn = np.flatnonzero(np.isin(pairs.customer_row, customers[:n_drawn]))
    is_bought = are_in(fold.truth, pairs.customer_row[drawn], pairs.product_row[drawn])
    return _Evidence(pairs, options.horizon_days).of(drawn), is_bought


def _regressed(evidence: AnyArray, is_bought: BoolArray) -> DoubleArray:
    """Logistic regression drawn to PRIOR: Newton's steps, each halved until it gains."""
    coefficients, loss = PRIOR, _loss(evidence, is_bought, PRIOR)
    for _ in range(30):
        expected = expit(evidence @ coefficients)
        slope = evidence.T @ (expected - is_bought) + RIDGE * (coefficients - PRIOR)
        curve = (evidence * (expected * (1 - expected))[:, None]).T @ evidence
        step = np.linalg.solve(curve + RIDGE * np.eye(len(PRIOR)), slope)
        for _ in range(20):
            new_loss = _loss(evidence, is_bought, coefficients - step)
            if new_loss <= loss:
                break
            step = step / 2
        if loss - new_loss < 1e-8 * loss:
            break
        coefficients, loss = coefficients - step, new_loss
    return coefficients


def _loss(evidence: AnyArray, is_bought: BoolArray, coefficients: DoubleArray) -> float:
    scores = evidence @ coefficients
    likely = np.logaddexp(0, scores).sum() - scores[is_bought].sum()
    return float(likely + RIDGE / 2 * ((coefficients - PRIOR) ** 2).sum())
