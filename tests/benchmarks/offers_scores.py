"""How good scores of coupons are: AUC over all pairs, NDCG@10 in each household's campaign, intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from models.validation.metrics import ndcg
from training.evaluation.bootstrap import Interval, resample

RESAMPLES = 1000
REFERENCE = "own"


@dataclass(frozen=True, eq=False)
class Asked:
    """One campaign: all arrays have a line for each household and a column for each coupon."""

    campaign: str
    customer_rows: IntArray
    is_redeemed: BoolArray
    scores: dict[str, NDArray[np.floating]]
    probability: FloatArray


@dataclass(frozen=True)
class Row:
    """One way of scoring, and what it gains over REFERENCE, paired by household."""

    name: str
    auc: Interval
    ndcg: Interval
    auc_gain: Interval
    ndcg_gain: Interval


@dataclass(frozen=True)
class Summary:
    """All of the table and what stands around it.

    Attributes:
        expected: redemptions by the sum of probabilities.
        bands: highest probability, mean probability, observed share and pairs of each band, rising.
    """

    campaigns: Sequence[str]
    pairs: int
    households: int
    with_redemption: int
    redemptions: int
    expected: float
    bands: Sequence[tuple[float, float, float, int]]
    rows: Sequence[Row]


def summary(asked: Sequence[Asked]) -> Summary:
    names = list(asked[0].scores)
    redeemed = np.concatenate([one.is_redeemed.ravel() for one in asked])
    owner = np.concatenate([np.repeat(one.customer_rows, one.is_redeemed.shape[1]) for one in asked])
    probability = np.concatenate([one.probability.ravel() for one in asked]).astype(np.float64)
    lists = np.concatenate([ndcg_of_each(one, names) for one in asked])
    who = np.concatenate([one.customer_rows[one.is_redeemed.any(axis=1)] for one in asked])
    one_fold = np.zeros(len(who), np.int32)
    by_list = resample(lists, who.astype(np.int32), one_fold, resamples=RESAMPLES)
    aucs = np.stack(
        [
            auc_draws(np.concatenate([one.scores[name].ravel() for one in asked]), redeemed, owner)
            for name in names
        ],
        axis=1,
    )
    reference = names.index(REFERENCE)
    rows = [
        Row(
            name,
            _interval(aucs[:, place]),
            by_list.interval(place),
            _interval(aucs[:, place] - aucs[:, reference]),
            by_list.difference(place, reference),
        )
        for place, name in enumerate(names)
    ]
    return Summary(
        campaigns=[one.campaign for one in asked],
        pairs=len(redeemed),
        households=sum(len(one.customer_rows) for one in asked),
        with_redemption=len(who),
        redemptions=int(redeemed.sum()),
        expected=float(probability.sum()),
        bands=bands(probability, redeemed),
        rows=rows,
    )


def ndcg_of_each(asked: Asked, names: Sequence[str]) -> DoubleArray:
    """NDCG@10 of each household with a redemption; a line each, a column for each name. Ties by place."""
    some = asked.is_redeemed.any(axis=1)
    truth = asked.is_redeemed[some]
    found = []
    for name in names:
        order = np.argsort(-asked.scores[name][some], axis=1, kind="stable")[:, :10]
        hits = np.take_along_axis(truth, order, axis=1)
        short = 10 - hits.shape[1]
        hits = np.pad(hits, ((0, 0), (0, max(0, short))))
        found.append(ndcg(hits, truth.sum(axis=1), 10))
    return np.stack(found, axis=1)


def auc_draws(scores: NDArray[np.floating], redeemed: BoolArray, owner: IntArray) -> DoubleArray:
    """AUC over all pairs, first of the sample itself, then of households drawn with replacement."""
    order = np.argsort(scores, kind="stable")
    score, hit = scores[order], redeemed[order]
    households, who = np.unique(owner[order], return_inverse=True)
    starts = np.flatnonzero(np.concatenate([[True], score[1:] != score[:-1]]))
    rng = np.random.default_rng(0)
    draws = np.empty(RESAMPLES + 1)
    for number in range(len(draws)):
        n = len(households)
        counts = np.bincount(rng.integers(0, n, n), minlength=n) if number else np.ones(n, np.int64)
        weight = counts[who].astype(np.float64)
        good = np.add.reduceat(np.where(hit, weight, 0), starts)
        bad = np.add.reduceat(np.where(hit, 0, weight), starts)
        below = np.cumsum(bad) - bad
        draws[number] = (good * (below + bad / 2)).sum() / max(good.sum() * bad.sum(), 1e-12)
    return draws


def bands(probability: DoubleArray, redeemed: BoolArray, n: int = 5) -> list[tuple[float, float, float, int]]:
    """Pairs by probability, cut where the expected redemptions are shared out evenly."""
    order = np.argsort(probability, kind="stable")
    expected = np.cumsum(probability[order])
    cuts = np.searchsorted(expected, np.linspace(0, expected[-1], n + 1)[1:-1])
    return [
        (
            float(probability[part].max()),
            float(probability[part].mean()),
            float(redeemed[part].mean()),
            len(part),
        )
        for part in np.split(order, cuts)
        if len(part)
    ]


def _interval(draws: DoubleArray) -> Interval:
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return Interval(float(draws[0]), float(low), float(high))
