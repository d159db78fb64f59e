"""What is known of a customer and a product at one moment: the numbers that the ranker weighs."""

from collections.abc import Iterator

import numpy as np

from models.arrays import (
    DAY_S,
    AnyArray,
    AnyIntArray,
    BoolArray,
    DoubleArray,
    FloatArray,
    IntArray,
    LongArray,
)
from models.history.catalogue import EVER, Catalogue
from models.history.interactions import Interactions
from models.history.pair_keys import pair_keys, places_among
from models.history.pairs import Pairs
from models.numerics.decay import decay
from models.validation.first_purchases import is_first_purchase

LATEST = 0.25  # half-life in horizons of what sells these days, as before a feast
MEMORIES = (1.0, 4.0, 16.0, np.inf)  # half-lives in horizons: from the last one's taste to all that is known
SHARES = tuple(f"share_{name}" for name in ("1", "4", "16", "all"))
LATELY = 4  # horizons of promotions that are looked back on
LEVELS = ("product", "category", "brand")
KEEPS = (0.9, 0.7)  # an order counts so much of the one after it: memories of those who come at odd times
PAIR = (
    *SHARES,
    "fading_9",
    "fading_7",
    "times",
    "last_age",
    "interval",
    "due_ratio",
    "orders_since",
    "last_age_in_gaps",
)
CUSTOMER = (
    *("orders", "orders_1", "orders_4", "known_age", "last_age", "gap", "last_age_in_gaps"),
    *("basket_size", "distinct_share", "novelty_4", "novelty_16", "mean_price"),
)
PRODUCT = (
    *SHARES,
    *("rise_1_4", "rise_4_16", "buyers", "repeat_rate", "first_time_share"),
    *("share_latest", "adopted_latest", "adopted_1", "adopted_4"),
    *("promoted_now", "promoted_next", "promoted_lately"),
    *("first_age", "available_age", "last_age", "interval", "price"),
)
LEVEL = (*SHARES, "rise_1_4")
CROSS = ("price_ratio", "share_of_category", "share_of_category_in_shop", "taste_lift")


def names() -> list[str]:
    """The features in the order of their columns."""
    return [
        *(f"{level}: own {name}" for level in LEVELS for name in PAIR),
        *(f"customer: {name}" for name in CUSTOMER),
        *(f"product: {name}" for name in PRODUCT),
        *(f"{level}: shop {name}" for level in LEVELS[1:] for name in LEVEL),
        *(f"pair: {name}" for name in CROSS),
    ]


class Features:
    """Everything that can be said of pairs as of the end of a history, computed once, looked up by pair."""

    def __init__(
        self, interactions: Interactions, horizon_days: float, rows: AnyIntArray | None = None
    ) -> None:
        """`rows` are the customers who will be asked about; None for all, whose own pairs take much room."""
        self.half_lives = [memory * horizon_days for memory in MEMORIES]
        is_asked = None if rows is None else np.isin(np.arange(interactions.n_customers), rows)
        orders, pairs = _Orders(interactions), Pairs.of(interactions)
        catalogue = interactions.catalogue
        products = np.arange(interactions.n_products, dtype=np.int32)
        of_products = _Level(interactions, products, orders, self.half_lives, is_asked, pairs)
        self.price = np.log(np.where(catalogue.price > 0, catalogue.price, np.nan)).astype(np.float32)
        is_first = is_first_purchase(interactions)
        self.customer = self._of_customers(interactions, pairs, orders, is_first)
        self.product = self._of_products(interactions, pairs, of_products.shop_share, orders, is_first)
        del pairs, is_first  # what the other levels are made of takes as much again
        self.levels = [
            of_products,
            *(
                _Level(_entries_of(interactions, row), row, orders, self.half_lives, is_asked)
                for row in (catalogue.category_row, catalogue.brand_row)
            ),
        ]

    def of(self, customer_row: AnyIntArray, product_row: AnyIntArray) -> FloatArray:
        """One row of `names()` for each pair, shape (n, len(names())), float32; NaN for nothing to say."""
        own = [level.own(customer_row, product_row) for level in self.levels]
        customer, product = self.customer[customer_row], self.product[product_row]
        shop = [level.shop(product_row) for level in self.levels[1:]]
        lately, long = SHARES.index("share_4"), SHARES.index("share_16")  # PAIR, PRODUCT, LEVEL begin so too
        with np.errstate(divide="ignore", invalid="ignore"):
            cross = [
                product[:, PRODUCT.index("price")] - customer[:, CUSTOMER.index("mean_price")],
                own[0][:, long] / own[1][:, long],
                product[:, lately] / shop[0][:, lately],
                own[1][:, long] / shop[0][:, long],
            ]
        return np.concatenate([*own, customer, product, *shop, np.stack(cross, axis=1)], axis=1)

    def _of_customers(
        self, interactions: Interactions, pairs: Pairs, orders: "_Orders", is_first: BoolArray
    ) -> FloatArray:
        n = interactions.n_customers
        count = np.bincount(orders.customer, minlength=n)
        recent = [
            np.bincount(orders.customer, decay(orders.age_days, days), n) for days in self.half_lives[:2]
        ]
        entries = np.bincount(interactions.customer_row, minlength=n)
        novelty = []
        for days in self.half_lives[1:3]:
            weights = decay(interactions.age_days, days)
            bought = np.bincount(interactions.customer_row, weights, n)
            new = np.bincount(interactions.customer_row, weights * is_first, n)
            novelty.append(new / np.where(bought > 0, bought, np.nan))
        price = self.price[interactions.product_row]
        known = ~np.isnan(price)
        spent = np.bincount(interactions.customer_row[known], price[known], n)
        of = np.bincount(interactions.customer_row[known], minlength=n)
        with np.errstate(divide="ignore", invalid="ignore"):
            figures: list[AnyArray] = [count, *recent]
            figures += [orders.first_age, orders.last_age, orders.gap, orders.last_age / orders.gap]
            figures += [entries / count, np.bincount(pairs.customer_row, minlength=n) / entries]
            figures += [*novelty, spent / of]
        return np.stack(figures, axis=1, dtype=np.float32, casting="same_kind")

    def _of_products(
        self,
        interactions: Interactions,
        pairs: Pairs,
        share: FloatArray,
        orders: "_Orders",
        is_first: BoolArray,
    ) -> FloatArray:
        n = interactions.n_products
        product, age = interactions.product_row, interactions.age_days
        buyers = np.bincount(pairs.product_row, minlength=n)
        again = np.bincount(pairs.product_row[pairs.times > 1], minlength=n)
        recent = decay(age, self.half_lives[1])
        latest_days = LATEST * self.half_lives[0]
        adopted = [
            np.bincount(product, decay(age, days) * is_first, n)
            / max(float(orders.decayed(days).sum()), 1e-9)
            for days in (latest_days, *self.half_lives[:2])
        ]
        n_latest = max(float(orders.decayed(latest_days).sum()), 1e-9)
        latest = np.bincount(product, decay(age, latest_days), n) / n_latest
        first, last = np.full(n, np.nan), np.full(n, np.nan)
        np.fmax.at(first, product, age)
        np.fmin.at(last, product, age)
        has_gap = pairs.times > 1
        gaps = np.bincount(pairs.product_row[has_gap], pairs.interval_days[has_gap], n)
        available_s = interactions.catalogue.available_s
        available = np.fmax((interactions.as_of_s - np.maximum(available_s, 0)) / DAY_S, first)
        promoted = _promoted(interactions, self.half_lives[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            figures = [
                *share.T,
                *(share[:, 0] / share[:, 1], share[:, 1] / share[:, 2], buyers, (again + 1) / (buyers + 10)),
                np.bincount(product, recent * is_first, n) / np.bincount(product, recent, n),
                *(latest, *adopted, *promoted),
                *(first, np.where(available_s != EVER, available, np.nan), last, gaps / again, self.price),
            ]
        return np.stack(figures, axis=1, dtype=np.float32, casting="same_kind")


def _promoted(interactions: Interactions, horizon_days: float) -> list[FloatArray]:
    """How much each product is put forward now, in the coming horizon, and was in the last ones.

    All of a shop without promotions are NaN: nothing is told there, which isn't that nothing was done.
    """
    promotions, now_s, n = interactions.catalogue.promotions, interactions.as_of_s, interactions.n_products
    horizon_s = int(horizon_days * DAY_S)
    spans = [(now_s, now_s + 1), (now_s, now_s + horizon_s), (now_s - LATELY * horizon_s, now_s)]
    if not len(promotions):
        return [np.full(n, np.nan, np.float32) for _ in spans]
    return [promotions.share_of(start_s, end_s, n) for start_s, end_s in spans]


class _Orders:
    """One entry for each order, and what the customers' rhythm is."""

    def __init__(self, interactions: Interactions) -> None:
        first = interactions.first_of_order
        customer, age = interactions.customer_row[first], interactions.age_days[first]
        order = np.lexsort((age, customer))
        self.customer, self.age_days = customer[order], age[order]
        self.n_customers = interactions.n_customers
        self.starts = np.searchsorted(self.customer, np.arange(self.n_customers + 1))
        self.first_age, self.last_age = (np.full(self.n_customers, np.nan, np.float32) for _ in range(2))
        some = np.flatnonzero(np.diff(self.starts))
        self.last_age[some] = self.age_days[self.starts[some]]
        self.first_age[some] = self.age_days[self.starts[some + 1] - 1]
        count = np.diff(self.starts)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.gap = np.where(count > 1, (self.first_age - self.last_age) / (count - 1), np.nan)

    def decayed(self, half_life_days: float) -> DoubleArray:
        """Each customer's orders, older ones counting less."""
        return np.bincount(self.customer, decay(self.age_days, half_life_days), self.n_customers)

    def since(self, customer_row: AnyIntArray, age_days: FloatArray) -> LongArray:
        """How many orders each customer made after the one of this age."""
        span = float(self.age_days.max(initial=0)) + 1
        key = self.customer.astype(np.float64) * span + self.age_days
        place = np.searchsorted(key, customer_row.astype(np.float64) * span + age_days)
        return place - self.starts[customer_row]


class _Level:
    """What customers bought of products, or of their categories or brands: an order with one counts once."""

    def __init__(
        self,
        held: Interactions,
        row: IntArray,
        orders: _Orders,
        half_lives: list[float],
        is_asked: BoolArray | None,
        pairs: Pairs | None = None,
    ) -> None:
        """Of the entries of this level, which it does not keep.

        Args:
            held: the entries.
            row: each product's.
            orders: of the same history.
            half_lives: in days.
            is_asked: shape (n_customers,): whose own figures are wanted; None for all.
            pairs: of the entries, where they are known.
        """
        self.row, self.n = row, int(row.max(initial=-1)) + 1
        decayed = [orders.decayed(days) for days in half_lives]
        total = [max(float(each.sum()), 1e-9) for each in decayed]
        weights = [decay(held.age_days, days) for days in half_lives]
        self.shop_share = np.stack(
            [
                np.bincount(held.product_row, weight, self.n) / all_orders
                for weight, all_orders in zip(weights, total, strict=True)
            ],
            axis=1,
        ).astype(np.float32)
        if is_asked is not None:
            some = is_asked[held.customer_row]
            held, weights, pairs = held.only(some), [weight[some] for weight in weights], None
        pairs = Pairs.of(held) if pairs is None else pairs
        self.figures = np.empty((len(pairs), len(PAIR)), np.float32)
        for place, figure in enumerate(_of_pairs(held, pairs, orders, weights, decayed)):
            self.figures[:, place] = figure
        self.key = pair_keys(pairs.customer_row, pairs.product_row, max(self.n, 1))

    def own(self, customer_row: AnyIntArray, product_row: AnyIntArray) -> FloatArray:
        """The PAIR figures, shape (n, len(PAIR)); NaN where the customer never bought of it."""
        row = self.row[product_row]
        wanted = np.where(row >= 0, pair_keys(customer_row, row, max(self.n, 1)), -1)
        return look_up(self.key, self.figures, wanted)

    def shop(self, product_row: AnyIntArray) -> FloatArray:
        """The LEVEL figures, shape (n, len(LEVEL))."""
        share = np.concatenate([self.shop_share, np.full((1, len(MEMORIES)), np.nan, np.float32)])
        found = share[self.row[product_row]]
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = found[:, 0] / found[:, 1]
        return np.concatenate([found, rise[:, None]], axis=1)


def _of_pairs(
    held: Interactions, pairs: Pairs, orders: _Orders, weights: list[FloatArray], decayed: list[DoubleArray]
) -> Iterator[AnyArray]:
    """The PAIR figures one after another: of all at once, a pair takes several times what is kept of it."""
    customer = pairs.customer_row
    for weight, each in zip(weights, decayed, strict=True):
        yield np.bincount(pairs.entry_pair, weight, len(pairs)) / (each[customer] + 0.5)
    since, n_orders = orders.since(held.customer_row, held.age_days), np.diff(orders.starts)[customer]
    for keep in KEEPS:
        held_orders = np.bincount(pairs.entry_pair, keep**since, len(pairs))
        yield held_orders * (1 - keep) / (1 - keep**n_orders)
    del since, held_orders
    yield from (pairs.times, pairs.last_age_days, pairs.interval_days)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = pairs.last_age_days / pairs.interval_days
        in_gaps = pairs.last_age_days / orders.gap[customer]
    yield from (ratio, orders.since(customer, pairs.last_age_days), in_gaps)


def look_up(keys: LongArray, figures: FloatArray, wanted: LongArray) -> FloatArray:
    """The figures of each wanted key, NaN where there are none; keys are sorted and distinct."""
    if not len(keys):
        return np.full((len(wanted), figures.shape[1]), np.nan, np.float32)
    place, is_there = places_among(wanted, keys)
    return np.where(is_there[:, None], figures[place], np.float32(np.nan))


def _entries_of(interactions: Interactions, row: IntArray) -> Interactions:
    """The same orders with rows of another level for products; what has none is left out."""
    n = int(row.max(initial=-1)) + 1
    some = interactions.only(row[interactions.product_row] >= 0)
    catalogue = Catalogue.of(np.full(max(n, 1), -1, np.int32))
    return Interactions.build(
        some.customer_row,
        row[some.product_row],
        some.order_row,
        some.at_s,
        catalogue=catalogue,
        as_of_s=interactions.as_of_s,
        n_customers=interactions.n_customers,
    )
