"""What the champion's night left of the shop's purchases: of whom they may be looked at, and as outcomes."""

from collections.abc import Sequence

import polars as pl

from experiments.logs.frames import OUTCOMES
from experiments.logs.sources import read_log
from storage.local_days import are_dates, ends_s, local_days
from storage.record.consent import Consent
from storage.record.personal import allowing
from storage.record.record import Record
from storage.versions.manifest import Manifest
from storage.versions.store import Store
from storage.versions.version import PURCHASES

NEEDED = ("personalise", "experiment")  # consents of those who may take part


def champion_purchases(store: Store) -> tuple[pl.DataFrame, Manifest]:
    """The purchases beside the version that answers now, and what that says of itself.

    Raises:
        NoChampionError: no night has published yet.
    """
    version = store.open(store.require_champion().current.version_id, verify=False)
    return read_log(version.folder / PURCHASES), version.manifest


def purchases_to_plan_on(store: Store, record: Record | None, default: Consent) -> pl.DataFrame:
    """The same of customers who may take part in an experiment: not of those who were erased since the night,
    nor of those who allow no experiments or no personal answers.

    Args:
        record: None where there is none: then nobody said anything.
        default: of those who said nothing.
    Raises:
        NoChampionError: no night has published yet.
        RecordUnavailableError: it can't be read.
    """
    purchases, manifest = champion_purchases(store)
    if record is not None:
        return purchases_of_those(purchases, manifest, record, NEEDED, default)
    return purchases if all(getattr(default, name) for name in NEEDED) else purchases.clear()


def purchases_of_those(
    purchases: pl.DataFrame, manifest: Manifest, record: Record, consents: Sequence[str], default: Consent
) -> pl.DataFrame:
    """Those of customers who allow all of this, and of nobody who was erased since the night.

    Args:
        purchases, manifest: of one version.
    Raises:
        RecordUnavailableError: it can't be read.
    """
    customer_ids = purchases["customer_id"].unique().to_list()
    may = allowing(record, customer_ids, consents, tombstone=manifest.history.tombstone or 0, default=default)
    if all(may):
        return purchases
    return purchases.filter(pl.col("customer_id").is_in(pl.Series(customer_ids).filter(pl.Series(may))))


def outcomes_of(purchases: pl.DataFrame) -> pl.DataFrame:
    """The purchases of a version's `purchases.parquet` as a log of outcomes."""
    paid = pl.col("quantity") * pl.col("unit_price") - pl.col("discount").fill_null(0.0)
    frame = purchases.with_row_index("line").select(
        event_id=pl.col("line").cast(pl.String),
        customer_id="customer_id",
        kind=pl.lit("purchase"),
        at_ms=pl.col("purchased_at").dt.epoch("ms"),
        order_id=pl.col("order_row").cast(pl.String),
        product_id="product_id",
        units=pl.col("quantity").fill_null(1.0),
        revenue=paid,
        request_id=pl.lit(None),
        position=pl.lit(None),
        question=pl.lit(None),
        score=pl.lit(None),
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in OUTCOMES.items())


def at_the_days_end(outcomes: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """The same, with what a history knows by its day alone, which reads as local midnight, at that day's end:
    who was shown a variant and bought on one day bought afterwards."""
    at_s, days = outcomes["at_ms"] // 1000, local_days(outcomes["at_ms"] // 1000, timezone)
    end_of = {day: ends_s(day, timezone) * 1000 + 999 for day in days.unique()}
    end_ms = days.replace_strict(end_of, return_dtype=pl.Int64)
    is_date = are_dates(at_s, timezone) & (outcomes["at_ms"] % 1000 == 0)
    return outcomes.with_columns(at_ms=end_ms.zip_with(is_date, outcomes["at_ms"]))
