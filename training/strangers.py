"""What makes the list of somebody whom the night didn't see, and how much each source of it counts here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.als import Als
from models.arrays import DAY_S, BoolArray, DoubleArray, IntArray
from models.base import Model, learned
from models.content import Content
from models.history.interactions import Interactions
from models.numerics.by_group import ByGroup
from models.numerics.cores import blas_threads
from models.numerics.fold_in import taste_matrix
from models.numerics.lot import some_of
from models.ranking.sources import pool_of, unsold_share
from models.strangers import Counts, Proposers, by_places, goes_with
from models.taste import Taste
from models.validation.folds import MIN_CUSTOMERS, TOP
from models.validation.metrics import ndcg_of
from models.validation.one_by_one import one_by_one
from training.fitting import content_of, item_item_of, popular_order

ALIKE, ALIKE_POOL = 20, 8000  # kept for each product, and among how many they are looked for
TASTE_POOL = 20_000  # the most popular products, which a taste may propose: 5 MB of 64 factors
MOST_CUSTOMERS, MOST_BOUGHT = 500, 50  # to learn from, and of the order of each
GRID = (0.0, 0.25, 0.5, 1.0)
SOUGHT = ("popular", "alike", "similar", "taste", "trend")  # one after another


def alike(
    content: Content,
    products: IntArray,
    interactions: Interactions,
    horizon_days: float,
    hidden: BoolArray | None = None,
) -> IntArray:
    """What is like some products, shape (n, ALIKE): see `Content.like`; what is `hidden` is like none."""
    unsold_part = unsold_share(interactions, horizon_days)
    return content.like(products, pool_of(interactions, horizon_days, ALIKE_POOL, unsold_part, hidden), ALIKE)


def taste_of_all(als: Als, popular: IntArray) -> Taste:
    """What folds a customer of today in.

    The factors of all products are the variant's own; those of the popular ones lie together, so that scoring
    them reads little.
    """
    pool, factors = popular[:TASTE_POOL].astype(np.int32), als.product_factors_
    return Taste(pool, factors[pool], factors, taste_matrix(factors, learned(als.options_.regularization)))


@dataclass(frozen=True, eq=False)
class _Stranger:
    """A known customer as if nothing but one order were known.

    Attributes:
        places: shape (5, n), what each of n products counts by each source in the order of Counts.
        is_bought: shape (n,), bool, of these products, within the horizon.
        n_truth: how many other products than those of the order were bought.
    """

    places: DoubleArray
    is_bought: BoolArray
    n_truth: int

    def ndcg(self, counts: Counts) -> float:
        return ndcg_of(np.array(counts) @ self.places, self.is_bought, self.n_truth, TOP)


def learned_counts(
    models: Mapping[str, Model[Any]], past: Interactions, bought: Interactions, first: float
) -> Counts:
    """What each source counts, by which the latest order of customers tells most of what they bought next.

    Args:
        models: fitted on `past`.
        past: what was known a horizon ago.
        bought: since.
        first: as of SessionFigures.
    Returns:
        the usual counts, one by one changed to what has the highest NDCG@10, unless that is within a standard
        error of what there was; the usual ones where fewer than MIN_CUSTOMERS can be learned from.
    """
    horizon_days = (bought.as_of_s - past.as_of_s) / DAY_S
    rows = np.intersect1d(past.customer_row, bought.customer_row)
    if len(rows) < MIN_CUSTOMERS:
        return Counts()
    rows = some_of(rows, MOST_CUSTOMERS, seed=0)
    with blas_threads(1):  # many small products of vectors
        strangers = _strangers(models, past, bought, rows, first, horizon_days)
    if len(strangers) < MIN_CUSTOMERS:
        return Counts()
    return one_by_one(
        Counts(),
        dict.fromkeys(SOUGHT, GRID),
        lambda counts: np.array([one.ndcg(counts) for one in strangers]),
        errors=1.0,
    )


def _strangers(
    models: Mapping[str, Model[Any]],
    past: Interactions,
    bought: Interactions,
    rows: IntArray,
    first: float,
    horizon_days: float,
) -> list[_Stranger]:
    item_item, als = item_item_of(models), models.get(Als.name)
    popular, catalogue = popular_order(models), past.catalogue
    last = np.searchsorted(past.customer_row, rows, side="right") - 1  # each customer's are in order of time
    order = np.full(past.n_customers, -1, np.int64)
    order[rows] = past.order_row[last]
    session = past.only(past.order_row == order[past.customer_row])
    asked = np.unique(session.product_row)
    near = np.full((past.n_products, ALIKE), -1, np.int32)
    near[asked] = alike(content_of(models, past, horizon_days), asked, past, horizon_days)
    proposers = Proposers(
        near,
        ByGroup.of(popular, catalogue.category_row, int(catalogue.category_row.max(initial=-1)) + 1),
        catalogue.category_row.tolist(),
        taste_of_all(als, popular) if isinstance(als, Als) else None,
        popular,
    )
    orders = np.split(session.product_row, np.searchsorted(session.customer_row, rows[1:]))
    truth = bought.matrix()[rows]
    strangers = []
    for number, products in enumerate(orders):
        mine = products[:MOST_BOUGHT].tolist()
        wanted = np.setdiff1d(truth.indices[truth.indptr[number] : truth.indptr[number + 1]], products)
        if len(wanted):
            similar = goes_with(item_item.similar_, item_item.similarity_, products[:MOST_BOUGHT])[0]
            proposed = proposers.proposals(similar, mine, [1] * len(mine))
            by_source = [
                by_places([(found, 1.0) for source, found in proposed if source == name], first)
                for name in Counts._fields
            ]
            told = np.unique(np.concatenate([found for found, _ in by_source]))
            told = told[~np.isin(told, products)]
            places = np.zeros((len(by_source), len(told)))
            for line, (found, sums) in zip(places, by_source, strict=True):
                able = np.isin(found, told)
                line[np.searchsorted(told, found[able])] = sums[able]
            strangers.append(_Stranger(places, np.isin(told, wanted), len(wanted)))
    return strangers
