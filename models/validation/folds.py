"""Earlier folds inside the history at hand: where a model learns its constants without seeing the future."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, AnyIntArray, BoolArray, DoubleArray, FloatArray, IntArray
from models.bounds import HORIZON_DAYS, within
from models.history.interactions import Interactions
from models.history.pair_keys import are_among, cell_keys, pair_keys
from models.numerics.lot import some_of
from models.numerics.top_k import top_k
from models.validation.metrics import ndcg

MIN_CUSTOMERS = 20
TOP = 10  # products that are judged
BLOCK_ROWS = 200  # customers whose scores are held at a time


@dataclass(frozen=True, eq=False)
class InnerFold:
    """What was known at an earlier moment, and what was bought in the horizon after it.

    Attributes:
        history: interactions before the moment.
        truth: customers x products bought in the horizon, each once.
        rows: the customers to judge by: with purchases on both sides, at most `max_customers`.
    """

    history: Interactions
    truth: sparse.csr_array
    rows: IntArray


@dataclass(frozen=True, kw_only=True)
class FoldOptions:
    """How a model learns its constants; the options of every model that learns some have these.

    Attributes:
        horizon_days: length of each fold, that is of what is predicted.
        n_folds: how many earlier folds to learn on at most.
        enough_customers: with this many customers judged in all folds together no more are needed: a small
            shop takes more weeks than a large one to tell a good constant from a lucky one.
        max_customers: at most this many customers are judged in each fold.
        seed: of the sample of customers, and of whatever else the model draws.
    """

    horizon_days: float = 7.0
    n_folds: int = 8
    enough_customers: int = 3000
    max_customers: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        within("horizon_days", self.horizon_days, *HORIZON_DAYS)


def inner_folds(interactions: Interactions, options: FoldOptions) -> Iterator[InnerFold]:
    """The last horizons of a history, latest first, without those that have too little on either side.

    One after another, since each has a history of its own.

    A shop that is closed, or hardly asked for, half of the year learns from when it was open.
    """
    n_folds, n_judged, step = 0, 0, int(options.horizon_days * DAY_S)
    for number in range(1, int(interactions.span_days / options.horizon_days) + 1):
        if n_folds >= options.n_folds or n_judged >= options.enough_customers:
            break
        start = interactions.as_of_s - number * step
        bought = interactions.between(start, start + step)
        if len(np.unique(bought.customer_row)) < MIN_CUSTOMERS:
            continue
        history, truth = interactions.before(start), bought.matrix()
        truth.data[:] = 1
        known = np.bincount(history.customer_row, minlength=interactions.n_customers) > 0
        rows = np.flatnonzero(known & (np.diff(truth.indptr) > 0)).astype(np.int32)
        if len(rows) < MIN_CUSTOMERS or history.span_days < options.horizon_days:
            continue
        rows = some_of(rows, options.max_customers, options.seed)
        n_folds, n_judged = n_folds + 1, n_judged + len(rows)
        yield InnerFold(history, truth, rows)


@dataclass(frozen=True, eq=False)
class Judged:
    """Candidates of some customers beside the truth, so that ways of scoring them can be compared fast.

    Attributes:
        customer: shape (n,), int64, non-decreasing: the candidate's customer, by position among those judged.
        is_bought: shape (n,), bool.
        n_truth: shape (n_customers,), how many products they bought, candidates or not.
    """

    customer: AnyIntArray
    is_bought: BoolArray
    n_truth: AnyIntArray

    def ndcg(self, scores: FloatArray) -> float:
        """Mean NDCG@10 over the customers, as `ndcg_of_each`."""
        return float(self.ndcg_of_each(scores).mean())

    def ndcg_of_each(self, scores: FloatArray) -> DoubleArray:
        """NDCG@10 of each customer when their candidates are ordered by score, ties by place."""
        starts = np.searchsorted(self.customer, np.arange(len(self.n_truth)))
        place = np.arange(len(self.customer)) - starts[self.customer]
        padded = np.full((len(self.n_truth), int(place.max(initial=0)) + 1), np.nan, np.float32)
        padded[self.customer, place] = scores
        best = top_k(padded, TOP)
        hits = self.is_bought[np.minimum(starts[:, None] + best, len(self.customer) - 1)] & (best >= 0)
        return ndcg(hits, self.n_truth, TOP)


def new_ndcg(fold: InnerFold, score: Callable[[IntArray], FloatArray]) -> float:
    """Mean NDCG@10 among products that the customers had not bought before, over those who bought some.

    Args:
        fold: where to judge.
        score: dense scores of some customer rows, as `Model.score`.
    """
    return _ndcg_of_all_and_new(fold, score, (True,))[0]


def balanced_ndcg(fold: InnerFold, score: Callable[[IntArray], FloatArray]) -> float:
    """The geometric mean of NDCG@10 over all products and over new ones, for models that are to know both.

    They pull apart: what finds a little more new products may lose much of what is bought again. Each is
    taken as at least 0.001, so that a fold without new products still tells by the other.
    """
    both = _ndcg_of_all_and_new(fold, score, (False, True))
    return float(np.prod(np.maximum(both, 1e-3)) ** 0.5)


def _ndcg_of_all_and_new(
    fold: InnerFold, score: Callable[[IntArray], FloatArray], only_new: tuple[bool, ...]
) -> list[float]:
    """Mean NDCG@10 for each way of judging, over the customers who bought something of that kind; else 0.

    Of all products first: where new ones are judged, the scores of the others are struck out.
    """
    owned = fold.history.matrix()
    hits: list[list[BoolArray]] = [[] for _ in only_new]
    n_truth: list[list[AnyIntArray]] = [[] for _ in only_new]
    for start in range(0, len(fold.rows), BLOCK_ROWS):
        rows = fold.rows[start : start + BLOCK_ROWS]
        scores, mine = score(rows), owned[rows]
        bought, line = cell_keys(fold.truth[rows]), np.arange(len(rows))
        for way, is_new in enumerate(only_new):
            if is_new:
                scores[np.repeat(line, np.diff(mine.indptr)), mine.indices] = np.nan
                bought = bought[~are_among(bought, cell_keys(mine))]
            best = top_k(scores, TOP)
            keys = pair_keys(line[:, None], best, mine.shape[1])
            hits[way].append(are_among(keys, bought) & (best >= 0))
            n_truth[way].append(np.bincount(bought // mine.shape[1], minlength=len(rows)))
    return [
        _mean_ndcg(np.concatenate(one), np.concatenate(many)) for one, many in zip(hits, n_truth, strict=True)
    ]


def _mean_ndcg(hits: BoolArray, n_truth: AnyIntArray) -> float:
    some = n_truth > 0
    return float(ndcg(hits[some], n_truth[some], TOP).mean()) if some.any() else 0.0


def chosen[O: FoldOptions, F](
    options: O, grids: Mapping[str, Sequence[float]], folds: Iterable[F], score: Callable[[F, O], float]
) -> O:
    """The options, with a value for each of those that are None and have a grid, chosen one after another.

    Args:
        options: a value that is given stays.
        grids: field to the values to try, of which the first is where the search begins, wins among equals,
            and stays where there are no folds.
        folds: to score on; none is made where there is no choice.
        score: how good options are on a fold, summed over all; asked once for each.
    """
    grids = {name: values for name, values in grids.items() if getattr(options, name) is None}
    first: dict[str, Any] = {name: values[0] for name, values in grids.items()}
    best, scores = replace(options, **first), dict[O, float]()
    open_grids = {name: values for name, values in grids.items() if len(values) > 1}
    made = list(folds) if open_grids else []
    for name, values in open_grids.items():
        changes: list[dict[str, Any]] = [{name: value} for value in values]
        choices = [replace(best, **change) for change in changes]
        scores |= {
            choice: sum(score(fold, choice) for fold in made) for choice in choices if choice not in scores
        }
        best = max(choices, key=lambda choice: scores[choice])
    return best
