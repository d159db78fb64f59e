"""Past windows that a ranker learns from: candidates as they were known then, and what was bought of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from models.arrays import DAY_S, BoolArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.history.interactions import Interactions
from models.history.pair_keys import are_among, pair_keys
from models.numerics.cores import at_once, streamed
from models.ranking.sources import Candidates, Limits
from models.ranking.view import View
from models.repeat import Repeat

YEAR_S = 365 * DAY_S
MIN_WINDOWS = 2
MIN_CUSTOMERS = 200  # who came, all windows together
MIN_BOUGHT = 500  # candidates that were bought
LEAST_CUSTOMERS = 20  # who bought on both sides of a window's beginning
ABSENT = 3  # those who did not come have as many pairs as one would for so many who did
MOST_ABSENT = 3  # of them are drawn for each customer who came


@dataclass(frozen=True)
class WindowOptions:
    """What a window is made of.

    Attributes:
        horizon_days: its length.
        limits: how many candidates each source may list for one customer.
        max_customers: at most so many customers who came, beside those who didn't, see `drawn`.
        max_bought: about so many products that they bought, each counted once for a customer, at most: fewer
            customers where each buys much.
        negatives: about so many pairs that were not bought are kept for each customer, by an even lot; fewer
            of many who stayed away, see `_shares_of_absent`.
        likely: about so many more own products that were not bought, drawn in proportion to what `repeat`
            expected of them.
        seed: of all that is drawn by lot.
    """

    horizon_days: float
    limits: Limits
    max_customers: int
    max_bought: int
    negatives: int
    likely: int
    seed: int


@dataclass(frozen=True, eq=False)
class Window:
    """Some pairs of one window: all that were bought, some that were not.

    Attributes:
        as_of_s: where it begins.
        n_bought: how many products its customers bought in it, each counted once for a customer.
        customer_row: shape (n,), int32, rising.
        has_come: shape (n,), whether the pair's customer bought anything in the window.
        is_own: shape (n,), whether the customer had bought the product before.
        features: shape (n, n_features), float32.
        is_bought: shape (n,), bool.
        weight: shape (n,), float32: as of Drawn, more where few pairs of one who stayed away are here; less
            where one who bought a lot would outweigh many, see `evened`.
        share: shape (n,), float32: of pairs like this one that were not bought, the share that is here, of a
            customer who came.
        is_even: shape (n,), of who came, whether it was bought or the even lot drew it: an order is learned
            from these, since it can't be told that of the others more are here.
    """

    as_of_s: int
    n_bought: int
    customer_row: IntArray
    has_come: BoolArray
    is_own: BoolArray
    features: FloatArray
    is_bought: BoolArray
    weight: FloatArray
    share: FloatArray
    is_even: BoolArray

    def __len__(self) -> int:
        return len(self.customer_row)

    @property
    def n_customers(self) -> int:
        """How many of its customers came."""
        return len(np.unique(self.customer_row[self.has_come]))

    def only(self, mask: BoolArray) -> "Window":
        """The pairs where `mask` holds."""
        of_pairs: dict[str, Any] = {
            name: each[mask] for name, each in vars(self).items() if isinstance(each, np.ndarray)
        }
        return replace(self, **of_pairs)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Customers of a window, drawn by lot.

    Attributes:
        rows: shape (n,), int32, rising.
        has_come: shape (n,), bool.
        weight: shape (n,), float32: 1 for each who came, since trees take it for how much was seen; of those
            who stayed away as many times more as fewer of them were drawn.
        part: shape (n,), float32: of the pairs that are usual for a customer, the share that is kept of each.
    """

    rows: IntArray
    has_come: BoolArray
    weight: FloatArray
    part: FloatArray


def window_starts(interactions: Interactions, horizon_days: float, count: int) -> list[int]:
    """Where past windows begin, the most telling first: the latest ones, and those around here a year ago.

    Args:
        interactions: what is known now.
        horizon_days: length of each window, and of the least that must be known before it.
        count: at most so many; every third of them is of last year's season where the history holds one.
    Returns:
        Unix seconds, distinct. A window's whole horizon is over by now, and enough bought in it: where a shop
        was closed, it is looked further back.
    """
    step, now = int(horizon_days * DAY_S), interactions.as_of_s
    first_s = int(interactions.at_s.min()) if len(interactions) else now
    latest = [now - number * step for number in range(1, (now - first_s) // step + 1)]
    season = [now - YEAR_S + shift * step for shift in (0, -1, 1, -2, 2)]
    mixed: list[int] = []
    while latest or season:
        mixed += [*latest[:2], *season[:1]]
        del latest[:2], season[:1]
    able = [start for start in mixed if first_s + step <= start <= now - step]
    apart: list[int] = []
    for start in able:
        if len(apart) == count:
            break
        if all(abs(start - other) >= step / 2 for other in apart) and _tells(interactions, start, step):
            apart.append(start)
    return apart


def _tells(interactions: Interactions, start_s: int, step_s: int) -> bool:
    """Whether enough customers who were known bought in a window."""
    customer, at_s = interactions.customer_row, interactions.at_s
    known = np.unique(customer[at_s < start_s])
    came = np.unique(customer[(at_s >= start_s) & (at_s < start_s + step_s)])
    return len(np.intersect1d(known, came, assume_unique=True)) >= LEAST_CUSTOMERS


def objection_to(windows: Sequence[Window]) -> str:
    """Why the windows are too little to learn from, empty if they aren't."""
    n_customers = sum(each.n_customers for each in windows)
    n_bought = sum(int(each.is_bought.sum()) for each in windows)
    if len(windows) >= MIN_WINDOWS and n_customers >= MIN_CUSTOMERS and n_bought >= MIN_BOUGHT:
        return ""
    return (
        f"the history has {len(windows)} past windows in which {LEAST_CUSTOMERS} customers or more came "
        f"again, with {n_customers} customers who bought {n_bought} of their candidates in them; a ranker "
        f"takes at least {MIN_WINDOWS} windows, {MIN_CUSTOMERS} customers and {MIN_BOUGHT} purchases"
    )


def drawn(interactions: Interactions, start_s: int, end_s: int, limit: int, seed: int) -> Drawn | None:
    """Customers known at `start_s`: at most `limit` who bought before `end_s`, and some who didn't.

    The latter are one for every ABSENT of the former, and where fewer than `limit` came up to MOST_ABSENT for
    each in the room that is left, with fewer pairs each. Pairs of one who stayed away all say the same, and
    where few come each stands for many: more of them say more than more of their pairs.

    None if too few came to tell anything.
    """
    is_known = np.bincount(
        interactions.customer_row[interactions.at_s < start_s], minlength=interactions.n_customers
    )
    within = (interactions.at_s >= start_s) & (interactions.at_s < end_s)
    came = np.bincount(interactions.customer_row[within], minlength=interactions.n_customers)
    here, absent = np.flatnonzero((is_known > 0) & (came > 0)), np.flatnonzero((is_known > 0) & (came == 0))
    if len(here) < LEAST_CUSTOMERS:
        return None
    lot = np.random.default_rng(seed)
    some_here = _some(here, limit, lot)
    usual, room = max(len(some_here) // ABSENT, 1), limit + limit // ABSENT - len(some_here)
    some_absent = _some(absent, max(usual, min(room, MOST_ABSENT * len(some_here))), lot)
    rows = np.concatenate([some_here, some_absent])
    of_absent = len(absent) / max(len(some_absent), 1) / (len(here) / len(some_here))
    weight = np.repeat([1.0, of_absent], [len(some_here), len(some_absent)])
    order = np.argsort(rows)
    has_come = np.arange(len(rows)) < len(some_here)
    part = np.where(has_come, 1, min(1, usual / max(len(some_absent), 1)))[order].astype(np.float32)
    return Drawn(rows[order].astype(np.int32), has_come[order], weight[order].astype(np.float32), part)


def _some(rows: np.ndarray, limit: int, lot: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= limit else lot.choice(rows, limit, replace=False)


def window(
    interactions: Interactions,
    start_s: int,
    sources: Mapping[str, Model[Any]],
    options: WindowOptions,
    is_alone: bool = False,
) -> Window | None:
    """One past window; None if too few came to tell anything.

    Args:
        interactions: what is known now.
        start_s: where the window begins; nothing later is known to sources and features.
        sources: not fitted, with all that they learn in their options; they are fitted here.
        options: see there.
        is_alone: whether no other window is made meanwhile; then the sources are fitted side by side.
    """
    history, end_s = interactions.before(start_s), start_s + int(options.horizon_days * DAY_S)
    bought = interactions.between(start_s, end_s)
    truth = np.unique(pair_keys(bought.customer_row, bought.product_row, history.n_products))
    buyer = truth // max(history.n_products, 1)
    each = len(truth) / max(len(np.unique(buyer)), 1)
    limit = min(options.max_customers, max(LEAST_CUSTOMERS, int(options.max_bought / max(each, 1))))
    customers = drawn(interactions, start_s, end_s, limit, options.seed)
    if customers is None:
        return None
    fits = [partial(type(model)(model.options).fit, history) for model in sources.values()]
    made = at_once(fits) if is_alone else [fit() for fit in fits]
    fitted = dict(zip(sources, made, strict=True))
    view = View(history, fitted, options.horizon_days, options.limits, rows=customers.rows)
    lot = np.random.default_rng([options.seed, start_s])
    every = streamed(view.candidates(customers.rows))
    parts = [_kept(view, found, customers, truth, lot, options) for found in every]
    n_bought = int(np.isin(buyer, customers.rows).sum())
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = Window(start_s, n_bought, **joined)
    return replace(found, weight=found.weight * evened(found.customer_row, found.is_bought))


def evened(customer_row: IntArray, is_bought: BoolArray) -> FloatArray:
    """What each pair counts so that no customer holds more than one in LEAST_CUSTOMERS of what was bought.

    So many customers are enough to learn from, so nobody says more than one of so few would: an order of
    thousands of products at a small shop would else be most of what is learned of the others' few.

    Args:
        customer_row: of each pair, rising.
        is_bought: of each pair.
    Returns:
        shape (n,), float32, the same for all pairs of a customer, at most 1.
    """
    _, place = np.unique(customer_row, return_inverse=True)
    bought = np.bincount(place, is_bought)
    rest, most = np.sort(bought)[::-1], np.inf
    enough = min(LEAST_CUSTOMERS, int(np.count_nonzero(bought)))  # fewer who bought count the same each
    for number in range(enough):  # so many are held back, the others count in full
        most = rest[number:].sum() / (enough - number)
        if rest[number] <= most:
            break
    return np.minimum(1, most / np.maximum(bought, 1))[place].astype(np.float32)


def _kept(
    view: View,
    found: Candidates,
    customers: Drawn,
    truth: LongArray,
    lot: np.random.Generator,
    options: WindowOptions,
) -> dict[str, Any]:
    """A Window's arrays of those of one block of candidates that are learned from.

    An even lot alone would hold few of the pairs that were likely and came to nothing, and these say what a
    high probability is worth.

    `share` is a move of the log odds, so it must not know what was bought, nor who came: of one who stayed
    away it is that of somebody who came, and what is missing beyond that is made up for by the weight.

    Source: the more surprising an outcome, the more it tells, Fithian and Hastie 2014.
    """
    is_bought = are_among(pair_keys(found.customer_row, found.product_row, view.n_products), truth)
    place = np.searchsorted(customers.rows, found.customer_row)
    alike, expected = np.ones(len(found), np.float32), _expected(view, found)
    even = _shares(alike, place, options.negatives)
    share = np.maximum(even, _shares(expected, place, options.likely))
    of_absent = _shares_of_absent(found, place, customers.part[place], expected, options)
    chance = np.where(customers.has_come[place], share, of_absent)
    drawn_at = lot.random(len(found))
    kept = np.flatnonzero(is_bought | (drawn_at < chance))
    return {
        "customer_row": found.customer_row[kept],
        "has_come": customers.has_come[place[kept]],
        "is_own": found.is_own[kept],
        "features": view.features(found.at(kept)),
        "is_bought": is_bought[kept],
        "weight": customers.weight[place[kept]] * (share / np.maximum(chance, 1e-9))[kept],
        "share": share[kept],
        "is_even": (is_bought | (drawn_at < even))[kept],
    }


def _expected(view: View, found: Candidates) -> FloatArray:
    """What `repeat` expects of each pair, 0 for new products; without it all own products are alike."""
    names = list(view.sources)
    if Repeat.name not in names:
        return found.is_own.astype(np.float32)
    scores = found.scores[:, names.index(Repeat.name)]
    return np.where(found.is_own, np.fmax(scores, 0), np.float32(0))


def _shares_of_absent(
    found: Candidates, place: LongArray, part: FloatArray, expected: FloatArray, options: WindowOptions
) -> FloatArray:
    """The chance of each pair to be kept if its customer stayed away.

    Each such customer stands for many, and no order is learned of them. So up to half of the even lot of
    their new products goes by what the sources promise: a lot that holds hardly any likely one doesn't say
    that these were not bought.

    Args:
        found, place: the pairs, and whose each is, as of `_shares`.
        part: of Drawn, for each pair.
        expected: as of `_expected`.
        options: see there.
    """
    even = _shares(np.ones(len(found), np.float32), place, part * options.negatives)
    given_up = np.where(found.is_own, np.float32(0), even * (1 - even) / 2)  # none where all are kept
    promised = _shares(_promise(found), place, np.bincount(place, given_up)[place].astype(np.float32))
    lot = np.minimum(np.add(even - given_up, promised), 1)
    chance: FloatArray = np.maximum(lot, _shares(expected, place, part * options.likely))
    return chance


def _promise(found: Candidates) -> FloatArray:
    """What the sources promise of each pair that is new to its customer, by its places in their lists."""
    counts: FloatArray = np.nansum(1 / (1 + found.places), axis=1, dtype=np.float32)
    counts[found.is_own] = 0
    return counts


def _shares(weight: FloatArray, place: LongArray, number: FloatArray | int) -> FloatArray:
    """The chance of each pair in a draw of about `number` of a customer's; what was bought is no part of it.

    Args:
        weight: shape (n,), at least 0: the chances are in proportion to it, and at most 1.
        place: shape (n,), whose the pair is, from 0.
        number: shape (n,), the same for all pairs of a customer; or that of all.
    """
    every = np.bincount(place, weight)
    share: FloatArray = np.minimum(number * weight / np.maximum(every[place], 1e-9), 1).astype(np.float32)
    return share
