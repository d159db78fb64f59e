"""Experiments in the record: immutable specifications, where each stands in its layer, and what runs now."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from models.errors import NextbestError
from storage.record.audit import note
from storage.record.statements import insert_new, next_change, upsert
from storage.record.tables import experiment_looks, experiments, holdout

POPULAR = "popular"
"""The model that needs no lists: arms and their rivals may name it beside the variants of a version."""

HOLDOUT = "holdout"
"""What answers say of a customer who is in no experiment."""

GRAIN = 1e-9  # of a layer; narrower gaps are rounding


class State(StrEnum):
    """What becomes of an experiment. A paused one keeps its slot, and its customers get the champion."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    SHIPPED = "shipped"


ENDED = (State.STOPPED, State.SHIPPED)


@dataclass(frozen=True, slots=True)
class RecordedExperiment:
    """One version of an experiment.

    Attributes:
        content: the text of its specification.
        slot_start, slot_width: its part of the layer's customers, in [0, 1].
        started_ms: from when on it assigns; may lie ahead.
        ended_ms: None while it may still run.
    """

    experiment_id: str
    version: int
    content: str
    spec_hash: str
    layer: str
    slot_start: float
    slot_width: float
    state: State
    started_ms: int
    ended_ms: int | None

    def is_scheduled(self, now_ms: int) -> bool:
        """Whether it runs by itself from a later moment on; until then it keeps its slot."""
        return self.state is State.RUNNING and self.started_ms > now_ms


@dataclass(frozen=True, slots=True)
class NewExperiment:
    """A specification that is to run, with what the record needs to know of it.

    Attributes:
        starts_ms: not before then.
    """

    experiment_id: str
    version: int
    content: str
    spec_hash: str
    layer: str
    slot_width: float
    starts_ms: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """All that decides who gets what: experiments that run or are paused, and the global holdout."""

    experiments: tuple[RecordedExperiment, ...]
    holdout_share: float
    holdout_salt: str


class ExperimentConflictError(NextbestError):
    """An experiment can't be started or changed as it was asked for."""

    def __init__(self, experiment_id: str, why: str) -> None:
        self.experiment_id, self.why = experiment_id, why
        super().__init__(f"{experiment_id}: {why}")


_COLUMNS = (
    *(experiments.c.experiment_id, experiments.c.version, experiments.c.content, experiments.c.spec_hash),
    *(experiments.c.layer, experiments.c.slot_start, experiments.c.slot_width, experiments.c.state),
    *(experiments.c.started_ms, experiments.c.ended_ms),
)


def list_experiments(connection: sa.Connection) -> list[RecordedExperiment]:
    """Every version of every experiment, the newest first."""
    rows = connection.execute(sa.select(*_COLUMNS).order_by(experiments.c.id.desc()))
    return [_recorded(row) for row in rows]


def find_experiment(
    connection: sa.Connection, experiment_id: str, version: int | None = None
) -> RecordedExperiment | None:
    """A version of an experiment, the newest without a number; None if there is none."""
    found = sa.select(*_COLUMNS).where(experiments.c.experiment_id == experiment_id)
    if version is not None:
        found = found.where(experiments.c.version == version)
    row = connection.execute(found.order_by(experiments.c.version.desc()).limit(1)).first()
    return _recorded(row) if row else None


def running(connection: sa.Connection) -> Running:
    """What decides now who gets what."""
    rows = sa.select(*_COLUMNS).where(experiments.c.state.not_in(ENDED)).order_by(experiments.c.id)
    share, salt = connection.execute(sa.select(holdout.c.share, holdout.c.salt)).first() or (0.0, "")
    return Running(tuple(_recorded(row) for row in connection.execute(rows)), float(share), salt)


def start_experiment(
    connection: sa.Connection, new: NewExperiment, *, now_ms: int, client: str
) -> RecordedExperiment:
    """Let an experiment run now or from its start on, in a free part of its layer, within a transaction that
    writes.

    A paused one of the same specification goes on where it was; one that runs stays as it is.

    Raises:
        ExperimentConflictError: this version has another specification or has ended, another version runs, or
            the layer is full.
    """
    changed = next_change(connection)  # first: from here on nobody else changes experiments
    known = find_experiment(connection, new.experiment_id, new.version)
    if known is not None:
        return _go_on(connection, known, new, changed=changed, now_ms=now_ms, client=client)
    others = running(connection).experiments
    if any(other.experiment_id == new.experiment_id for other in others):
        raise ExperimentConflictError(new.experiment_id, "another version of it runs: stop that one first")
    newest = find_experiment(connection, new.experiment_id)
    if newest is not None and newest.version > new.version:
        raise ExperimentConflictError(new.experiment_id, f"version {newest.version} was there already")
    start = _free_slot(new, [other for other in others if other.layer == new.layer])
    row: dict[str, Any] = {
        **{"experiment_id": new.experiment_id, "version": new.version, "content": new.content},
        **{"spec_hash": new.spec_hash, "layer": new.layer, "slot_start": start, "slot_width": new.slot_width},
        **{"state": State.RUNNING.value, "started_ms": max(now_ms, new.starts_ms)},
        **{"changed": changed, "client": client},
    }
    connection.execute(sa.insert(experiments), row)
    return _noted(connection, "experiment started", new, now_ms=now_ms, client=client)


def change_state(
    connection: sa.Connection, experiment_id: str, state: State, *, now_ms: int, client: str, **detail: str
) -> RecordedExperiment:
    """Pause, stop or ship the newest version of an experiment, within a transaction that writes.

    Args:
        detail: what the audit is to know beside.
    Raises:
        ExperimentConflictError: there is no such experiment, or it has ended; a stopped one may be shipped.
    Returns:
        as it is then; what was so before isn't noted again.
    """
    changed = next_change(connection)
    known = find_experiment(connection, experiment_id)
    if known is None:
        why = "there is none of this name: `nbo-experiment list` shows them"
        raise ExperimentConflictError(experiment_id, why)
    if known.state is state:
        return known
    if known.state in ENDED and (known.state, state) != (State.STOPPED, State.SHIPPED):
        raise ExperimentConflictError(experiment_id, f"it was {known.state} already")
    ended_ms = now_ms if state in ENDED and known.ended_ms is None else known.ended_ms
    _set_state(connection, known, state, changed=changed, ended_ms=ended_ms)
    return _noted(connection, f"experiment {state}", known, now_ms=now_ms, client=client, **detail)


def set_holdout(connection: sa.Connection, share: float, salt: str, *, now_ms: int, client: str) -> None:
    """Which share of all customers is in no experiment; another salt draws them anew."""
    changed = next_change(connection)
    statement = upsert(connection, holdout, ["share", "salt", "changed"])
    connection.execute(statement, {"id": 1, "share": share, "salt": salt, "changed": changed})
    note(connection, "holdout", {"experiment": f"{share:g}", "version": 0}, now_ms=now_ms, client=client)


def looks_of(connection: sa.Connection, experiment_id: str, version: int) -> dict[tuple[str, str, date], str]:
    """What was seen at earlier looks: JSON by metric, arm and day."""
    look = experiment_looks.c
    rows = sa.select(look.metric, look.arm, look.day, look.content).where(
        look.experiment_id == experiment_id, look.version == version
    )
    return {(metric, arm, day): content for metric, arm, day, content in connection.execute(rows)}


def keep_looks(
    connection: sa.Connection, experiment_id: str, version: int, looks: dict[tuple[str, str, date], str]
) -> None:
    """Note looks; one that was noted before stays as it was."""
    rows = [
        {
            "experiment_id": experiment_id,
            "version": version,
            "metric": metric,
            "arm": arm,
            "day": day,
            "content": content,
        }
        for (metric, arm, day), content in sorted(looks.items())
    ]
    if rows:
        connection.execute(insert_new(connection, experiment_looks), rows)


def _go_on(
    connection: sa.Connection,
    known: RecordedExperiment,
    new: NewExperiment,
    *,
    changed: int,
    now_ms: int,
    client: str,
) -> RecordedExperiment:
    if known.spec_hash != new.spec_hash:
        why = f"version {known.version} has another specification: a changed file is a new version"
        raise ExperimentConflictError(known.experiment_id, why)
    if known.state in ENDED:
        raise ExperimentConflictError(
            known.experiment_id, f"version {known.version} was {known.state} already"
        )
    if known.state is State.PAUSED:
        _set_state(connection, known, State.RUNNING, changed=changed, ended_ms=None)
        return _noted(connection, "experiment goes on", known, now_ms=now_ms, client=client)
    return known


def _free_slot(new: NewExperiment, others: list[RecordedExperiment]) -> float:
    """The lowest place where a slot of this width is free."""
    start = 0.0
    for other in sorted(others, key=lambda one: one.slot_start):
        if other.slot_start - start >= new.slot_width - GRAIN:
            break
        start = max(start, other.slot_start + other.slot_width)
    if start + new.slot_width > 1 + GRAIN:
        free = 1 - sum(other.slot_width for other in others)
        taken = ", ".join(other.experiment_id for other in others)
        why = f"layer {new.layer} has {max(free, 0):.3g} of its customers left beside {taken},"
        why += f" in no one piece of {new.slot_width:g}"
        raise ExperimentConflictError(new.experiment_id, why)
    return start


def _set_state(
    connection: sa.Connection, known: RecordedExperiment, state: State, *, changed: int, ended_ms: int | None
) -> None:
    this = (experiments.c.experiment_id == known.experiment_id, experiments.c.version == known.version)
    values = {"state": state.value, "changed": changed, "ended_ms": ended_ms}
    connection.execute(sa.update(experiments).where(*this).values(values))


def _recorded(row: Any) -> RecordedExperiment:
    values = list(row)
    values[7] = State(values[7])
    return RecordedExperiment(*values)


def _noted(
    connection: sa.Connection,
    what: str,
    changed: NewExperiment | RecordedExperiment,
    *,
    now_ms: int,
    client: str,
    **detail: str,
) -> RecordedExperiment:
    """What was changed, as it is now, with a note of the change."""
    told = {"experiment": changed.experiment_id, "version": changed.version}
    note(connection, what, told | detail, now_ms=now_ms, client=client)
    found = find_experiment(connection, changed.experiment_id, changed.version)
    assert found is not None
    return found
