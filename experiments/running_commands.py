"""`nbo-experiment list`, `pause`, `stop`, `ship` and `holdout`: what runs, as the record has it."""

import getpass
from datetime import UTC, datetime
from pathlib import Path

import click

from experiments.assignment import Arm
from experiments.errors import UnknownExperimentError
from experiments.specification import POPULAR, parse
from models.errors import NextbestError
from storage.record.experiments import (
    ExperimentConflictError,
    Recorded,
    State,
    change_state,
    find_experiment,
    list_experiments,
    running,
    set_holdout,
)
from storage.record_options import opened_record, record_options
from storage.store import Store


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
def list_(store: Path, url: str | None, erasure_key: str | None) -> None:
    """Every experiment, the newest first, and the holdout."""
    with opened_record(store, url, erasure_key) as record, record.reading() as connection:
        found, now = list_experiments(connection), running(connection)
    for one in found:
        begun = f"{datetime.fromtimestamp(one.started_ms / 1000, UTC):%Y-%m-%d %H:%M}"
        arms = ", ".join(f"{arm.name} {arm.weight:g}" for arm in parse(one.content).arms)
        slot = f"{one.layer} {one.slot_start:g}-{one.slot_start + one.slot_width:g}"
        click.echo(
            f"{one.experiment_id:<24} v{one.version:<3} {one.state.value:<8} {begun}  {slot:<20} {arms}"
        )
    click.echo(f"holdout: {now.holdout_share:.3g} of all customers")


def _change(
    store: Path, url: str | None, erasure_key: str | None, experiment_id: str, state: State
) -> Recorded:
    with opened_record(store, url, erasure_key) as record, record.writing() as connection:
        if find_experiment(connection, experiment_id) is None:
            raise UnknownExperimentError(experiment_id)
        return change_state(connection, experiment_id, state, now_ms=now_ms(), client=who())


@click.command()
@record_options
@click.argument("experiment_id")
def pause(store: Path, url: str | None, erasure_key: str | None, experiment_id: str) -> None:
    """Give its customers the champion, and keep their part of the layer. `start` goes on."""
    _change(store, url, erasure_key, experiment_id, State.PAUSED)
    click.echo(f"{experiment_id} is paused")


@click.command()
@record_options
@click.argument("experiment_id")
def stop(store: Path, url: str | None, erasure_key: str | None, experiment_id: str) -> None:
    """End it for good: everybody gets the champion. Its report can still be made."""
    _change(store, url, erasure_key, experiment_id, State.STOPPED)
    click.echo(f"{experiment_id} is stopped")


@click.command()
@record_options
@click.option(
    "--experiment", "experiment_id", help="Of which.  [default: the one that runs with this variant]"
)
@click.argument("variant")
def ship(
    store: Path, url: str | None, erasure_key: str | None, experiment_id: str | None, variant: str
) -> None:
    """End it and give everybody VARIANT: its model answers as the champion from now on."""
    with opened_record(store, url, erasure_key) as record:
        with record.reading() as connection:
            chosen, arm = _chosen(list_experiments(connection), experiment_id, variant)
        if arm.model and arm.model != POPULAR:
            _serve(store, arm.model, f"shipped by experiment {chosen.experiment_id}, variant {variant}")
        elif arm.model:
            raise ExperimentConflictError(
                chosen.experiment_id, "popular is no variant that a champion can have"
            )
        with record.writing() as connection:
            change_state(connection, chosen.experiment_id, State.SHIPPED, now_ms=now_ms(), client=who())
    click.echo(f"{chosen.experiment_id} is shipped: {variant}")
    if arm.model:
        click.echo(
            f'for the nights that follow set default_variant = "{arm.model}" in [night] of nextbest.toml'
        )
    if arm.rules:
        click.echo(f"for everybody now: take only_for and not_for {arm.rules!r} out of the file of rules")
    for name in ("objective", "placement"):
        if getattr(arm, name):
            click.echo(f"ask with {name}={getattr(arm, name)}: that is the caller's to say")


def _chosen(found: list[Recorded], experiment_id: str | None, variant: str) -> tuple[Recorded, Arm]:
    candidates = [
        (one, arm)
        for one in found
        if one.experiment_id == experiment_id
        or (experiment_id is None and one.state in (State.RUNNING, State.PAUSED))
        for arm in parse(one.content).arms
        if arm.name == variant
    ]
    if experiment_id is not None and candidates:
        return candidates[0]  # of its newest version
    if len(candidates) != 1:
        names = ", ".join(one.experiment_id for one, _ in candidates)
        why = f"several have it, say --experiment: {names}" if names else "no experiment that runs has it"
        raise NextbestError(f"variant {variant}: {why}")
    return candidates[0]


def _serve(store: Path, model: str, why: str) -> None:
    shelf = Store(store)
    champion = shelf.champion()
    if champion is None:
        raise NextbestError(f"{store}: no champion yet whose variant could be changed")
    shelf.promote(champion.current.version_id, now=datetime.now(UTC), why=why, variant=model)


@click.command()
@record_options
@click.option("--salt", default="1", show_default=True, help="Another one draws other customers.")
@click.argument("share", type=click.FloatRange(0, 0.5))
def holdout(store: Path, url: str | None, erasure_key: str | None, salt: str, share: float) -> None:
    """Give SHARE of all customers what is popular, and keep them out of every experiment; 0 ends that."""
    with opened_record(store, url, erasure_key) as record, record.writing() as connection:
        set_holdout(connection, share, salt[:64], now_ms=now_ms(), client=who())
    click.echo(f"{share:.3g} of all customers are held out")
