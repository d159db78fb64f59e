"""Where the report finds everything in a shop that runs: the record, and what the night left of purchases."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime

import polars as pl

from experiments.errors import UnknownExperimentError
from experiments.judge import judge, open_case
from experiments.judgement import Judgement
from experiments.logs.frames import IS_TRADE, OUTCOMES
from experiments.logs.purchases import (
    NEEDED,
    at_the_days_end,
    champion_purchases,
    outcomes_of,
    purchases_of_those,
)
from experiments.logs.sources import Logs
from experiments.reports.words import moment
from experiments.specification import Specification, parse
from experiments.statistics.looks import Ledger, Look
from models.arrays import DAY_MS
from models.errors import NoChampionError
from storage.record.consent import PRESETS
from storage.record.experiments import State, find_experiment, keep_looks, looks_of
from storage.record.exposure_log import read_exposures, read_lost, read_outcomes
from storage.record.personal import what_they_say
from storage.record.record import Record
from storage.versions.store import Store

PRICED = ("customer_id", "product_id", "kind", "at_ms", "units", "revenue")


def recorded_specification(record: Record, experiment_id: str, version: int | None) -> Specification:
    """The specification that an experiment was started with, of its newest version without a number.

    Raises:
        UnknownExperimentError: the record has no such experiment.
    """
    with record.reading() as connection:
        found = find_experiment(connection, experiment_id, version)
    if found is None:
        raise UnknownExperimentError(experiment_id, version)
    return parse(found.content, f"{experiment_id} version {found.version}")


def judged_by_record(record: Record, store: Store, specification: Specification, now: datetime) -> Judgement:
    """An experiment judged as of a moment by what the record and the store hold; looks are kept there."""
    logs = recorded_logs(record, store, specification, now)
    found = judged(specification, logs, now, RecordLedger(record))
    notes = notes_of(record, specification, now)
    if logs.withdrawn:
        many = f"{logs.withdrawn:,} customers allow no experiments any more, or no personal answers"
        notes = (*notes, f"{many}: they are left out.")
    return replace(found, notes=(*notes, *found.notes))


def judged(specification: Specification, logs: Logs, now: datetime, ledger: Ledger) -> Judgement:
    """Looks are kept before anybody reads the report: what was seen is spent."""
    case = open_case(specification, logs.exposures, logs.outcomes, now, dropped=logs.dropped)
    head = specification.experiment
    found = judge(case, ledger.looks(head.id, head.version))
    ledger.add(found.new_looks)
    return found


def notes_of(record: Record, specification: Specification, now: datetime) -> tuple[str, ...]:
    """What the reader of a report must know of where the experiment stands."""
    head = specification.experiment
    with record.reading() as connection:
        found = find_experiment(connection, head.id, head.version)
    if found is None:
        return ()
    if found.is_scheduled(int(now.timestamp() * 1000)):
        return (f"It is scheduled: nobody comes before {moment(found.started_ms)} UTC.",)
    if found.state is State.RUNNING:
        return ()
    if found.ended_ms is None:
        return ("It is paused: nobody comes.",)
    return (f"It was {found.state} at {moment(found.ended_ms)} UTC: nobody comes any more.",)


def recorded_logs(record: Record, store: Store, specification: Specification, now: datetime) -> Logs:
    """Both logs of an experiment, and how many exposures were lost."""
    head = specification.experiment
    every = read_exposures(record, head.id, head.version)
    unwilling = unwilling_of(record, every["customer_id"].unique().to_list())
    exposures = every.filter(~pl.col("customer_id").is_in(unwilling))
    now_ms = int(now.timestamp() * 1000)
    first_ms = int(exposures["at_ms"].to_numpy().min()) if exposures.height else now_ms
    since_ms = first_ms - specification.analysis.cuped_days * DAY_MS
    events = read_outcomes(record, since_ms, now_ms + 1)
    purchases, as_of_ms = night_purchases(record, store)
    outcomes = joined(priced(events, purchases), purchases, as_of_ms, since_ms)
    lost = read_lost(record, head.id, head.version)
    return Logs(exposures, outcomes, lost, withdrawn=len(unwilling))


def unwilling_of(record: Record, customer_ids: Sequence[str]) -> list[str]:
    """Those who say now that they don't take part; whoever says nothing took part by the shop's default."""
    with record.reading() as connection:
        told = [what_they_say(connection, customer_ids, consent) for consent in NEEDED]
    return sorted({customer_id for words in told for customer_id, said in words.items() if said is False})


def night_purchases(record: Record, store: Store) -> tuple[pl.DataFrame, int]:
    """What the champion's night knew, as outcomes, and until when; nothing where no night has published, and
    nothing of those who were erased since: they may have come back as somebody new."""
    try:
        purchases, manifest = champion_purchases(store)
    except NoChampionError:
        return pl.DataFrame(schema=OUTCOMES), 0
    kept = purchases_of_those(purchases, manifest, record, (), PRESETS["all"])
    known = at_the_days_end(outcomes_of(kept), manifest.history.timezone)
    return known, int(manifest.as_of.timestamp() * 1000)


def priced(events: pl.DataFrame, purchases: pl.DataFrame) -> pl.DataFrame:
    """Events, with what those count that came without a price: a return says none, and a purchase needn't.

    It is the price that the customer last paid for the product, else the one that anybody did; null where the
    product wasn't sold before.
    """
    found = events.with_row_index("place").filter(IS_TRADE & pl.col("revenue").is_null())
    is_asked = pl.col("product_id").is_in(found["product_id"].unique().implode())
    sold = pl.concat([purchases.select(PRICED), events.select(PRICED)]).filter(
        is_asked & (pl.col("kind") == "purchase") & pl.col("revenue").is_not_null() & (pl.col("units") > 0)
    )
    prices = sold.select("customer_id", "product_id", "at_ms", price=pl.col("revenue") / pl.col("units"))
    for keys in (["customer_id", "product_id"], ["product_id"]):
        last = prices.select(*keys, "at_ms", "price").sort("at_ms", maintain_order=True)
        found = (
            found.sort("at_ms", maintain_order=True)
            .join_asof(last, on="at_ms", by=keys, check_sortedness=False)
            .with_columns(revenue=pl.coalesce("revenue", pl.col("units") * pl.col("price")))
            .drop("price")
        )
    filled = found.select("place", filled="revenue")
    return (
        events.with_row_index("place")
        .join(filled, on="place", how="left", maintain_order="left")
        .with_columns(revenue=pl.coalesce("revenue", "filled"))
        .drop("place", "filled")
    )


def joined(events: pl.DataFrame, purchases: pl.DataFrame, as_of_ms: int, since_ms: int) -> pl.DataFrame:
    """Events and the night's purchases, no purchase twice.

    The night has joined what was recorded before its as_of with the shop's own history, and taken returns
    off: of the customers that it knows, trade before as_of is the night's, everything else is the record's.
    But where a history knows its last day by its date alone, the night's end lies early on that day: what it
    says that a customer bought then is not bought once more by what was recorded later on that day.
    Events stay in the order of arrival, the night's purchases stand where they are neither early nor late.
    """
    known = purchases["customer_id"].unique().implode()
    is_nights = IS_TRADE & (pl.col("at_ms") < as_of_ms) & pl.col("customer_id").is_in(known)
    of_last_day = purchases.filter(pl.col("at_ms") >= as_of_ms).select(
        "customer_id", "product_id", day_ends_ms="at_ms", kind=pl.lit("purchase")
    )
    own = purchases.filter(pl.col("at_ms") >= since_ms)  # all of it is before as_of, or on that day
    for name in ("event_id", "order_id"):  # other numbers than the record's
        own = own.with_columns((pl.lit("night ") + pl.col(name)).alias(name))
    others = events.filter(~is_nights).join(
        of_last_day.unique(["customer_id", "product_id"]),
        on=["customer_id", "product_id", "kind"],
        how="left",
        maintain_order="left",
    )
    is_again = (pl.col("at_ms") <= pl.col("day_ends_ms")).fill_null(value=False)
    rest = others.filter(~is_again).select(pl.col(name).cast(kind) for name, kind in OUTCOMES.items())
    arrived = (own.with_columns(arrived="at_ms"), rest.with_columns(arrived=pl.col("at_ms").cum_max()))
    both = pl.concat(arrived)
    return both.sort("arrived", maintain_order=True).drop("arrived")


@dataclass(frozen=True)
class RecordLedger:
    """Looks in the record."""

    record: Record

    def looks(self, experiment_id: str, version: int) -> list[Look]:
        with self.record.reading() as connection:
            kept = looks_of(connection, experiment_id, version)
        return [Look(**json.loads(content)) for content in kept.values()]

    def add(self, looks: Sequence[Look]) -> None:
        for look in looks:
            content = {(look.metric, look.arm, day_of(look)): json.dumps(asdict(look))}
            with self.record.writing() as connection:
                keep_looks(connection, look.experiment_id, look.version, content)


def day_of(look: Look) -> date:
    return datetime.fromtimestamp(look.at_ms / 1000, tz=UTC).date()
