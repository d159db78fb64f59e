"""What a place filled by lot says of models that were not served: the clicks that theirs would have got.

An answer is the product that was drawn for one place, with the others in their order around it; so its whole
reward belongs to the draw. A model's choice for the place is what its own list has first of those that could
be drawn, as the service noted; where its list has none, what would have stood there. It screens, and decides
nothing: intervals are as if this were the only look, and corrected for nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import chisquare

from experiments.errors import TooFarError
from experiments.logs.cohort import Cohort
from experiments.statistics.interleaved import clicked_places
from experiments.statistics.off_policy import Value, doubly_robust, doubly_robust_gain, snips
from models.arrays import DAY_MS, DoubleArray, LongArray

OWN = ""  # the arm's own list
UNTOLD = -1
MORE, FEWER, SAME, REFUSED = "more clicks", "fewer clicks", "no difference shown", "refused"
UNFAIR_P, LEAST_EXPECTED = 0.001, 5
NOT_BY_LOT = "what was drawn isn't spread as a lot spreads it (p < .001): are logs missing?"
NO_LISTS = "its choice is known of no answer: do the nights publish its lists (`routed`)?"


class Lot(NamedTuple):
    """A place that was filled by lot, as an exposure has it.

    Attributes:
        pool: what could be drawn, in the order of the arm's own list.
        scores: of these, 0 where none is known.
        drawn: place in the pool.
        beside: sum of the scores of what else was shown, whatever was drawn.
        rivals: each one's choice, a place in the pool.
    """

    pool: tuple[str, ...]
    scores: tuple[float, ...]
    drawn: int
    propensity: float
    beside: float
    rivals: dict[str, int]


@dataclass(frozen=True)
class Choice:
    """What the place would earn if a model chose for it.

    Attributes:
        chooser: the model, "" for the arm's own list.
        answers: in which its choice is known.
        same: share of them in which that is the own list's first.
        effective_n: how many customers of this chooser's own they are worth.
        snips, robust: clicks for an answer, two estimates of the same; None where they are refused.
        gain: of `robust` against the own list's first; None of that itself.
        word: `MORE`, `FEWER`, `SAME` or `REFUSED`; "" of the own list.
        why: of a refusal.
    """

    chooser: str
    answers: int
    same: float
    effective_n: float
    snips: Value | None = None
    robust: Value | None = None
    gain: Value | None = None
    word: str = ""
    why: str = ""


@dataclass(frozen=True, eq=False)
class Answers:
    """n answers with a place that was filled by lot, from at most m products.

    Attributes:
        clicks, propensities, beside: shape (n,).
        customers: shape (n,), a number for each customer.
        drawn: shape (n,), place in the pool.
        scores: shape (n, m), 0 where there is none.
        choices: by chooser, shape (n,): place in the pool, UNTOLD where it isn't known.
    """

    clicks: DoubleArray
    propensities: DoubleArray
    beside: DoubleArray
    customers: LongArray
    drawn: LongArray
    scores: DoubleArray
    choices: dict[str, LongArray]


def choices_of(
    cohort: Cohort, outcomes: pl.DataFrame, arm: int, rivals: Sequence[str], now_ms: int
) -> tuple[Choice, ...]:
    """The value of the arm's own list at the place, then of each rival there.

    Args:
        outcomes: by `frames.OUTCOMES`, until `now_ms`; clicks count by request and position, each place once.
        now_ms: answers of the day before it are left out: clicks may still come.
    """
    found = _answers(cohort, outcomes, arm, rivals, now_ms)
    if found is None:
        return ()
    if fairness_p(found) < UNFAIR_P:
        return tuple(_refused(found, chooser, 0.0, NOT_BY_LOT) for chooser in (OWN, *rivals))
    guesses = guessed(found)
    return tuple(_choice(found, guesses, chooser) for chooser in (OWN, *rivals))


def lot_of(items: str) -> Lot | None:
    """The place that was filled by lot, None where none was, or the text isn't the service's."""
    try:
        shown = json.loads(items)
        item = next(item for item in shown if len(item) > 4)
        pool, rivals = item[4]["pool"], item[4]["rivals"]
        places = {product: at for at, product in enumerate(pool)}
        beside = sum(one[1] or 0.0 for one in shown if one[0] not in pool)
        if not 0 < (propensity := float(item[2])) <= 1:
            return None
        return Lot(
            tuple(pool),
            tuple(score or 0.0 for score in pool.values()),
            places[item[0]],
            propensity,
            beside,
            {name: 0 if product is None else places[product] for name, product in rivals.items()},
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration):
        return None


def slate_of(items: str, lot: Lot, place: int) -> list[str]:
    """What would have been shown if another place of the pool had been drawn."""
    order = iter([lot.pool[place], *(one for at, one in enumerate(lot.pool) if at != place)])
    return [next(order) if item[0] in lot.pool else item[0] for item in json.loads(items)]


def fairness_p(answers: Answers) -> float:
    """Of the chi-square of what was drawn first for each customer, among the pools of the usual size; 1 where
    there are too few. A lot that isn't one, or logs that lack some outcomes of it, would make values up."""
    first = np.unique(answers.customers, return_index=True)[1]
    sizes = np.rint(1 / answers.propensities[first]).astype(np.int64)
    usual = int(np.bincount(sizes).argmax())
    drawn = answers.drawn[first][sizes == usual]
    if usual < 2 or len(drawn) < LEAST_EXPECTED * usual:
        return 1.0
    return float(chisquare(np.bincount(drawn, minlength=usual)).pvalue)


def guessed(answers: Answers) -> DoubleArray:
    """Clicks that are expected of each answer with each place of its pool, shape (n, m).

    A line through the score, the place in the pool and what is shown beside, fitted on the half of the
    customers that an answer's isn't in, so that nothing is explained by itself.
    """
    n, m = answers.scores.shape
    place = np.broadcast_to(1 / (1 + np.arange(m)), (n, m))
    beside = np.broadcast_to(answers.beside[:, None], (n, m))
    known = np.stack([np.ones((n, m)), answers.scores, place, beside], axis=2)
    as_drawn = known[np.arange(n), answers.drawn]
    found = np.zeros((n, m))
    for half in (0, 1):
        mine = answers.customers % 2 == half
        if mine.all() or not mine.any():
            continue
        line = np.linalg.lstsq(as_drawn[~mine], answers.clicks[~mine])[0]
        found[mine] = known[mine] @ line
    return found


def _choice(answers: Answers, guesses: DoubleArray, chooser: str) -> Choice:
    is_told = answers.choices[chooser] != UNTOLD
    if not is_told.any():
        return _refused(answers, chooser, 0.0, NO_LISTS)
    rows, drawn = np.flatnonzero(is_told), answers.drawn[is_told]
    mine, own = (answers.choices[name][is_told] for name in (chooser, OWN))
    targets, base = ((choice == drawn).astype(np.float64) for choice in (mine, own))
    rewards, propensities = answers.clicks[is_told], answers.propensities[is_told]
    customers, guess = answers.customers[is_told], guesses[rows, drawn]
    same = float((mine == own).mean())
    try:
        value = snips(rewards, propensities, targets, customers)
        robust = doubly_robust(
            *(rewards, propensities, targets, customers), guessed=guess, guessed_target=guesses[rows, mine]
        )
        found = Choice(chooser, len(mine), same, value.effective_n, value, robust)
        if chooser == OWN:
            return found
        gain = doubly_robust_gain(
            *(rewards, propensities, targets, base, customers),
            guessed=guess,
            guessed_target=guesses[rows, mine],
            guessed_base=guesses[rows, own],
        )
    except TooFarError as err:
        return _refused(answers, chooser, err.effective_n, str(err))
    word = MORE if gain.low > 0 else FEWER if gain.high < 0 else SAME
    return Choice(chooser, len(mine), same, value.effective_n, value, robust, gain, word)


def _refused(answers: Answers, chooser: str, effective_n: float, why: str) -> Choice:
    choices = answers.choices[chooser]
    is_told = choices != UNTOLD
    same = float((choices == 0)[is_told].mean()) if is_told.any() else 0.0
    return Choice(chooser, int(is_told.sum()), same, effective_n, word=REFUSED, why=why)


def _answers(
    cohort: Cohort, outcomes: pl.DataFrame, arm: int, rivals: Sequence[str], now_ms: int
) -> Answers | None:
    """None where no place was filled by lot."""
    shown = (
        cohort.exposures.filter(
            (pl.col("arm") == arm) & (pl.col("at_ms") <= now_ms - DAY_MS) & ~pl.col("is_fallback")
        )
        .join(cohort.customers, on="customer_id", how="semi")
        .unique(["request_id", "customer_id"], keep="first", maintain_order=True)
    )
    clicks = clicked_places(outcomes).group_by("request_id", "customer_id").agg(clicks=pl.len())
    shown = shown.join(clicks, on=["request_id", "customer_id"], how="left", maintain_order="left")
    lots = [lot_of(items) for items in shown["items"].fill_null("")]
    kept = [lot for lot in lots if lot is not None]
    if not kept:
        return None
    shown = shown.filter(pl.Series([lot is not None for lot in lots]))
    scores = np.zeros((len(kept), max(len(lot.pool) for lot in kept)))
    for row, lot in enumerate(kept):
        scores[row, : len(lot.pool)] = lot.scores
    choices = {name: np.array([lot.rivals.get(name, UNTOLD) for lot in kept]) for name in rivals}
    return Answers(
        clicks=shown["clicks"].fill_null(0).cast(pl.Float64).to_numpy(),
        propensities=np.array([lot.propensity for lot in kept]),
        beside=np.array([lot.beside for lot in kept]),
        customers=shown["customer_id"].rank("dense").cast(pl.Int64).to_numpy(),
        drawn=np.array([lot.drawn for lot in kept]),
        scores=scores,
        choices={OWN: np.zeros(len(kept), np.int64), **choices},
    )
