"""Whether an effect wears off: the primary metric by days since a customer's first exposure."""

import polars as pl

from experiments.judgement import Novelty
from experiments.logs.daily import Figures
from experiments.specification import Specification
from experiments.statistics.effects import of_means, of_ratios
from models.arrays import DAY_MS

LIKE = {"has_bought": "orders", "bought_again": "orders"}  # of a day, what stands for the whole window's


def novelty_of(specification: Specification, figures: Figures, now_ms: int) -> tuple[Novelty, ...]:
    """The difference on each day of the window, for customers whose window is over; none of a metric that
    days don't have, or of whose ratio both parts are a day's orders."""
    metric, days = specification.primary, specification.analysis.attribution_days
    names = metric.of_ratio if metric.kind == "ratio" else (metric.of_mean,)
    columns = [LIKE.get(name, name) for name in names]
    if not set(columns) <= set(figures.daily.columns) or len(set(columns)) < len(columns):
        return ()
    closed = figures.customers.filter(pl.col("first_ms") + days * DAY_MS <= now_ms).select(
        "customer_id", "arm"
    )
    found = []
    for day in range(days):
        of_day = figures.daily.filter(pl.col("day") == day).select("customer_id", *columns)
        seen = closed.join(of_day, on="customer_id", how="left").with_columns(pl.col(columns).fill_null(0.0))
        arm = seen["arm"].to_numpy()
        values = [seen[name].to_numpy() for name in columns]
        for number, name in enumerate(specification.arms[1:], start=1):
            sides = [[column[arm == side] for column in values] for side in (0, number)]
            if metric.kind == "ratio":
                effect = of_ratios((sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]))
            else:
                effect = of_means(sides[0][0], sides[1][0])
            if effect is not None:
                found.append(Novelty(name.name, day, effect.difference, effect.low, effect.high))
    return tuple(found)
