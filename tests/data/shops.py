"""Small shops made up by a seed: each is a kind of history that a model must live with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, IntArray, LongArray
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions

START_S = 1_500_000_000 // DAY_S * DAY_S  # midnight of a day in 2017
N_DAYS = 84


@dataclass(frozen=True, eq=False)
class Shop:
    """Purchase lines; the last customer bought nothing, and neither was the last product bought.

    Attributes:
        customer_row, product_row, order_row, at_s: of each line.
        category_row: shape (n_products,), -1 for none.
        n_customers: rows of customers.
        as_of_s: the moment after the last line.
    """

    customer_row: IntArray
    product_row: IntArray
    order_row: IntArray
    at_s: LongArray
    category_row: IntArray
    n_customers: int
    as_of_s: int = START_S + N_DAYS * DAY_S

    @property
    def n_products(self) -> int:
        return len(self.category_row)

    @property
    def catalogue(self) -> Catalogue:
        """Where there are categories, most products have one of five brands and a title of one word too."""
        rows = np.arange(self.n_products)
        if not (self.category_row >= 0).any():
            return Catalogue.of(self.category_row)
        words = np.stack([rows % 7 == word for word in range(7)], axis=1) & (rows % 6 != 4)[:, None]
        return Catalogue.of(
            self.category_row,
            brand_row=np.where(rows % 6 == 5, -1, rows % 5).astype(np.int32),
            words=sparse.csr_array(words, dtype=np.float32),
        )

    def interactions(self, as_of_s: int | None = None) -> Interactions:
        return Interactions.build(
            self.customer_row,
            self.product_row,
            self.order_row,
            self.at_s,
            catalogue=self.catalogue,
            as_of_s=self.as_of_s if as_of_s is None else as_of_s,
            n_customers=self.n_customers,
        )

    def lines(self, places: np.ndarray) -> "Shop":
        """The shop with these of its lines, in this order."""
        return replace(
            self,
            customer_row=self.customer_row[places],
            product_row=self.product_row[places],
            order_row=self.order_row[places],
            at_s=self.at_s[places],
        )


type Orders = list[tuple[int, float, list[int]]]  # customer, day, products


def shop_of(orders: Orders, *, n_customers: int, n_products: int, n_categories: int = 3) -> Shop:
    """A shop of these orders; products go round the categories, and every fourth has none."""
    lines = [
        (customer, product, order, START_S + int(day * DAY_S))
        for order, (customer, day, products) in enumerate(orders)
        for product in products
    ]
    table = np.array(lines, np.int64).reshape(-1, 4)
    products = np.arange(n_products)
    category_row = np.where(products % 4 == 3, -1, products % max(n_categories, 1))
    return Shop(
        table[:, 0].astype(np.int32),
        table[:, 1].astype(np.int32),
        table[:, 2].astype(np.int32),
        table[:, 3],
        (category_row if n_categories else np.full(n_products, -1)).astype(np.int32),
        n_customers,
    )


def grocer(n_categories: int = 3) -> Shop:
    """45 customers who come every 3 to 9 days, mostly for their own few products."""
    rng = np.random.default_rng(1)
    orders: Orders = []
    for customer in range(45):
        staples = rng.choice(24, 5, replace=False)
        day, step = rng.uniform(0, 6), rng.uniform(3, 9)
        while day < N_DAYS:
            own = staples[rng.random(5) < 0.6].tolist()
            orders.append((customer, day, [*own, int(rng.integers(24))]))
            day += step * rng.uniform(0.7, 1.3)
    return shop_of(orders, n_customers=46, n_products=25, n_categories=n_categories)


def gift_shop() -> Shop:
    """60 customers, few orders, hardly a product twice: what sells goes with the season."""
    rng = np.random.default_rng(2)
    orders: Orders = []
    for customer in range(60):
        for day in np.sort(rng.uniform(0, N_DAYS, int(rng.integers(2, 6)))):
            season = int(day / N_DAYS * 20)
            orders.append((customer, float(day), (season + rng.choice(20, 4, replace=False)).tolist()))
    return shop_of(orders, n_customers=61, n_products=40)


def one_order_each() -> Shop:
    """Nobody came twice."""
    rng = np.random.default_rng(3)
    orders = [(c, rng.uniform(0, N_DAYS), rng.choice(11, 3, replace=False).tolist()) for c in range(40)]
    return shop_of(orders, n_customers=41, n_products=12)


def two_years() -> Shop:
    """25 customers over 500 days; what sells goes with the day of the year."""
    rng = np.random.default_rng(4)
    orders: Orders = []
    for customer in range(25):
        for day in np.sort(rng.uniform(0, 500, 16)):
            season = int(day % 365 / 365 * 20)
            orders.append((customer, float(day), (season + rng.choice(10, 3, replace=False)).tolist()))
    shop = shop_of(orders, n_customers=26, n_products=30)
    return replace(shop, as_of_s=START_S + 500 * DAY_S)


def single_product() -> Shop:
    """30 customers who all buy the one thing there is."""
    orders = [(customer, day + customer / 40, [0]) for customer in range(30) for day in range(0, N_DAYS, 6)]
    return shop_of(orders, n_customers=31, n_products=1)


def one_customer() -> Shop:
    orders = [(0, float(day), [day % 5, (day + 2) % 5]) for day in range(0, N_DAYS, 3)]
    return shop_of(orders, n_customers=1, n_products=6)


def no_categories() -> Shop:
    return grocer(n_categories=0)


def one_purchase() -> Shop:
    return shop_of([(1, 80.5, [2])], n_customers=3, n_products=4)


def nothing_sold() -> Shop:
    return shop_of([], n_customers=3, n_products=4)


def no_rows() -> Shop:
    return shop_of([], n_customers=0, n_products=0)


@cache
def market() -> Shop:
    """150 customers, each with a taste for one of three kinds: five staples, and something new each time.

    Large enough for a ranker to learn from, and not among SHOPS: all variants on it would take minutes.
    """
    rng = np.random.default_rng(5)
    kind = np.arange(120) % 3
    orders: Orders = []
    for customer in range(150):
        liked = np.flatnonzero(kind == customer % 3)
        staples = rng.choice(liked, 5, replace=False)
        day, step = rng.uniform(0, 8), rng.uniform(3, 8)
        while day < N_DAYS:
            own = staples[rng.random(5) < 0.5].tolist()
            orders.append((customer, day, [*own, *rng.choice(liked, 2, replace=False).tolist()]))
            day += step * rng.uniform(0.7, 1.3)
    return shop_of(orders, n_customers=151, n_products=121)


SHOPS: dict[str, Callable[[], Shop]] = {
    make.__name__: make
    for make in (
        *(grocer, gift_shop, two_years, one_order_each, single_product, one_customer),
        *(no_categories, one_purchase, nothing_sold, no_rows),
    )
}
