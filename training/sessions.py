"""How far what customers bought moves their lists by day, learned from orders that followed another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from models.arrays import DAY_S, DoubleArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.history.follow_up import MOST_ENTRIES, category_left, follow_up_lift
from models.history.interactions import Interactions
from models.history.intervals import usual_intervals
from models.history.pair_keys import pair_keys, places_among
from models.history.timeline import Timeline
from models.numerics.cores import blas_threads
from models.numerics.lot import some_of
from models.session import Moves, Recent, SessionFigures
from models.strangers import SIMILAR, goes_with
from models.validation.folds import MIN_CUSTOMERS, TOP
from models.validation.metrics import ndcg_of
from models.validation.one_by_one import one_by_one
from storage.local_days import local_days
from training.fitting import item_item_of, popular_order
from training.ranking import as_one, ranked_blocks

MOST_ORDERS = 500  # that are learned from
MOST_BOUGHT = 50  # latest products to which similar ones are looked for
MOST_LISTED = 200  # products of each list of the night
SURE = 2.0  # standard errors: of the best of several, one is often chance
GRID: Mapping[str, tuple[float, ...]] = {
    "half_life": (0.001, 1 / 48, 1 / 12, 1 / 4, 1.0),
    "steps_back": (0.5, 0.65, 0.8, 1.0),
    "similar": (0.0, 0.05, 0.1, 0.25, 0.5, 1.0),
}


@dataclass(frozen=True, eq=False)
class _Later:
    """An order that followed another of its customer, and what was known just before it.

    Attributes:
        recent: as of `Moves.moved`.
        similar: to what was bought, best first.
        never: products among those that nobody buys twice, and that wait for good.
        truth: product rows that were bought.
    """

    customer_row: int
    recent: list[Recent]
    similar: IntArray
    never: list[int]
    truth: IntArray

    def ndcg(self, night: IntArray, moves: Moves, figures: SessionFigures) -> float:
        """NDCG@10 of the list that the night's becomes by what was bought."""
        products, counts = moves.moved(night, self.similar, self.recent, figures)
        is_able = ~np.isin(products, self.never)
        products, counts = products[is_able], counts[is_able]
        return ndcg_of(counts, np.isin(products, self.truth), len(self.truth), TOP)


def learned_figures(
    default: str,
    models: Mapping[str, Model[Any]],
    past: Interactions,
    bought: Interactions,
    usual: SessionFigures,
    sought: Sequence[str],
    timezone: str,
) -> SessionFigures:
    """The figures by which the lists of customers who bought tell most of what they bought next.

    Args:
        default: whose lists they are, among `models`, which were fitted on `past`.
        past: what was known a horizon ago.
        bought: since.
        sought: names in GRID; what isn't among them stays as it is in `usual`.
        timezone: the shop's, by whose days lists move.
    Returns:
        the usual ones, one by one changed to what has the highest NDCG@10, unless that is within SURE
        standard errors of what there was; the usual ones where fewer than MIN_CUSTOMERS can be learned from.
    """
    rows, orders = _later_orders(past, bought)
    if len(rows) < MIN_CUSTOMERS or not sought:
        return usual
    horizon_days = (bought.as_of_s - past.as_of_s) / DAY_S
    timeline = Timeline.of(_some(past, rows))
    of_product, of_category = usual_intervals(timeline)
    left, lift = category_left(past, horizon_days), follow_up_lift(past, horizon_days)
    moves = Moves(past.catalogue.category_row, of_category, left, lift, horizon_days)
    with blas_threads(1):
        later = list(_laters(models, timeline, bought, orders, of_product, timezone))
        lists = as_one(
            ranked_blocks(
                models[default],
                rows,
                min(MOST_LISTED, past.n_products),
                fill=popular_order(models),
                owned=timeline.interactions.matrix(),
            )
        ).lists
    nights = [line[line >= 0] for line in lists]
    place = np.searchsorted(rows, [one.customer_row for one in later])

    def scores(figures: SessionFigures) -> DoubleArray:
        each = [one.ndcg(nights[at], moves, figures) for one, at in zip(later, place, strict=True)]
        return np.bincount(place, each) / np.bincount(place)

    return one_by_one(usual, {name: GRID[name] for name in GRID if name in sought}, scores, errors=SURE)


def _later_orders(past: Interactions, bought: Interactions) -> tuple[IntArray, LongArray]:
    """Orders that follow another one since, of customers who were known, at most MOST_ORDERS by lot.

    Returns:
        customer rows, rising and distinct; and of each order where it begins in `bought`.
    """
    first = np.unique(bought.order_starts())  # customer by customer, in the order of time
    customer = bought.customer_row[first]
    is_known = np.zeros(past.n_customers, np.bool_)
    is_known[past.customer_row] = True
    is_later = (np.diff(customer, prepend=-1) == 0) & is_known[customer]
    orders = some_of(first[is_later], MOST_ORDERS, seed=0)
    return np.unique(bought.customer_row[orders]), orders


def _some(past: Interactions, rows: IntArray) -> Interactions:
    """The history of these customers, and of so many by lot that it has about MOST_ENTRIES at most."""
    is_drawn = np.random.default_rng(0).random(past.n_customers) < MOST_ENTRIES / max(len(past), 1)
    is_drawn[rows] = True
    return past.only(is_drawn[past.customer_row])


def _laters(
    models: Mapping[str, Model[Any]],
    timeline: Timeline,
    bought: Interactions,
    orders: LongArray,
    usual_days: FloatArray,
    timezone: str,
) -> Iterator[_Later]:
    """What was known before each order: intervals are those that `due` expects."""
    item_item = item_item_of(models)
    known = pair_keys(timeline.customer_row, timeline.product_row, bought.n_products)  # rising
    expected = timeline.waits.expected(timeline.parents())[0]
    begins = bought.order_starts()
    day = local_days(pl.Series(bought.at_s), timezone).to_physical().to_numpy()
    for at in orders.tolist():
        customer = int(bought.customer_row[at])
        start, stop = np.searchsorted(bought.customer_row, [customer, customer + 1])
        theirs, begin = bought.product_row[start:stop], begins[start:stop]
        before = start + np.flatnonzero(begin < at)[::-1]  # the latest first
        before = before[np.sort(np.unique(bought.product_row[before], return_index=True)[1])]
        rows = bought.product_row[before]
        days = day[at] - day[before]
        keys = pair_keys(np.full(len(rows), customer), rows, bought.n_products)
        place, is_known = places_among(keys, known)
        interval = np.where(is_known, expected[place], usual_days[rows])
        interval = np.nan_to_num(np.maximum(np.ceil(interval), 1), nan=-1.0)
        recent = [Recent(*one) for one in zip(rows.tolist(), days.tolist(), interval.tolist(), strict=True)]
        similar = goes_with(item_item.similar_, item_item.similarity_, rows[:MOST_BOUGHT])[0][:SIMILAR]
        yield _Later(customer, recent, similar, rows[interval < 0].tolist(), theirs[begin == at])
