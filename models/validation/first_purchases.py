"""Products that are new to a customer: how fast each is taken up, and what a way of scoring finds of them."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.arrays import BoolArray, FloatArray
from models.history.interactions import Interactions
from models.history.pair_keys import cell_keys, pair_keys
from models.numerics.decay import half_life_grid, lasting_decay, shorter_half_lives
from models.numerics.top_k import top_k
from models.validation.folds import FoldOptions, InnerFold, inner_folds

PLACES = 100  # of a list that count when ways are compared, since what is compared are sources of candidates
PRIOR_CUSTOMERS = 10.0  # without the product, beside those there are, for what nearly all have
TRIAL_PRODUCTS = 3000  # those most taken up: few others get into the first places of a list


def first_purchases(interactions: Interactions) -> Interactions:
    """The entries that are a customer's first of that product."""
    return interactions.only(is_first_purchase(interactions))


def is_first_purchase(interactions: Interactions) -> BoolArray:
    """Whether each entry is its customer's first of that product; shape (n_interactions,)."""
    pair = pair_keys(interactions.customer_row, interactions.product_row, interactions.n_products)
    is_first = np.zeros(len(pair), np.bool_)
    is_first[np.unique(pair, return_index=True)[1]] = True  # entries of a customer are in order of time
    return is_first


def take_up(firsts: Interactions, half_life_days: float, prior_purchases: float = 0.0) -> FloatArray:
    """First purchases, decayed, for each customer without the product.

    Args:
        firsts: from `first_purchases`.
        prior_purchases: that every product is thought to have had just now beside its own.
    Returns:
        shape (n_products,), float32, above 0 where somebody bought the product; else 0 without a prior.
    """
    weights = lasting_decay(firsts.age_days, half_life_days)
    taken = np.bincount(firsts.product_row, weights, firsts.n_products) + prior_purchases
    owners = np.bincount(firsts.product_row, minlength=firsts.n_products)
    return (taken / (firsts.n_buyers - owners + PRIOR_CUSTOMERS)).astype(np.float32)


def take_up_half_life(interactions: Interactions, options: FoldOptions) -> float:
    """The half-life of `take_up` that finds most new products; without folds the middle of the usual grid.

    Shorter ones than the usual are tried too: what everybody takes up changes within days.
    """
    grid = half_life_grid(interactions.span_days)
    shorter = shorter_half_lives(options.horizon_days)
    half_lives = list(dict.fromkeys([grid[len(grid) // 2], *shorter, *grid]))
    dcg = np.zeros(len(half_lives))
    for fold in inner_folds(interactions, options):
        firsts = first_purchases(fold.history)
        dcg += new_dcg_of_one_list(fold, [take_up(firsts, days) for days in half_lives])
    return half_lives[int(dcg.argmax())]


def new_dcg_of_one_list(fold: InnerFold, lines: Sequence[FloatArray]) -> list[float]:
    """DCG of each line of scores, the same for everyone, among products that customers had not bought.

    Returns:
        for each line the sum, over the fold's new (customer, product) pairs, of 1 / log2(1 + place) in the
        customer's list without their own products, where the place is within PLACES.
    """
    n_products = fold.history.n_products
    owned = cell_keys(fold.history.matrix()[fold.rows])
    truth = cell_keys(fold.truth[fold.rows])
    customer, product = np.divmod(truth[~np.isin(truth, owned)], max(n_products, 1))
    sums = []
    for line in lines:
        place = np.empty(n_products, np.int64)
        place[np.argsort(-line, kind="stable")] = np.arange(n_products)
        own = np.sort(owned - owned % n_products + place[owned % n_products])
        above = np.searchsorted(own, customer * n_products + place[product])
        above -= np.searchsorted(own, customer * n_products)
        seen = place[product] - above  # from 0
        sums.append(float((1 / np.log2(2 + seen[seen < PLACES])).sum()))
    return sums


class Trial:
    """A fold cut to the products most taken up, so that ways of scoring its customers can be compared fast.

    Attributes:
        fold: where to judge.
        firsts: the first purchases before it.
        columns: the products to be scored, shape (n,), ascending.
    """

    def __init__(self, fold: InnerFold) -> None:
        self.fold, self.firsts = fold, first_purchases(fold.history)
        grid = half_life_grid(fold.history.span_days)
        chance = take_up(self.firsts, grid[len(grid) // 2])
        self.columns = np.sort(np.argsort(-chance, kind="stable")[:TRIAL_PRODUCTS])
        self._owned = fold.history.matrix()[fold.rows][:, self.columns].toarray() > 0
        self._wanted = (fold.truth[fold.rows][:, self.columns].toarray() > 0) & ~self._owned

    def new_dcg(self, scores: FloatArray) -> float:
        """As `new_dcg_of_one_list`, for scores of the fold's customers, shape (n_rows, n_columns)."""
        best = top_k(np.where(self._owned, np.float32(np.nan), scores), PLACES)
        hits = np.take_along_axis(self._wanted, np.maximum(best, 0), axis=1) & (best >= 0)
        return float(hits.sum(axis=0) @ (1 / np.log2(np.arange(2, PLACES + 2))))


def trials(interactions: Interactions, options: FoldOptions) -> Iterator[Trial]:
    """One of each fold, made when it is asked for."""
    return (Trial(fold) for fold in inner_folds(interactions, options))
