"""What interleaved lists say: for whom the first side was clicked more, for whom the second.

It screens: a variant that wins here is worth an A/B test, and no more than that. Customers are what varies:
one who clicks all day has one voice.
"""

import json
from dataclasses import dataclass
from math import sqrt

import polars as pl
from scipy.stats import binomtest

from experiments.interleaving import FIRST, SECOND
from experiments.logs.cohort import Cohort
from experiments.statistics.effects import Z

ADDED = 2  # voices on each side, of an interval


@dataclass(frozen=True)
class Preference:
    """Which side customers clicked more.

    Attributes:
        customers: who clicked something that counts for a side.
        first, second: how many of them clicked more of each; the others are ties.
        share: of the voices, ties half and half, that are for the first side; None without any.
        low, high: its 95 % interval over customers, with two voices more on each side (Agresti, Coull 1998):
            a few of one mind are no certainty.
        p: two-sided, of a fair coin (sign test without ties).
    """

    customers: int
    first: int
    second: int
    share: float | None
    low: float
    high: float
    p: float


def preference(cohort: Cohort, outcomes: pl.DataFrame, arm: int) -> Preference:
    """Who won for the customers of an arm whose lists were interleaved.

    Args:
        outcomes: by `frames.OUTCOMES`; clicks count by request and position, each place once.
    """
    shown = cohort.exposures.filter(pl.col("arm") == arm).join(cohort.customers, on="customer_id", how="semi")
    clicks = credited(shown, outcomes)
    votes = clicks.group_by("customer_id").agg(
        lead=(pl.col("team") == FIRST).sum().cast(pl.Int64) - (pl.col("team") == SECOND).sum().cast(pl.Int64)
    )
    first, second = int((votes["lead"] > 0).sum()), int((votes["lead"] < 0).sum())
    n = votes.height
    if not first + second:
        return Preference(n, first, second, 0.5 if n else None, 0.0, 1.0, 1.0)
    ties, more = n - first - second, n + 2 * ADDED
    middle = (first + ADDED + ties / 2) / more
    # A voice is 1, 0 or 1/2: its variance is that of these three.
    variance = ((first + ADDED + ties / 4) / more - middle * middle) / more
    half = Z * sqrt(variance)
    p = float(binomtest(first, first + second).pvalue)
    share = (first + ties / 2) / n
    return Preference(n, first, second, share, max(0.0, middle - half), min(1.0, middle + half), p)


def credited(exposures: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Customer and team of each place that was clicked, once."""
    clicks = clicked_places(outcomes)
    answers = exposures.unique(["request_id", "customer_id"], keep="first", maintain_order=True)
    shown = answers.select("request_id", "customer_id", "items")
    hit = clicks.join(shown, on=["request_id", "customer_id"], how="inner")
    places = zip(hit["items"].fill_null("").to_list(), hit["position"].to_list(), strict=True)
    teams = hit.select("customer_id", team=pl.Series([_team(*place) for place in places], dtype=pl.String))
    return teams.drop_nulls("team")


def _team(items: str, position: int) -> str | None:
    """The side of a place, None where it has none, or the text isn't the service's."""
    try:
        team = json.loads(items)[position - 1][3]
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    return team if team in (FIRST, SECOND) else None


def clicked_places(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Request, customer and position of each place that was clicked, once."""
    is_click = (pl.col("kind") == "click") & (pl.col("position") >= 1)
    return outcomes.filter(is_click).select("request_id", "customer_id", "position").unique()
