"""Products whose new buyers are mostly new customers, more than this shop's past explains: they wait.

Somebody who invents customers makes a product rise by them alone. What newcomers bought of such a product
doesn't count for others until they are newcomers no more, a horizon after they were first heard of: until
then a shop can look at it. So a product that really draws new customers waits a week, and not for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.arrays import DAY_S, LongArray
from models.history.interactions import Interactions
from models.history.pair_keys import pair_keys

N_WINDOWS = 8  # horizons before the last one, from which is learned how many newcomers a product has
MOSTLY = 0.5
ONCE_IN_NIGHTS = 100  # so often one of all products may be held by chance
LEAST_SPREAD = 0.01  # of the share of newcomers from product to product, where the past shows none


@dataclass(frozen=True)
class HeldProduct:
    """A product that waits: who bought it in the last horizon, and the share of newcomers to expect."""

    product_row: int
    newcomers: int
    buyers: int
    expected_share: float

    def sentence(self, product_id: str) -> str:
        """What the report says of it."""
        return (
            f"Held: {self.newcomers} of the {self.buyers} customers who bought {product_id} in the last"
            f" horizon were new to the shop, where {self.expected_share:.0%} were to be expected. What"
            " newcomers bought of it counts for nobody else until they are known for a horizon. If it isn't"
            " your campaign, look at who sent these purchases."
        )


@dataclass(frozen=True, eq=False)
class _Window:
    """Buyers of one horizon: all and newcomers by product, shape (n_products,); their share of customers."""

    buyers: LongArray
    newcomers: LongArray
    share: float


def held_products(
    interactions: Interactions, known_since_s: LongArray, horizon_days: int
) -> list[HeldProduct]:
    """The products that are held, by product row; none where the history has no window to compare with.

    A product is held if more than MOSTLY of its buyers are newcomers, and so many that among all products it
    would happen by chance once in ONCE_IN_NIGHTS nights. Chance is a beta-binomial: its mean is the product's
    own share of newcomers before, drawn to the shop's, which is that of the last horizon if that is higher:
    all products of a shop that grows have more of them. Its spread is that from product to product before.

    Args:
        known_since_s: since when the shop knows each customer, shape (n_customers,).
    Source: beta-binomial with the dispersion by moments, Kleinman 1973.
    """
    tonight, *past = _windows(interactions, known_since_s, horizon_days)
    if not past:
        return []
    buyers = np.sum([one.buyers for one in past], axis=0)
    newcomers = np.sum([one.newcomers for one in past], axis=0)
    before = float(np.mean([one.share for one in past]))
    share = min(max(before, tonight.share), 1 - 1e-9)
    weight = 1 / _spread(past, before) - 1
    expected = (weight * share + newcomers) / (weight + buyers)
    risen = np.flatnonzero(tonight.newcomers > MOSTLY * tonight.buyers)
    if not len(risen):
        return []
    from scipy.stats import betabinom  # noqa: PLC0415 - half a second, that most nights don't need

    chance = betabinom.sf(
        tonight.newcomers[risen] - 1,
        tonight.buyers[risen],
        np.maximum(weight * expected[risen], 1e-9),
        np.maximum(weight * (1 - expected[risen]), 1e-9),
    )
    n_tried = max(int(np.count_nonzero(tonight.newcomers)), 1)
    return [
        HeldProduct(int(row), int(tonight.newcomers[row]), int(tonight.buyers[row]), float(expected[row]))
        for row in risen[chance < 1 / (ONCE_IN_NIGHTS * n_tried)]
    ]


def without_held(
    interactions: Interactions, known_since_s: LongArray, horizon_days: int, held: list[HeldProduct]
) -> Interactions:
    """The history without what newcomers bought of the products that are held."""
    if not held:
        return interactions
    is_held = np.zeros(interactions.n_products, np.bool_)
    is_held[[one.product_row for one in held]] = True
    is_new = known_since_s >= interactions.as_of_s - horizon_days * DAY_S
    return interactions.only(~(is_held[interactions.product_row] & is_new[interactions.customer_row]))


def _windows(interactions: Interactions, known_since_s: LongArray, horizon_days: int) -> Iterator[_Window]:
    """The last horizon and those before it, the latest first, without the one in which the shop began.

    A newcomer's purchases count whatever date they have: who invents customers dates back what they buy.
    """
    length_s = horizon_days * DAY_S
    first_s = int(known_since_s.min(initial=interactions.as_of_s))
    since_s = known_since_s[interactions.customer_row]
    key = pair_keys(interactions.customer_row, interactions.product_row, interactions.n_products)
    for number in range(N_WINDOWS + 1):
        end_s = interactions.as_of_s - number * length_s
        start_s = end_s - length_s
        if number and start_s < first_s + length_s:
            return
        is_seen = interactions.at_s < end_s
        is_new = is_seen & (since_s >= start_s) & (since_s < end_s)
        is_old = is_seen & (since_s < start_s) & (interactions.at_s >= start_s)
        pairs, known = np.unique(key[is_new]), np.unique(key[is_old])
        newcomers = np.bincount(pairs % interactions.n_products, minlength=interactions.n_products)
        others = np.bincount(known % interactions.n_products, minlength=interactions.n_products)
        new, old = (len(np.unique(part // interactions.n_products)) for part in (pairs, known))
        yield _Window(newcomers + others, newcomers, new / max(new + old, 1))


def _spread(past: list[_Window], share: float) -> float:
    """How much the share of newcomers differs from product to product beyond chance, from 0 to 1."""
    buyers = np.concatenate([one.buyers for one in past]).astype(np.float64)
    newcomers = np.concatenate([one.newcomers for one in past])
    of_one = share * (1 - share)
    by_chance = of_one * (buyers * (buyers - 1)).sum()
    beyond = ((newcomers - buyers * share) ** 2 - of_one * buyers)[buyers > 0].sum()
    return float(np.clip(beyond / by_chance, LEAST_SPREAD, 0.9)) if by_chance > 0 else LEAST_SPREAD
