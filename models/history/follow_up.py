"""Orders that follow another one soon are for other products: somebody comes back for milk, not for flour."""

import numpy as np

from models.arrays import DAY_S, BoolArray, DoubleArray, FloatArray, LongArray
from models.history.interactions import Interactions
from models.history.pair_keys import pair_keys
from models.history.pairs import Pairs
from models.numerics.shrinkage import shrunk_rates

TOP = 10  # products of an answer, by whose measure each order counts the same
SOON = 1 / 7  # of a horizon
MOST_ENTRIES = 3_000_000  # that are learned from, about, of customers by lot


def follow_up_lift(interactions: Interactions, horizon_days: float, seed: int = 0) -> FloatArray:
    """How often each product is in an order that follows another of its customer, against how often in any.

    Each of the former counts the same, however many products it has: as a list of TOP is judged by what is
    bought next, one product adds the less the more there are. Of each product every customer counts the same,
    by the mean over their orders with it, however many they make or invent.

    Args:
        interactions: the history to count in.
        horizon_days: how soon an order follows another.
        seed: of the lot among the customers of a large shop.
    Returns:
        shape (n_products,), float32, above 0, about 1 in the mean of what is sold. Drawn to the lift of the
        product's category, and that to 1, as far as products differ by no more than chance; all 1 where no
        order follows another.
    Source: Poisson-gamma rates, as `shrunk_rates`.
    """
    some = interactions.by_lot(MOST_ENTRIES / max(len(interactions), 1), seed)
    n_products = some.n_products
    order, weight, follows = _orders(some, horizon_days)
    pairs = Pairs.of(some)
    of_one = 1 / pairs.times[pairs.entry_pair]
    counts = (follows * weight)[order] * of_one
    total, squares = counts.sum(), (counts**2).sum()
    if not squares:
        return np.ones(n_products, np.float32)
    # sums of weights vary more than counts do: in units in which their variance is their mean again
    events = np.bincount(some.product_row, counts, n_products) * (total / squares)
    ever = np.bincount(pairs.product_row, minlength=n_products)
    expected = ever * (events.sum() / ever.sum())
    return shrunk_rates(events, expected, [some.catalogue.category_group]).astype(np.float32)


def category_left(interactions: Interactions, horizon_days: float, seed: int = 0) -> FloatArray:
    """What is left of how often a category is bought, in an order soon after another with it.

    In how many of the orders that follow one with it, within a seventh of the horizon, it is again, against
    its share of the customer's orders beside these two, and against how much smaller orders that follow are
    altogether. Each customer counts the same, however many orders they make or invent: if they counted by
    those with the category, who has few of it by lot would count too much.

    Args:
        as of `follow_up_lift`.
    Returns:
        shape (n_categories,), float32, above 0, at most 1: somebody who bought a dress may look for another
        one. Drawn to that of all categories; all 1 where no order follows so soon, or nobody has a third one.
    Source: Poisson-gamma rates, as `shrunk_rates`.
    """
    category_row = interactions.catalogue.category_row
    n_categories = int(category_row.max(initial=-1)) + 1
    some = interactions.by_lot(MOST_ENTRIES / max(len(interactions), 1), seed)
    some = some.only(category_row[some.product_row] >= 0)
    _, first, order = np.unique(some.order_row, return_index=True, return_inverse=True)
    customer, at_s = some.customer_row[first], some.at_s[first]
    key = np.unique(order * n_categories + category_row[some.product_row])  # each category of an order once
    order, category = np.divmod(key, max(n_categories, 1))
    by_time = np.lexsort((at_s, customer))
    before, after = by_time[:-1], by_time[1:]
    rest = np.bincount(customer)[customer] - 2  # the customer's orders beside one and the one that follows
    is_soon = (customer[before] == customer[after]) & (rest[before] > 0)
    is_soon &= at_s[after] - at_s[before] <= SOON * horizon_days * DAY_S
    following = np.full(len(first), -1)
    following[before[is_soon]] = after[is_soon]

    followed = np.flatnonzero(following >= 0)
    of_one = 1 / (rest + 2)
    size = np.bincount(order, minlength=len(first))
    next_size = size[following[followed]]
    others = np.bincount(customer, size)[customer[followed]] - size[followed] - next_size
    usual = of_one[followed] @ (others / rest[followed])
    smaller = of_one[followed] @ next_size / max(usual, 1e-9)

    of_pair = pair_keys(customer[order], category, n_categories)
    _, pair, times = np.unique(of_pair, return_inverse=True, return_counts=True)
    asked = following[order] >= 0
    order, category, times = order[asked], category[asked], times[pair[asked]]
    is_again = np.isin(following[order] * n_categories + category, key)
    expected = smaller * (times - 1 - is_again) / rest[order]
    weight = of_one[order]
    weight *= weight.sum() / max((weight**2).sum(), 1e-9)  # as of `follow_up_lift`
    events = np.bincount(category, is_again * weight, n_categories)
    days = np.bincount(category, expected * weight, n_categories)
    return np.minimum(shrunk_rates(events, days), 1).astype(np.float32)


def _orders(interactions: Interactions, horizon_days: float) -> tuple[LongArray, DoubleArray, BoolArray]:
    """Of each entry its order; of each order what one product of it adds to NDCG@TOP, and whether it follows
    another within the horizon."""
    _, first, order = np.unique(interactions.order_row, return_index=True, return_inverse=True)
    customer, at_s = interactions.customer_row[first], interactions.at_s[first]
    by_time = np.lexsort((at_s, customer))
    is_next = np.diff(customer[by_time], prepend=-1) == 0
    follows = np.zeros(len(first), np.bool_)
    follows[by_time] = is_next & (np.diff(at_s[by_time], prepend=0) <= horizon_days * DAY_S)
    best = np.cumsum(1 / np.log2(np.arange(2, TOP + 2)))
    weight = 1 / best[np.minimum(np.bincount(order), TOP) - 1]
    return order, weight, follows
