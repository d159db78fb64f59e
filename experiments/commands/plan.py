"""`nbo-experiment plan`: what the shop's own history says an experiment can show."""

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import polars as pl
from pydantic import ValidationError

from experiments.logs.purchases import NEEDED, purchases_to_plan_on
from experiments.planning import Plan, days_text, doubts, plan_of, refuse_underpowered
from experiments.reports.words import number
from experiments.specification import Specification, expect_of_use, read_specification
from experiments.statistics.off_policy import LEAST_N
from models.errors import BadConfigError
from storage.history.consents import consents_in
from storage.history.options import HistoryOptions, expect_named
from storage.history.read import read_history
from storage.record.consent import PRESETS, Consent
from storage.record_options import RecordPlace, consent_option, key_option, record_if_any, url_option
from storage.versions.store import Store

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("plan")
@click.option("--spec", required=True, type=_FILE, help="TOML file of the experiment.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Measure on the purchases that the champion's night left.",
)
@click.option("--data", help="Measure on this history, a folder or a database URL, instead.")
@click.option("--config", type=_FILE, help="nextbest.toml, how --data is read.")
@url_option
@key_option
@consent_option
def plan(
    *,
    spec: Path,
    store: Path | None,
    data: str | None,
    config: Path | None,
    url: str | None,
    erasure_key: str | None,
    consent_default: str,
) -> None:
    """Sample size, days and smallest visible effect of each metric; refuses what can't be seen.

    Of a store it leaves out customers who were erased, or who allow no experiments or no personal answers; of
    --data those who say so in its table of customers.
    """
    if (store is None) == (data is None):
        raise click.UsageError("say where the history is: either --store or --data")
    specification, _ = read_specification(spec)
    expect_of_use(specification, str(spec))
    default = PRESETS[consent_default]
    if store is None:
        purchases = _history(str(data), config, default)
    else:
        with record_if_any(RecordPlace(store, url, erasure_key)) as record:
            purchases = purchases_to_plan_on(Store(store), record, default)
    found = plan_of(specification, purchases)
    click.echo(plan_text(found))
    for line in (*lot_lines(specification), *doubts(specification, found)):
        click.echo(line)
    refuse_underpowered(specification, found)


def plan_text(found: Plan) -> str:
    """A plan as a table for a terminal."""
    head = ("metric", "value", "effect", "needs", "days", "sees", "needs, CUPED", "days", "sees, CUPED")
    rows = [head]
    for line in found.lines:
        if line.spread is None:
            rows.append((line.metric, "not in the history", "", "", "", "", "", "", ""))
            continue
        rows.append(
            (
                line.metric,
                number(line.spread.value),
                f"{line.relative:.1%}",
                _n(line.needed_n),
                days_text(found, line.needed_n),
                _share(line.visible),
                _n(line.needed_n_cuped),
                days_text(found, line.needed_n_cuped),
                _share(line.visible_cuped),
            )
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    start = (
        f"Measured on {found.customers:,} customers who bought lately, over {found.attribution_days} days; "
        f"sees: what {found.planned_n:,} customers of all arms show."
    )
    return "\n".join((start, *lines))


def lot_lines(specification: Specification) -> Iterator[str]:
    """Of each arm with a place that is filled by lot, whether enough customers are planned for it to say
    something of a rival."""
    for arm in specification.arms:
        if arm.explore:
            needed, planned = LEAST_N * arm.explore_among, specification.analysis.planned_n * arm.weight
            state = "" if planned >= needed else "too few: "
            yield (
                f"{arm.name}: {state}a place by lot among {arm.explore_among} says nothing of a rival under "
                f"{needed:,.0f} customers, and {planned:,.0f} are planned"
            )


def _n(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _history(data: str, config: Path | None, default: Consent) -> pl.DataFrame:
    """The purchases in a shop's own history of those who may take part."""
    expect_named(data, config)
    options = HistoryOptions()
    if config is not None:
        try:
            options = HistoryOptions.model_validate(
                tomllib.loads(config.read_text(encoding="utf-8-sig")).get("history", {})
            )
        except (tomllib.TOMLDecodeError, ValidationError) as err:
            raise BadConfigError(f"{config}: history", str(err)) from err
    history = read_history(data, options, as_of=None, rejects=None, now=datetime.now(UTC))
    purchases = history.named_purchases()
    told = consents_in(history.customers).by_customer

    def may(customer_id: str) -> bool:
        said = told.get(customer_id, {})
        return all(said.get(name, getattr(default, name)) for name in NEEDED)

    willing = [customer_id for customer_id in history.customer_ids if may(customer_id)]
    return purchases.filter(pl.col("customer_id").is_in(willing))
