"""Logs of a made-up shop that ran an experiment, in the real format: what is true of it is given."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.assignment import Entry, arm_of
from experiments.logs.frames import EXPOSURES, OUTCOMES
from experiments.specification import Specification, hash_of, parse
from models.arrays import DAY_MS

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]

START = datetime(2025, 12, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
ITEMS = pl.Series(
    [json.dumps([[f"p{i + place}", 0.5, None, None] for place in range(3)]) for i in range(40)]
)  # of three products
NPS = (0.02, 0.01, 0.01, 0.02, 0.03, 0.06, 0.08, 0.17, 0.25, 0.2, 0.15)
CES = (0.05, 0.05, 0.1, 0.15, 0.25, 0.25, 0.15)

SPECIFICATION = """
[experiment]
id = "{id}"
hypothesis = "the ranker earns more than what is popular"
start = 2025-12-01
planned_days = 28
[[variants]]
name = "control"
weight = 0.5
model = "popular"
[[variants]]
name = "ranker"
weight = 0.5
model = "ranker"
[analysis]
planned_n = {planned_n}
[[metrics]]
name = "revenue_per_customer"
role = "primary"
cuped = true
mde = 0.1
[[metrics]]
name = "ctr"
role = "secondary"
kind = "ratio"
[[metrics]]
name = "conversion"
role = "secondary"
[[metrics]]
name = "units_per_customer"
role = "guardrail"
margin = 0.25
[[metrics]]
name = "clicks_per_customer"
column = "clicks"
role = "guardrail"
margin = 0.25
"""


@dataclass(frozen=True)
class Truth:
    """What is true of the shop.

    Attributes:
        customers: who come, evenly over the days.
        orders: of a customer in seven days, on average; customers differ much.
        lift: of the treatment's orders and clicks, 0 for none.
    """

    customers: int = 14_000
    days: int = 28
    orders: float = 0.08
    lift: float = 0.0
    answers: float = 2.0
    window_days: int = 7


def specification_of(
    name: str = "rec-2026-12", planned_n: int = 14_000, primary: str = "revenue_per_customer"
) -> Specification:
    """The experiment of these logs; `conversion` may be its primary metric, revenue a secondary one then."""
    names = {"revenue_per_customer": primary, primary: "revenue_per_customer"}
    found = parse(SPECIFICATION.format(id=name, planned_n=planned_n))
    metrics = tuple(one.model_copy(update={"name": names.get(one.name, one.name)}) for one in found.metrics)
    return found.model_copy(update={"metrics": metrics})


def at(days: float) -> datetime:
    """A moment of the experiment."""
    return START + timedelta(days=days)


def entry_of(specification: Specification) -> Entry:
    """A specification as the day assigns it, in all of its layer."""
    head = specification.experiment
    return Entry(
        head.id, head.version, hash_of(specification), head.layer, 0.0, head.traffic, specification.arms
    )


def logs(specification: Specification, truth: Truth, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Exposures and outcomes of everybody, in the order of time."""
    rng = np.random.default_rng(seed)
    n = truth.customers
    ids = [f"c{seed}-{i}" for i in range(n)]
    entry = entry_of(specification)
    names = {arm.name: number for number, arm in enumerate(specification.arms)}
    arm = np.array([names[arm_of(entry, customer).name] for customer in ids])
    first = START_MS + (rng.random(n) * truth.days * DAY_MS).astype(np.int64)
    factor = np.where(arm > 0, 1 + truth.lift, 1.0)
    exposures = _exposures(specification, ids, arm, first, truth, rng)
    parts = [
        *_purchases(ids, first, factor, truth, rng),
        _clicks(exposures, dict(zip(ids, factor, strict=True)), rng),
        *_surveys(ids, first, rng),
    ]
    outcomes = pl.concat([_whole(part) for part in parts]).sort("at_ms", maintain_order=True)
    return exposures, outcomes


def _exposures(
    specification: Specification,
    ids: list[str],
    arm: Ints,
    first: Ints,
    truth: Truth,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """One answer when a customer comes, and others within the window."""
    more = rng.geometric(1 / (1 + truth.answers), len(ids)) - 1
    row = np.concatenate([np.arange(len(ids)), np.repeat(np.arange(len(ids)), more)])
    later = (rng.random(more.sum()) * truth.window_days * DAY_MS).astype(np.int64)
    at_ms = first[row] + np.concatenate([np.zeros(len(ids), np.int64), later])
    order = np.argsort(at_ms, kind="stable")
    row, number = row[order], pl.Series(np.arange(len(row))).cast(pl.String)
    head = specification.experiment
    frame = pl.DataFrame(
        {
            "event_id": "x" + number,
            "request_id": "r" + number,
            "at_ms": at_ms[order],
            "customer_id": pl.Series(ids).gather(row),
            "variant": pl.Series([one.name for one in specification.arms]).gather(arm[row]),
            "items": ITEMS.gather(np.arange(len(row)) % len(ITEMS)),
            "latency_ms": rng.lognormal(0.5, 0.4, len(row)),
        }
    )
    return frame.select(
        *frame.columns,
        experiment_id=pl.lit(head.id),
        version=pl.lit(head.version),
        spec_hash=pl.lit(hash_of(specification)),
        layer=pl.lit(head.layer),
        is_forced=pl.lit(False),
        model_version=pl.lit("20261201T020000Z-00000001"),
        is_fallback=pl.lit(False),
        source=pl.lit("personal"),
        placement=pl.lit("home"),
        is_cached=pl.lit(False),
    ).select(pl.col(name).cast(kind) for name, kind in EXPOSURES.items())


def _purchases(
    ids: list[str], first: Ints, factor: Floats, truth: Truth, rng: np.random.Generator
) -> list[pl.DataFrame]:
    """Four weeks before and the window after: who bought much before buys much after."""
    taste = rng.gamma(0.5, 2.0, len(ids)) * truth.orders
    basket = rng.lognormal(0.0, 0.5, len(ids))
    parts = []
    for name, days, start, rate in (("b", 28, -28, taste * 4), ("a", truth.window_days, 0, taste * factor)):
        row = np.repeat(np.arange(len(ids)), rng.poisson(rate))
        since = ((start + rng.random(len(row)) * days) * DAY_MS).astype(np.int64)
        number = name + pl.Series(np.arange(len(row))).cast(pl.String)
        parts.append(
            pl.DataFrame(
                {
                    "event_id": number,
                    "order_id": "o" + number,
                    "customer_id": pl.Series(ids).gather(row),
                    "at_ms": first[row] + since,
                    "units": 1.0 + rng.poisson(1.0, len(row)),
                    "revenue": np.round(20 * basket[row] * rng.lognormal(0.0, 0.6, len(row)), 2),
                }
            ).with_columns(kind=pl.lit("purchase"), product_id=pl.lit("p1"))
        )
    return parts


def _clicks(exposures: pl.DataFrame, factors: dict[str, float], rng: np.random.Generator) -> pl.DataFrame:
    """Some customers click on nearly every answer, most on none: impressions aren't independent."""
    people = exposures["customer_id"].unique(maintain_order=True)
    habit = rng.beta(0.15, 1.0, len(people)) * np.array([factors[one] for one in people])
    chance = exposures["customer_id"].replace_strict(people, pl.Series(habit)).to_numpy()
    chosen = exposures.filter(pl.Series(rng.random(exposures.height) < chance))
    return chosen.select(
        "customer_id",
        "request_id",
        event_id="k" + pl.col("event_id"),
        at_ms=pl.col("at_ms") + 5000,
        kind=pl.lit("click"),
        position=pl.lit(1),
        product_id=pl.lit("p1"),
    )


def _surveys(ids: list[str], first: Ints, rng: np.random.Generator) -> list[pl.DataFrame]:
    """A fifth answer how likely they recommend the shop, others how easy it was."""
    parts = []
    for question, low, shares in (("nps", 0, NPS), ("ces", 1, CES)):
        row = np.flatnonzero(rng.random(len(ids)) < 0.2)
        score = low + rng.choice(len(shares), len(row), p=shares)
        parts.append(
            pl.DataFrame(
                {
                    "event_id": question + pl.Series(row).cast(pl.String),
                    "customer_id": pl.Series(ids).gather(row),
                    "at_ms": first[row] + DAY_MS,
                    "score": score,
                }
            ).with_columns(kind=pl.lit("survey"), question=pl.lit(question))
        )
    return parts


def _whole(part: pl.DataFrame) -> pl.DataFrame:
    """With all columns of the log."""
    return part.select(
        (pl.col(name) if name in part.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in OUTCOMES.items()
    )


def purchases(n_customers: int = 400, price: float | None = 10.0) -> pl.DataFrame:
    """A version's purchases: customers with habits, so that the weeks before explain the week after."""
    days, rng = 60, np.random.default_rng(6)
    rate = rng.gamma(1.0, 0.3, n_customers)
    customer = np.repeat(np.arange(n_customers), rng.poisson(rate * days))
    seconds = rng.integers(0, days * 86_400, len(customer))
    return pl.DataFrame(
        {
            "customer_id": [f"c{one}" for one in customer],
            "product_id": "p1",
            "order_row": np.arange(len(customer)),
            "purchased_at": [START - timedelta(seconds=int(second)) for second in seconds],
            "quantity": 1.0,
            "unit_price": price,
            "discount": None,
        },
        schema_overrides={"unit_price": pl.Float32, "discount": pl.Float32, "quantity": pl.Float32},
    )
