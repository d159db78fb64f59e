"""Who is judged: each customer's first exposure, without those who saw two variants."""

from dataclasses import dataclass

import polars as pl

from experiments.errors import BadLogError
from experiments.specification import Specification, hash_of
from models.arrays import DAY_MS

# An item begins with its id; a bracket and a quote follow each other nowhere else: `["` in an id is `[\"`.
ITEM = r'\[\s*"'
WHOLE = ("event_id", "customer_id", "at_ms", "is_forced", "spec_hash")  # without one a line would pass unseen
FIGURES = ("units", "revenue", "latency_ms")


@dataclass(frozen=True, eq=False)
class Cohort:
    """The exposures of one version of an experiment, and whom they make up.

    Attributes:
        exposures: those that count, in the order of time, with `arm`, the number of their variant.
        customers: customer_id, arm, first_ms, one row each in the order of the first exposure; no crossovers.
        counts: of exposures, by what became of them; `crossovers` and `customers` are of customers.
    """

    exposures: pl.DataFrame
    customers: pl.DataFrame
    counts: dict[str, int]


def check_log(frame: pl.DataFrame, schema: pl.Schema, where: str) -> pl.DataFrame:
    """The log with the contract's columns and types.

    Raises:
        BadLogError: a column is missing, has another type, or has holes where there may be none; or a figure
            isn't finite, which would make every mean that it is part of unknown.
    """
    missing = [name for name in schema if name not in frame.columns]
    if missing:
        raise BadLogError(where, f"has no column {', '.join(missing)}")
    if (kind := frame.schema["at_ms"]).is_temporal():  # a cast would take microseconds for milliseconds
        raise BadLogError(where, f"at_ms is of type {kind}: it is a number, Unix milliseconds")
    try:
        frame = frame.select(pl.col(name).cast(wanted) for name, wanted in schema.items())
    except pl.exceptions.PolarsError as err:
        raise BadLogError(where, f"a column has another type ({err})") from err
    for name in (name for name in WHOLE if name in schema):
        if holes := frame[name].null_count():
            raise BadLogError(where, f"{name} is empty in {holes:,} lines")
    for name in (name for name in FIGURES if name in schema):
        if wrong := int((~frame[name].is_finite()).sum()):
            raise BadLogError(where, f"{name} is no finite number in {wrong:,} lines")
    return frame


def cohort_of(specification: Specification, exposures: pl.DataFrame, now_ms: int) -> Cohort:
    """Those who take part, from a log in the order of arrival.

    Args:
        exposures: by `frames.EXPOSURES`; lines of other experiments and versions are passed over.
        now_ms: what is later isn't known yet.
    """
    head = specification.experiment
    own = exposures.filter((pl.col("experiment_id") == head.id) & (pl.col("version") == head.version))
    past = own.filter(pl.col("at_ms") <= now_ms)
    once = past.unique("event_id", keep="first", maintain_order=True)
    late = once["at_ms"].cum_max() - once["at_ms"]
    is_early = pl.col("at_ms") < start_ms(specification) - DAY_MS // 2  # the shop's midnight is another one
    names = {arm.name: number for number, arm in enumerate(specification.arms)}
    known = once.filter(~pl.col("is_forced") & pl.col("variant").is_in(list(names)))
    counted = (
        known.filter(~is_early)
        .with_columns(arm=pl.col("variant").replace_strict(names, return_dtype=pl.Int32))
        .sort("at_ms", maintain_order=True)
    )
    customers = counted.group_by("customer_id", maintain_order=True).agg(
        pl.col("arm").first(), first_ms=pl.col("at_ms").first(), n_arms=pl.col("arm").n_unique()
    )
    staying = customers.filter(pl.col("n_arms") == 1).drop("n_arms")
    return Cohort(
        counted,
        staying,
        {
            "exposures": own.height,
            "later than now": own.height - past.height,
            "duplicates": past.height - once.height,
            "forced": int(once["is_forced"].sum()),
            "of no variant": once.filter(~pl.col("is_forced")).height - known.height,
            "of another specification": once.filter(pl.col("spec_hash") != hash_of(specification)).height,
            "out of order": int((late > 0).sum()),
            "more than a day late": int((late > DAY_MS).sum()),
            "before the start": once.filter(is_early).height,
            "counted": counted.height,
            "customers": staying.height,
            "crossovers": customers.height - staying.height,
        },
    )


def start_ms(specification: Specification) -> int:
    """Midnight of the first day, UTC, in Unix milliseconds."""
    start = specification.experiment.start
    return (start.toordinal() - 719_163) * DAY_MS
