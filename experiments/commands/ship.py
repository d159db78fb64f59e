"""`nbo-experiment ship`: everybody gets a variant, if the judge says so or a person insists."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from experiments.assignment import Arm
from experiments.commands.running import now_ms, who
from experiments.errors import BadLogError, NotToShipError, UnknownExperimentError
from experiments.logs.recorded import judged_by_record, recorded_specification
from experiments.specification import parse
from experiments.verdict import Word
from models.errors import NextbestError
from storage.record.experiments import (
    ENDED,
    ExperimentConflictError,
    RecordedExperiment,
    State,
    change_state,
    list_experiments,
)
from storage.record.record import Record
from storage.record_options import RecordPlace, opened_record, record_options
from storage.versions.store import Store


@click.command()
@record_options
@click.option(
    "--experiment", "experiment_id", help="Of which.  [default: the one that runs with this variant]"
)
@click.option("--force", is_flag=True, help="Whatever the verdict; the record keeps that it was so.")
@click.argument("variant")
def ship(*, place: RecordPlace, experiment_id: str | None, force: bool, variant: str) -> None:
    """End an experiment and give everybody VARIANT: its model answers as the champion from now on.

    It is judged first, which is a look as any report is; without --force nothing but SHIP is shipped.
    """
    with opened_record(place) as record:
        with record.reading() as connection:
            name, arm = _chosen(list_experiments(connection), experiment_id, variant)
        if arm.interleave or arm.explore:
            how = "deals its lists from two models" if arm.interleave else "fills a place by lot"
            why = "it nominates: name the model that it nominates as a variant of an experiment of its own"
            raise NotToShipError(name, f"{variant} {how}; {why}")
        said = _said_of(record, place.store, name, variant)
        if not force and not said.startswith(Word.SHIP):
            raise NotToShipError(name, f"{said}. --force ships {variant} all the same")
        if arm.model:
            _serve(place.store, arm.model, f"shipped by experiment {name}, variant {variant}")
        with record.writing() as connection:
            change_state(
                *(connection, name, State.SHIPPED),
                now_ms=now_ms(),
                client=who(),
                variant=variant,
                verdict=said,
            )
    click.echo(f"{name} is shipped: {variant}, of which the judge says {said}")
    for line in _left_to_do(arm):
        click.echo(line)


def _chosen(found: Sequence[RecordedExperiment], experiment_id: str | None, variant: str) -> tuple[str, Arm]:
    """The experiment that is meant, and its arm: of the newest version of what was named, else what runs."""
    newest = {one.experiment_id: one for one in reversed(found)}
    if experiment_id is None:
        meant = [one for one in newest.values() if one.state not in ENDED]
    elif experiment_id in newest:
        meant = [newest[experiment_id]]
    else:
        raise UnknownExperimentError(experiment_id)
    arms = [(one, arm) for one in meant for arm in parse(one.content).arms if arm.name == variant]
    if len(arms) != 1:
        names = ", ".join(one.experiment_id for one, _ in arms)
        none = f"{experiment_id} has none of that name" if experiment_id else "no experiment that runs has it"
        raise NextbestError(
            f"variant {variant}: {f'several have it, say --experiment: {names}' if names else none}"
        )
    ((one, arm),) = arms
    if one.state is State.SHIPPED:
        raise ExperimentConflictError(one.experiment_id, "it was shipped already")
    return one.experiment_id, arm


def _said_of(record: Record, store: Path, experiment_id: str, variant: str) -> str:
    """What the judge says of a variant now."""
    specification = recorded_specification(record, experiment_id, None)
    try:
        found = judged_by_record(record, Store(store), specification, datetime.now(UTC))
    except BadLogError as err:
        return f"nothing, since it can't be judged: {err}"
    verdict = next(arm.verdict for arm in found.arms if arm.name == variant)
    if verdict is None:
        return "it is the control, what the others are compared with: `stop` keeps what everybody had"
    return f"{verdict.word}: {verdict.text}"


def _serve(store: Path, model: str, why: str) -> None:
    shelf = Store(store)
    version_id = shelf.require_champion().current.version_id
    shelf.promote(version_id, now=datetime.now(UTC), why=why, variant=model)


def _left_to_do(arm: Arm) -> Iterator[str]:
    """What of a variant isn't the store's to say."""
    if arm.model:
        yield f'for the nights that follow set default_variant = "{arm.model}" in [night] of nextbest.toml'
    if arm.rules:
        yield f"for everybody now: take only_for and not_for {arm.rules!r} out of the file of rules"
    for name in ("objective", "placement"):
        if value := getattr(arm, name):
            yield f"ask with {name}={value}: that is the caller's to say"
