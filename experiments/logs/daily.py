"""From logs to figures: what each customer did on each day of the window, and before it."""

from dataclasses import dataclass

import polars as pl

from experiments.logs.cohort import ITEM, Cohort
from experiments.logs.frames import IS_TRADE
from experiments.specification import BEFORE, Analysis
from models.arrays import DAY_MS

SKEW_MS = 60_000  # a click may be written before the answer that it follows, by this much
SUMS = ("revenue", "orders", "units", "clicks", "impressions", "answers", "fallbacks", "latency_ms")


@dataclass(frozen=True, eq=False)
class Figures:
    """What the cohort did.

    Attributes:
        daily: one row for each customer and day on which something happened; `day` is counted from the first
            exposure, in whole days of 24 hours.
        customers: one row for each customer in the order of the first exposure: arm, first_ms, is_new (bought
            nothing in the days before), the columns that metrics know over the window
            (`specification.COLUMNS`), `before_` some of them in the days before, `nps` and `ces` the last
            answer, null for none.
        counts: of outcomes, by what became of them.
    """

    daily: pl.DataFrame
    customers: pl.DataFrame
    counts: dict[str, int]


def figures_of(cohort: Cohort, outcomes: pl.DataFrame, analysis: Analysis, now_ms: int) -> Figures:
    """Every customer's figures, over the window and before it.

    Args:
        outcomes: by `frames.OUTCOMES`, in the order of arrival.
        now_ms: what is later isn't known yet.
    """
    past = outcomes.filter(pl.col("at_ms") <= now_ms)
    once = past.unique("event_id", keep="first", maintain_order=True)
    late = once["at_ms"].cum_max() - once["at_ms"]
    people = cohort.customers.select("customer_id", "first_ms")
    theirs = once.join(people, on="customer_id", how="inner", maintain_order="left")
    answers = cohort.exposures.select("request_id", "customer_id", answered_ms="at_ms").unique(
        ["request_id", "customer_id"], keep="first", maintain_order=True
    )
    theirs = theirs.join(answers, on=["request_id", "customer_id"], how="left", maintain_order="left")
    is_click = pl.col("kind") == "click"
    # By a clock that is behind, a click comes before what it follows.
    happened = pl.when(is_click).then(pl.max_horizontal("at_ms", "answered_ms")).otherwise("at_ms")
    theirs = theirs.with_columns(since=happened - pl.col("first_ms"))
    counts = {
        "outcomes": outcomes.height,
        "later than now": outcomes.height - past.height,
        "duplicates": past.height - once.height,
        "of nobody here": once.height - theirs.height,
        "out of order": int((late > 0).sum()),
        "more than a day late": int((late > DAY_MS).sum()),
        "trade without a price": theirs.filter(IS_TRADE & pl.col("revenue").is_null()).height,
        "clicks": theirs.filter(is_click).height,
        "clicks on no answer here": theirs.filter(
            is_click & pl.col("request_id").is_not_null() & pl.col("answered_ms").is_null()
        ).height,
        "clicks before their answer": theirs.filter(
            is_click & (pl.col("at_ms") < pl.col("answered_ms") - SKEW_MS)
        ).height,
    }
    window = analysis.attribution_days * DAY_MS
    during = theirs.filter((pl.col("since") >= 0) & (pl.col("since") < window))
    before = theirs.filter((pl.col("since") < 0) & (pl.col("since") >= -analysis.cuped_days * DAY_MS))
    daily = _daily(_shown(cohort, people, window), _done(during))
    customers = (
        cohort.customers.join(_summed(daily), on="customer_id", how="left", maintain_order="left")
        .join(_before(before), on="customer_id", how="left", maintain_order="left")
        .join(_surveys(during), on="customer_id", how="left", maintain_order="left")
        .join(_products(cohort, people, window), on="customer_id", how="left", maintain_order="left")
    )
    scores = {"nps", "ces"}
    filled = customers.with_columns(pl.exclude("customer_id", "arm", "first_ms", *scores).fill_null(0))
    returning = before.filter(pl.col("kind") == "purchase")["customer_id"]
    return Figures(
        daily, filled.with_columns(is_new=~pl.col("customer_id").is_in(returning.unique().implode())), counts
    )


def _shown(cohort: Cohort, people: pl.DataFrame, window: int) -> pl.DataFrame:
    """What customers were shown on each of their days."""
    return (
        cohort.exposures.join(people, on="customer_id", how="inner", maintain_order="left")
        .with_columns(since=pl.col("at_ms") - pl.col("first_ms"))
        .filter(pl.col("since") < window)
        .group_by("customer_id", day=pl.col("since") // DAY_MS, maintain_order=True)
        .agg(
            answers=pl.len().cast(pl.Float64),
            impressions=pl.col("items").str.count_matches(ITEM).sum().cast(pl.Float64),
            fallbacks=pl.col("is_fallback").sum().cast(pl.Float64),
            latency_ms=pl.col("latency_ms").sum(),
        )
    )


def _done(lines: pl.DataFrame) -> pl.DataFrame:
    """What customers did on each of their days; an order is of the day of its first line, and a place of an
    answer is clicked once."""
    clicks = (
        lines.filter(
            (pl.col("kind") == "click")
            & (pl.col("request_id").is_null() | pl.col("answered_ms").is_not_null())
        )
        .with_columns(answer=pl.coalesce("request_id", "event_id"))
        .unique(["customer_id", "answer", "position", "product_id"], keep="first", maintain_order=True)
        .group_by("customer_id", day=pl.col("since") // DAY_MS, maintain_order=True)
        .agg(clicks=pl.len().cast(pl.Float64))
    )
    bought = (
        _orders(lines)
        .group_by("customer_id", "day", maintain_order=True)
        .agg(pl.col("revenue", "units", "orders").sum())
    )
    return bought.join(
        clicks, on=["customer_id", "day"], how="full", coalesce=True, maintain_order="left_right"
    )


def _orders(lines: pl.DataFrame) -> pl.DataFrame:
    """Orders and returns with day, revenue and units; without an order_id, a day's purchases are one."""
    day = pl.col("since") // DAY_MS
    return (
        lines.filter(IS_TRADE)
        .with_columns(
            is_order=pl.col("kind") == "purchase", day_alone=pl.when(pl.col("order_id").is_null()).then(day)
        )
        .group_by("customer_id", "order_id", "day_alone", "is_order", maintain_order=True)
        .agg(day=day.min(), revenue=pl.col("revenue").sum(), units=pl.col("units").sum())
        .with_columns(orders=pl.col("is_order").cast(pl.Float64))
    )


def _daily(shown: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    both = shown.join(done, on=["customer_id", "day"], how="full", coalesce=True, maintain_order="left_right")
    return both.with_columns(pl.col(SUMS).fill_null(0.0))


def _summed(daily: pl.DataFrame) -> pl.DataFrame:
    return (
        daily.group_by("customer_id", maintain_order=True)
        .agg(pl.col(SUMS).sum())
        .with_columns(_has_bought(), _bought_again())
    )


def _before(lines: pl.DataFrame) -> pl.DataFrame:
    bought = (
        _orders(lines)
        .group_by("customer_id", maintain_order=True)
        .agg(pl.col("revenue", "units", "orders").sum())
    )
    clicks = (
        lines.filter(pl.col("kind") == "click").group_by("customer_id").agg(clicks=pl.len().cast(pl.Float64))
    )
    both = bought.join(clicks, on="customer_id", how="full", coalesce=True).fill_null(0.0)
    both = both.with_columns(_has_bought(), _bought_again())
    return both.rename({name: f"before_{name}" for name in BEFORE})


def _has_bought() -> pl.Expr:
    return (pl.col("orders") > 0).cast(pl.Float64).alias("has_bought")


def _bought_again() -> pl.Expr:
    return (pl.col("orders") > 1).cast(pl.Float64).alias("bought_again")


def _surveys(lines: pl.DataFrame) -> pl.DataFrame:
    """A line without a score says that a question was asked; the last answer to each counts.

    A question is asked and answered once in a window: reminders, and an answer that comes as another line
    than the asking, make no second one.
    """
    asked = lines.filter(pl.col("kind") == "survey").sort("at_ms", maintain_order=True)
    score, question = pl.col("score").cast(pl.Float64), pl.col("question")
    return asked.group_by("customer_id").agg(
        surveys_asked=question.n_unique().cast(pl.Float64),
        surveys_answered=question.filter(score.is_not_null()).n_unique().cast(pl.Float64),
        nps=score.filter((pl.col("question") == "nps") & score.is_not_null()).last(),
        ces=score.filter((pl.col("question") == "ces") & score.is_not_null()).last(),
    )


def _products(cohort: Cohort, people: pl.DataFrame, window: int) -> pl.DataFrame:
    """How many different products each customer was shown."""
    return (
        shown_products(cohort.exposures.join(people, on="customer_id", how="inner"), window)
        .group_by("customer_id")
        .agg(products_shown=pl.col("product").n_unique().cast(pl.Float64))
    )


def shown_products(exposures: pl.DataFrame, window: int) -> pl.DataFrame:
    """Customer and product, a row for each time that one was shown within the window."""
    return (
        exposures.filter(pl.col("at_ms") - pl.col("first_ms") < window)
        .select("customer_id", "arm", product=pl.col("items").str.extract_all(ITEM + r'((?:[^"\\]|\\.)*)"'))
        .explode("product")
        .drop_nulls("product")
    )
