"""Customers who never were: they come back, look, click and buy as a shop's history says its customers do.

What they like is known, so what a variant earns is known too, and a report can be checked against it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.arrays import DAY_S

type Lists = Callable[[str], Sequence[str]]
"""What a customer is shown, best first."""

OWN = 0.8  # of a taste; the rest is what everybody buys
LOOKS_ON = 0.9  # to the next place of a list
BUYS = 0.5  # of what is clicked
ANSWERS = 0.3  # of those who bought, a survey
VISITS_A_DAY = (0.02, 0.5)
NPS = (0.02, 0.01, 0.01, 0.02, 0.03, 0.06, 0.08, 0.17, 0.25, 0.2, 0.15)


@dataclass(frozen=True, eq=False)
class Taste:
    """What one customer likes and how often they come.

    Attributes:
        own: of the products that they bought, the share of their lines; sums to 1.
        lines: of an order, on average.
        visits_a_day: the probability that they come on a day.
    """

    own: Mapping[str, float]
    lines: float
    visits_a_day: float


@dataclass(frozen=True, slots=True)
class Bought:
    """A line of an order; `position` in the list from 1, 0 of what they came for anyway."""

    product_id: str
    position: int


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a list.

    Attributes:
        nps: the answer to the survey that everybody who bought is asked; None without one.
    """

    clicked: tuple[Bought, ...]
    bought: tuple[Bought, ...]
    nps: int | None


class SimulatedShop:
    """A shop's customers, fitted on its purchases.

    Args:
        purchases: a version's `purchases.parquet`.
        most: customers that are drawn of it, by the seed.
        lift: of what is bought from a list, for variants that have one: .1 is a tenth more.
    """

    def __init__(self, purchases: pl.DataFrame, *, most: int, lift: float, seed: int) -> None:
        self.lift = lift
        self.prices = _prices(purchases)
        self._popular = _shares(purchases["product_id"])
        self.tastes = _tastes(purchases, most, seed)

    def clicks(self, taste: Taste, product_id: str) -> float:
        """The probability that a product that is looked at is clicked."""
        liking = OWN * taste.own.get(product_id, 0.0) + (1 - OWN) * self._popular.get(product_id, 0.0)
        return 1 - float(np.exp(-taste.lines * liking))

    def visit(self, taste: Taste, shown: Sequence[str], *, has_lift: bool, rng: np.random.Generator) -> Visit:
        """What a customer does with a list, and what they buy anyway."""
        clicked, bought = [], []
        for position, product_id in enumerate(shown, 1):
            if rng.random() < self.clicks(taste, product_id):
                clicked.append(Bought(product_id, position))
                if rng.random() < self._buys(has_lift):
                    bought.append(clicked[-1])
            if rng.random() > LOOKS_ON:
                break
        products, weights = list(taste.own), np.array(list(taste.own.values()))
        n = int(rng.poisson(taste.lines * (1 - BUYS)))
        bought += [Bought(products[i], 0) for i in rng.choice(len(products), n, p=weights)]
        answers = bool(bought) and rng.random() < ANSWERS
        return Visit(tuple(clicked), tuple(bought), int(rng.choice(11, p=NPS)) if answers else None)

    def clicks_of(self, taste: Taste, shown: Sequence[str]) -> float:
        """How many clicks a list gets on average."""
        return float(sum(LOOKS_ON**at * self.clicks(taste, product) for at, product in enumerate(shown)))

    def worth(self, taste: Taste, shown: Sequence[str], *, has_lift: bool) -> float:
        """What a visit with this list earns on average."""
        looks = LOOKS_ON ** np.arange(len(shown))
        clicks = np.array([self.clicks(taste, product_id) for product_id in shown])
        prices = np.array([self.prices.get(product_id, 0.0) for product_id in shown])
        own = sum(share * self.prices.get(product_id, 0.0) for product_id, share in taste.own.items())
        from_list = float((looks * clicks * prices).sum()) * self._buys(has_lift)
        return from_list + own * taste.lines * (1 - BUYS)

    def truth(self, lists: Mapping[str, Lists], *, control: str, days: int, most: int) -> dict[str, float]:
        """What each variant earns of a customer in so many days after the first visit, as a change of what
        the control earns. Of lists as they are now: what is bought meanwhile changes them for all variants.

        Args:
            lists: what each variant shows.
            most: customers that are asked about.
        """
        some = list(self.tastes.items())[:most]
        earned = {
            arm: sum(
                (1 + taste.visits_a_day * days)
                * self.worth(taste, shown(customer_id), has_lift=arm != control)
                for customer_id, taste in some
            )
            for arm, shown in lists.items()
        }
        return {arm: value / earned[control] - 1 for arm, value in earned.items()}

    def _buys(self, has_lift: bool) -> float:
        return min(BUYS * (1 + self.lift * has_lift), 1.0)


def _prices(purchases: pl.DataFrame) -> dict[str, float]:
    paid = pl.col("unit_price").median().fill_null(1.0)
    return dict(purchases.group_by("product_id").agg(paid).iter_rows())


def _shares(products: pl.Series) -> dict[str, float]:
    counts = products.value_counts(sort=True)
    return {product_id: n / len(products) for product_id, n in counts.iter_rows()}


def _tastes(purchases: pl.DataFrame, most: int, seed: int) -> dict[str, Taste]:
    span_days = _days(purchases["purchased_at"])
    customers = purchases["customer_id"].unique().sort()
    chosen = customers.sample(min(most, len(customers)), seed=seed, shuffle=True)
    low, high = VISITS_A_DAY
    tastes = {}
    of_chosen = purchases.filter(pl.col("customer_id").is_in(chosen.implode()))
    for (customer_id,), lines in of_chosen.sort("customer_id").group_by("customer_id", maintain_order=True):
        orders = lines["order_row"].n_unique()
        visits = min(max(orders / span_days, low), high)
        tastes[str(customer_id)] = Taste(_shares(lines["product_id"]), lines.height / orders, visits)
    return tastes


def _days(times: pl.Series) -> float:
    return max(float(np.ptp(times.dt.epoch("s").to_numpy())) / DAY_S, 1.0)
