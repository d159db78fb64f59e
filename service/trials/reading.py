"""The plan of what runs, from the specifications in the record. They were checked before they got there."""

import tomllib
from dataclasses import fields
from typing import Any

import structlog

from experiments.assignment import Arm, Entry, Plan
from storage.record.experiments import RecordedExperiment, Running, State

KNOWN = frozenset(field.name for field in fields(Arm))  # of a later release there may be more
log = structlog.get_logger()


def plan_of(found: Running, now_ms: int) -> Plan:
    """What decides who gets what. Of a paused or scheduled experiment the customers get the champion, and are
    not seen."""
    begun = [one for one in found.experiments if one.state is State.RUNNING and not one.is_scheduled(now_ms)]
    entries = [_entry(one) for one in begun]
    return Plan(
        tuple(entry for entry in entries if entry), found.holdout_share, f"holdout/{found.holdout_salt}"
    )


def _entry(one: RecordedExperiment) -> Entry | None:
    try:
        variants: list[dict[str, Any]] = tomllib.loads(one.content)["variants"]
        said = [{name: variant[name] for name in KNOWN & variant.keys()} for variant in variants]
        arms = [Arm(**one | {"rivals": tuple(one.get("rivals", ()))}) for one in said]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):  # of another release
        log.error("an experiment can't be read, its customers get the champion", experiment=one.experiment_id)
        return None
    return Entry(
        one.experiment_id,
        one.version,
        one.spec_hash,
        one.layer,
        one.slot_start,
        one.slot_width,
        tuple(sorted(arms, key=lambda arm: arm.name != "control")),
    )
