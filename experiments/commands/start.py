"""`nbo-experiment start`: let an experiment run, once it has passed all that can be checked beforehand."""

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from experiments.assignment import Arm
from experiments.commands.running import now_ms, who
from experiments.errors import BadLogError, BadSpecificationError
from experiments.logs.cohort import start_ms
from experiments.logs.purchases import purchases_to_plan_on
from experiments.planning import doubts, plan_of, refuse_underpowered
from experiments.reports.words import moment
from experiments.specification import (
    Specification,
    expect_of_use,
    hash_of,
    parse,
    read_specification,
)
from models.errors import NoChampionError
from storage.record.consent import PRESETS, Consent
from storage.record.experiments import (
    POPULAR,
    NewExperiment,
    RecordedExperiment,
    find_experiment,
    running,
    start_experiment,
)
from storage.record.record import Record
from storage.record.rules import RulesVersion, active_rules
from storage.record_options import RecordPlace, consent_option, opened_record, record_options
from storage.versions.store import Store


@click.command()
@record_options
@consent_option
@click.argument("specification", type=click.Path(path_type=Path))
def start(place: RecordPlace, consent_default: str, specification: Path) -> None:
    """Let an experiment run, or go on after a pause.

    Every worker assigns by it within seconds, or from midnight (UTC) of its first day on, if that lies ahead.
    """
    spec, text = read_specification(specification)
    head = spec.experiment
    new = NewExperiment(
        *(head.id, head.version, text, hash_of(spec), head.layer, head.traffic), starts_ms=start_ms(spec)
    )
    with opened_record(place) as record:
        with record.reading() as connection:
            known = find_experiment(connection, head.id, head.version)
            others = running(connection).experiments
            rules = active_rules(connection)
        if known is None:
            expect_of_use(spec, str(specification))
            _expect_independent(spec, others, str(specification))
            for doubt in (*_of_models(place.store, spec.arms), *_of_rules(rules, spec.arms)):
                click.echo(f"warning: {doubt}", err=True)
            _check_size(place.store, spec, record, PRESETS[consent_default])
        with record.writing() as connection:
            started = start_experiment(connection, new, now_ms=now_ms(), client=who())
    slot = f"{started.slot_start:g} to {started.slot_start + started.slot_width:g}"
    is_ahead = started.is_scheduled(now_ms())
    runs = f"is scheduled for {moment(started.started_ms)} UTC" if is_ahead else "runs"
    click.echo(f"{head.id} version {head.version} {runs} in layer {head.layer}, {slot} of its customers")


def chosen_by(arms: Iterable[Arm]) -> dict[str, bool]:
    """What arms decide of an answer, by its name."""
    every = tuple(arms)
    return {
        "model": any(arm.model for arm in every),
        "objective": any(arm.objective for arm in every),
        "placement": any(arm.placement for arm in every),
        "rules": any(arm.rules for arm in every),
        "interleave or explore": any(arm.interleave or arm.explore for arm in every),
    }


def _expect_independent(spec: Specification, others: Iterable[RecordedExperiment], where: str) -> None:
    """Refuse what another layer decides too: a customer of both would get one, and count for both."""
    mine = chosen_by(spec.arms)
    for other in others:
        if other.layer == spec.experiment.layer:
            continue
        theirs = chosen_by(parse(other.content).arms)
        both = ", ".join(name for name, is_mine in mine.items() if is_mine and theirs[name])
        if both:
            why = f"{other.experiment_id} of layer {other.layer} decides {both} too, for the same customers"
            raise BadSpecificationError(f"{where}: experiment.layer", f"{why}: say layer = {other.layer!r}")


def _of_models(store: Path, arms: Iterable[Arm]) -> Iterator[str]:
    """Of which models the champion has no lists: their customers would all get the champion, and what a rival
    chooses would not be known."""
    champion = Store(store).champion()
    if champion is None:
        return
    manifest = Store(store).open(champion.current.version_id, verify=False).manifest
    routed = manifest.routed
    for model in dict.fromkeys(model for arm in arms for model in (arm.model, arm.interleave, *arm.rivals)):
        if model and model != POPULAR and model not in routed:
            yield (
                f"{manifest.version_id} has no lists of {model!r}, only of {', '.join(routed)}: its"
                " customers get the champion, and of a rival nothing is known, until a night with it in"
                " `routed` of [night] is published"
            )


def _of_rules(in_force: RulesVersion | None, arms: Iterable[Arm]) -> Iterator[str]:
    """Of which sets of rules and placements there is no rule: their customers see what they would anyway."""
    rules = tomllib.loads(in_force.content).get("rules", []) if in_force else []

    def named(*keys: str) -> set[str]:
        return {name for rule in rules for key in keys for name in rule.get(key, ())}

    otherwise = "it changes nothing, unless a file of NEXTBEST_RULES has one"
    sets, placements = named("only_for", "not_for"), named("placements")
    for arm in arms:
        if arm.rules and arm.rules not in sets:
            yield f"no rule of the record is only_for or not_for {arm.rules!r}: {otherwise}"
        if arm.placement and arm.placement not in placements:
            yield f"no rule of the record names the placement {arm.placement!r}: {otherwise}"


def _check_size(store: Path, spec: Specification, record: Record, default: Consent) -> None:
    """Refuse what the champion's purchases say can't be seen; say so where they can't tell."""
    try:
        plan = plan_of(spec, purchases_to_plan_on(Store(store), record, default))
    except (BadLogError, NoChampionError) as err:
        click.echo(f"warning: whether planned_n is enough can't be told: {err}", err=True)
        return
    refuse_underpowered(spec, plan)
    for doubt in doubts(spec, plan):
        click.echo(f"warning: {doubt}", err=True)
