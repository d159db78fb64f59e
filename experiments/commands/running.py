"""`nbo-experiment list`, `pause`, `stop` and `holdout`: what runs, as the record has it."""

import getpass
from datetime import UTC, datetime
from math import isnan

import click

from experiments.reports.words import moment
from experiments.specification import parse
from models.arrays import DAY_MS
from storage.record.experiments import (
    RecordedExperiment,
    State,
    change_state,
    list_experiments,
    running,
    set_holdout,
)
from storage.record_options import RecordPlace, opened_record, record_options


def now_ms() -> int:
    """Of now, Unix milliseconds."""
    return int(datetime.now(UTC).timestamp() * 1000)


def who() -> str:
    """Who does this, for the audit."""
    try:
        return getpass.getuser()[:64]
    except (OSError, KeyError):  # a user id without a name, as in containers
        return ""


@click.command("list")
@record_options
def list_(place: RecordPlace) -> None:
    """Every experiment, the newest first, and the holdout."""
    with opened_record(place) as record, record.reading() as connection:
        found, now = list_experiments(connection), running(connection)
    at_ms = now_ms()
    if not found:
        click.echo("none yet: `nbo-experiment start` starts one")
    for one in found:
        click.echo(_line(one, at_ms))
    click.echo(f"holdout: {now.holdout_share:.3g} of all customers")


def _line(one: RecordedExperiment, at_ms: int) -> str:
    """An experiment, and how long it has run of the days that were planned."""
    spec = parse(one.content, f"{one.experiment_id} version {one.version}")
    state = "scheduled" if one.is_scheduled(at_ms) else one.state.value
    slot = f"{one.layer} {one.slot_start:g}-{one.slot_start + one.slot_width:g}"
    arms = ", ".join(f"{arm.name} {arm.weight:g}" for arm in spec.arms)
    days = max(0, (one.ended_ms or at_ms) - one.started_ms) // DAY_MS
    told = f"{moment(one.started_ms)}  day {days} of {spec.experiment.planned_days}"
    return f"{one.experiment_id:<24} v{one.version:<3} {state:<9} {told:<32} {slot:<20} {arms}"


def _change(place: RecordPlace, experiment_id: str, state: State) -> RecordedExperiment:
    with opened_record(place) as record, record.writing() as connection:
        return change_state(connection, experiment_id, state, now_ms=now_ms(), client=who())


@click.command()
@record_options
@click.argument("experiment_id")
def pause(place: RecordPlace, experiment_id: str) -> None:
    """Give its customers the champion, and keep their part of the layer. `start` goes on."""
    _change(place, experiment_id, State.PAUSED)
    click.echo(f"{experiment_id} is paused")


@click.command()
@record_options
@click.argument("experiment_id")
def stop(place: RecordPlace, experiment_id: str) -> None:
    """End it for good: everybody gets the champion. Its report can still be made."""
    _change(place, experiment_id, State.STOPPED)
    click.echo(f"{experiment_id} is stopped")


@click.command()
@record_options
@click.option("--salt", default="1", show_default=True, help="Another one draws other customers.")
@click.argument("share", type=click.FloatRange(0, 0.5))
def holdout(place: RecordPlace, salt: str, share: float) -> None:
    """Give SHARE of all customers what is popular, and keep them out of every experiment; 0 ends that."""
    if isnan(share):  # which no comparison of the range refuses
        raise click.BadParameter("nan is not in the range 0<=x<=0.5.", param_hint="'SHARE'")
    with opened_record(place) as record, record.writing() as connection:
        set_holdout(connection, share, salt[:64], now_ms=now_ms(), client=who())
    click.echo(f"{share:.3g} of all customers are held out")
