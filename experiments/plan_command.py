"""`nbo-experiment plan`: what the shop's own history says an experiment can show."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import polars as pl
from pydantic import ValidationError

from experiments.planning import Plan, plan_of, refuse_underpowered, told_days
from experiments.sources import champion_purchases
from experiments.specification import read_specification
from models.errors import BadConfigError
from storage.history import read_history
from storage.history_options import HistoryOptions

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
def plan(*, spec: Path, store: Path | None, data: str | None, config: Path | None) -> None:
    """Sample size, days and smallest visible effect of each metric; refuses what can't be seen."""
    if (store is None) == (data is None):
        raise click.UsageError("say where the history is: either --store or --data")
    specification, _ = read_specification(spec)
    purchases = champion_purchases(store) if store is not None else _history(str(data), config)
    click.echo(told(plan_of(specification, purchases)))
    refuse_underpowered(specification, purchases)


def told(found: Plan) -> str:
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
                f"{line.spread.value:.4g}",
                f"{line.relative:.1%}",
                _n(line.needed_n),
                told_days(found, line.needed_n),
                _share(line.visible),
                _n(line.needed_n_cuped),
                told_days(found, line.needed_n_cuped),
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


def _n(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _history(data: str, config: Path | None) -> pl.DataFrame:
    """The purchases of a shop's own history."""
    options = HistoryOptions()
    if config is not None:
        try:
            options = HistoryOptions.model_validate(tomllib.loads(config.read_text()).get("history", {}))
        except (tomllib.TOMLDecodeError, ValidationError) as err:
            raise BadConfigError(f"{config}: history", str(err)) from err
    with TemporaryDirectory() as folder:
        rejects = Path(folder) / "rejects.csv"
        history = read_history(data, options, as_of=None, rejects=rejects, now=datetime.now(UTC))
        return history.named_purchases()
