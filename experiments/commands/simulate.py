"""`nbo-experiment simulate`: customers whose likings are known take part in an experiment that runs."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click
import polars as pl

from experiments.commands.report import report
from experiments.errors import ServiceError
from experiments.logs.frames import EXPOSURES, OUTCOMES
from experiments.logs.purchases import champion_purchases, outcomes_of
from experiments.logs.recorded import recorded_specification
from experiments.simulation.client import ShopClient
from experiments.simulation.days import PLACES, Simulation, dated, true_clicks
from experiments.simulation.shop import SimulatedShop
from experiments.specification import Specification
from models.arrays import DAY_MS
from storage.record.experiments import find_experiment
from storage.record.exposure_log import read_exposures, read_lost, read_outcomes
from storage.record.record import Record
from storage.record_options import RecordPlace, key_option, opened_record
from storage.store_option import store_option
from storage.versions.store import Store, write_atomic

WITHIN_S = 10.0  # every worker knows the experiment, and exposures are in the record
ASKED = 200  # customers that the truth is made of


@click.command("simulate")
@store_option
@click.option("--url", "service", required=True, help="Of the service, such as http://127.0.0.1:8000.")
@click.option(
    "--record-url",
    "url",
    envvar="NEXTBEST_RECORD_URL",
    help="Of the record.  [env: NEXTBEST_RECORD_URL; default: in the store]",
)
@key_option
@click.option("--key", default="", envvar="NEXTBEST_KEY", help="API key.  [env: NEXTBEST_KEY]")
@click.option(
    "--operator-key",
    default="",
    envvar="NEXTBEST_OPERATOR_KEY",
    help="Its own.  [env: NEXTBEST_OPERATOR_KEY]",
)
@click.option("--days", default=28, show_default=True, type=click.IntRange(1, 366))
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day, UTC.  [default: after the history, or --days before today]",
)
@click.option("--customers", default=2000, show_default=True, type=click.IntRange(1), help="Of the history.")
@click.option(
    "--lift",
    default=0.0,
    show_default=True,
    type=click.FloatRange(-1, 1),
    help="How much more is bought from lists of other variants than the control, besides what they hold.",
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 2**63 - 1))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="To write to.")
@click.argument("experiment_id")
def simulate(
    *,
    store: Path,
    url: str | None,
    erasure_key: str | None,
    service: str,
    key: str,
    operator_key: str,
    days: int,
    start: datetime | None,
    customers: int,
    lift: float,
    seed: int,
    out: Path,
    experiment_id: str,
) -> None:
    """Let made-up customers visit a shop that runs EXPERIMENT_ID; write its logs, the truth and the report.

    They ask the service, click, buy and answer surveys through its own routes, on days that are over. What
    they do stands in the record as if it were real: use a store that nothing is learned from.
    """
    now = datetime.now(UTC)
    purchases, manifest = champion_purchases(Store(store))
    began = start.replace(tzinfo=UTC) if start else _first_day(manifest.as_of, now, days)
    if began + timedelta(days=days) > now:
        raise click.UsageError(
            f"{began:%Y-%m-%d} and {days} days end in the future: events of it are refused"
        )
    shop = SimulatedShop(purchases, most=customers, lift=lift, seed=seed)
    with opened_record(RecordPlace(store, url, erasure_key)) as record:
        specification = recorded_specification(record, experiment_id, None)
        if began.date() < specification.experiment.start:
            raise click.UsageError(
                f"the days begin on {began:%Y-%m-%d}, and nothing before start = "
                f"{specification.experiment.start} is judged: start a version that begins then or earlier"
            )
        run = f"simulated.{seed}.{int(now.timestamp())}"
        client = ShopClient(service, key, operator_key)
        try:
            truth = _truth(client, shop, specification)
            control = specification.arms[0].name
            simulation = Simulation(client, shop, experiment_id, control, run, seed)
            simulation.play(began, days)
        finally:
            client.close()
        dropped, exposures = _write(record, specification, simulation, purchases, began, days, out)
    told = ", ".join(f"{n:,} {what}" for what, n in simulation.counts.items())
    click.echo(f"{len(shop.tastes):,} customers, {days} days: {told}")
    _tell(truth, true_clicks(exposures, shop, specification), lift, out)
    _report(out, dropped, began + timedelta(days=days))


def _report(out: Path, dropped: int, end: datetime) -> None:
    """The report on the files in `out`, as `nbo-experiment report` makes it."""
    click.get_current_context().invoke(
        report,
        experiment_id=None,
        version=None,
        store=None,
        url=None,
        erasure_key=None,
        spec=out / "spec.toml",
        exposures=out / "exposures.parquet",
        outcomes=out / "outcomes.parquet",
        dropped=dropped,
        now=end.replace(tzinfo=None),
        out=out,
    )


def _first_day(as_of: datetime, now: datetime, days: int) -> datetime:
    first = min(as_of + timedelta(days=1), now - timedelta(days=days))
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def _truth(client: ShopClient, shop: SimulatedShop, specification: Specification) -> dict[str, float]:
    """What each variant is worth beside the control, by the lists that the service shows of it now."""
    head, arms = specification.experiment, [arm.name for arm in specification.arms]
    _wait_until_it_runs(client, next(iter(shop.tastes)), f"{head.id}:{arms[0]}")

    def shown(arm: str, customer_id: str) -> Sequence[str]:
        answer = client.recommend(customer_id, PLACES, f"{head.id}:{arm}")
        return [str(one["product_id"]) for one in answer["recommendations"]]

    lists = {arm: partial(shown, arm) for arm in arms}
    days = specification.analysis.attribution_days
    found = shop.truth(lists, control=arms[0], days=days, most=ASKED)
    return {arm: effect for arm, effect in found.items() if arm != arms[0]}


def _tell(truth: dict[str, float], by_lot: dict[str, dict[str, float]], lift: float, out: Path) -> None:
    """Write the truth down and say it: of each variant, and of each model that fills a place by lot."""
    known = {"relative": truth, "lift": lift, "clicks_by_chooser": by_lot}
    write_atomic(out / "truth.json", json.dumps(known, indent=1) + "\n")
    for arm, effect in truth.items():
        click.echo(f"true effect of {arm} on revenue per customer: {effect:+.1%}")
    for arm, clicks in by_lot.items():
        told = ", ".join(f"{n:.3f} by {name or 'its own list'}" for name, n in clicks.items())
        click.echo(f"true clicks for an answer of {arm}, by who fills its place: {told}")


def _wait_until_it_runs(client: ShopClient, customer_id: str, variant: str) -> None:
    """Raises ServiceError when the service doesn't know the experiment within the time that it may take.

    One that doesn't answer is not waited for: its URL is as likely wrong.
    """
    until_s = time.monotonic() + WITHIN_S
    while True:
        try:
            client.recommend(customer_id, 1, variant)
        except ServiceError as err:
            if err.status is None or time.monotonic() > until_s:
                raise
            time.sleep(0.5)
            continue
        return


def _write(
    record: Record,
    specification: Specification,
    simulation: Simulation,
    purchases: pl.DataFrame,
    began: datetime,
    days: int,
    out: Path,
) -> tuple[int, pl.DataFrame]:
    """Both logs as the record has them: what was shown as of the simulated time, since the service has its
    own clock. Before the first day the history says what they bought.

    Returns:
        how many exposures were lost, and the others."""
    head, until_s = specification.experiment, time.monotonic() + WITHIN_S
    while True:
        exposures = dated(read_exposures(record, head.id, head.version), simulation.visited_ms)
        lost = read_lost(record, head.id, head.version)
        is_all = exposures.height + lost >= simulation.counts["exposed"]
        if is_all or time.monotonic() > until_s:  # what isn't there is for the report to find
            break
        time.sleep(0.5)
    since_ms = int(began.timestamp() * 1000)
    told = read_outcomes(record, since_ms, since_ms + (days + 1) * DAY_MS)
    told = told.filter(pl.col("event_id").str.starts_with(simulation.run))
    told = told.select(pl.col(name).cast(kind) for name, kind in OUTCOMES.items())
    before_ms = since_ms - specification.analysis.cuped_days * DAY_MS
    before = outcomes_of(purchases).filter(pl.col("at_ms").is_between(before_ms, since_ms, closed="left"))
    out.mkdir(parents=True, exist_ok=True)
    exposures.select(pl.col(name).cast(kind) for name, kind in EXPOSURES.items()).write_parquet(
        out / "exposures.parquet"
    )
    outcomes = pl.concat([before, told]).sort("at_ms", maintain_order=True)  # as if each had come in time
    outcomes.write_parquet(out / "outcomes.parquet")
    with record.reading() as connection:
        found = find_experiment(connection, head.id, head.version)
    write_atomic(out / "spec.toml", found.content if found else "")
    return lost, exposures
