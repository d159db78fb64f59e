"""What a night leaves beside its version: report, last success, metrics, and a call for help."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from storage.versions.manifest import Manifest
from storage.versions.store import LAST_SUCCESS, Store, write_atomic
from training.config import NightOptions
from training.exit_codes import DONE, GATE_REFUSED
from training.job import Job
from training.night import Outcome
from training.progress import Progress
from training.reports.page import NightFacts, PastVersion, render_night, to_json

METRICS = "nextbest.prom"
KEPT_RUNS = 90
HELP_S = 60
RUN_ID = re.compile(r"\d{8}T\d{6}Z")


@contextmanager
def after_publishing(manifest: Manifest) -> Iterator[None]:
    """Whatever fails in here says that the version was published, if it was."""
    try:
        yield
    except Exception as err:
        if manifest.gate.decision != "refused":
            err.add_note(f"{manifest.version_id} was published and is the champion")
        raise


def leave_success(job: Job, outcome: Outcome, progress: Progress) -> None:
    """What follows a night that came to its end; the last success, first of all, if it published."""
    manifest, seconds = outcome.manifest, dict(progress.seconds)
    if manifest.gate.decision != "refused":
        success = {"run_id": job.run_id, "at": job.now.isoformat(), "version_id": manifest.version_id}
        write_atomic(job.store.root / LAST_SUCCESS, json.dumps(success) + "\n")
    _write_report(job, outcome, seconds)
    code = DONE if manifest.gate.decision != "refused" else GATE_REFUSED
    _write_metrics(job.store, job.now, code, outcome, seconds)
    _prune_versions(job, progress)
    _prune_runs(job)


def _write_report(job: Job, outcome: Outcome, seconds: Mapping[str, float]) -> None:
    manifest = outcome.manifest
    facts = NightFacts(
        run_id=job.run_id,
        as_of=manifest.as_of,
        timezone=job.config.history.timezone,
        decision=manifest.gate.decision,
        why=manifest.gate.why,
        version_id=manifest.version_id,
        gate_figures=manifest.gate.figures,
        counts={
            name.replace("_", " ").capitalize(): n for name, n in outcome.counts.items() if name != "lines"
        },
        read_lines=outcome.counts["lines"],
        lost=outcome.lost,
        steps_s=seconds,
        past=_past(job.store, manifest.version_id),
    )
    judged = outcome.judged
    inside = replace(judged.inside, notes=outcome.notes)
    (job.folder / "report.html").write_text(
        render_night(facts, judged.evaluation, judged.seconds, inside=inside)
    )
    told = manifest.model_dump(mode="json", exclude={"files"})
    (job.folder / "report.json").write_text(
        to_json(judged.evaluation, judged.seconds, inside=inside, manifest=told)
    )


def leave_failure(job: Job, why: str, exit_code: int, progress: Progress) -> None:
    """The page of a night that stopped on the way, and its metrics; what is too old goes all the same."""
    try:
        _prune_versions(job, progress)
        _prune_runs(job)
    except OSError as err:  # that the night failed matters more
        progress.say("what is too old not deleted", why=str(err))
    facts = NightFacts(
        run_id=job.run_id,
        as_of=job.as_of or job.now,
        timezone=job.config.history.timezone,
        decision="stopped",
        why=why,
        past=_past(job.store, ""),
    )
    (job.folder / "report.html").write_text(render_night(facts, None, {}))
    _write_metrics(job.store, job.now, exit_code, None, {})


def leave_refusal(store: Path, now: datetime, exit_code: int) -> None:
    """The metrics of a night that was refused before it began, so that whoever watches them hears of it."""
    if store.is_dir():
        with suppress(OSError, ValueError):  # what is wrong with the configuration matters more
            _write_metrics(Store(store), now, exit_code, None, {})


def call_for_help(options: NightOptions, exit_code: int, why: str) -> None:
    """Run the shop's own command, with the exit code and the reason in its environment."""
    if options.on_failure:
        told = {"NEXTBEST_EXIT_CODE": str(exit_code), "NEXTBEST_MESSAGE": why}
        try:
            subprocess.run(  # noqa: S602  # it is the operator's own line  # nosec B602
                options.on_failure,
                shell=True,
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                timeout=HELP_S,
                check=False,
            )
        except subprocess.TimeoutExpired:  # the night's own exit code matters more
            print(f"nbo-train: on_failure did not end within {HELP_S} s: stopped it", file=sys.stderr)


def _past(store: Store, but: str) -> list[PastVersion]:
    manifests = [m for m in store.manifests() if isinstance(m, Manifest) and m.version_id != but]
    return [
        PastVersion(
            m.version_id, m.as_of, m.default_variant, m.gate.figures.get("challenger_ndcg"), m.gate.decision
        )
        for m in manifests[:10]
    ]


def _write_metrics(
    store: Store, now: datetime, exit_code: int, outcome: Outcome | None, seconds: Mapping[str, float]
) -> None:
    """For the text file collector of Prometheus' node exporter."""
    registry = CollectorRegistry()

    def gauge(name: str, what: str, value: float) -> None:
        Gauge(f"nextbest_night_{name}", what, registry=registry).set(value)

    gauge("last_run_timestamp_seconds", "When the last night began", now.timestamp())
    gauge("last_run_exit_code", "What it exited with", exit_code)
    success = store.root / LAST_SUCCESS
    if success.exists():
        at = datetime.fromisoformat(json.loads(success.read_text())["at"])
        gauge("last_success_timestamp_seconds", "When the last night began that published", at.timestamp())
    if outcome is not None:
        gauge("duration_seconds", "How long it took", sum(seconds.values()))
        gauge("purchases", "Purchases it learned from", outcome.counts["purchases"])
        gauge("rejected_lines", "Purchase lines that it rejected", outcome.counts["rejected"])
        held = outcome.manifest.gate.figures.get("held_products", 0)
        gauge("held_products", "Products held, since mostly new customers bought them", held)
        ndcg = outcome.manifest.gate.figures.get("challenger_ndcg")
        if ndcg is not None:
            gauge("ndcg_at_10", "NDCG@10 of its default variant on the last horizon", ndcg)
    write_to_textfile(str(store.root / METRICS), registry)


def _prune_versions(job: Job, progress: Progress) -> None:
    """What versions hold of people goes in time, whether or not nights come to their end."""
    pruned = job.store.prune(
        keep=job.config.night.keep_versions,
        max_age=timedelta(hours=job.config.night.max_age_hours),
        now=job.now,
    )
    if pruned:
        progress.say("versions deleted", versions=", ".join(pruned))


def _prune_runs(job: Job) -> None:
    """Reject files hold people's ids and go as versions go; reports stay for the last KEPT_RUNS nights.

    Whatever else lies in the folder is not ours.
    """
    oldest = job.now - timedelta(hours=job.config.night.max_age_hours)
    there = [path for path in job.store.runs.iterdir() if RUN_ID.fullmatch(path.name) and path.is_dir()]
    for place, folder in enumerate(sorted(there, reverse=True)):
        if folder.name < f"{oldest:%Y%m%dT%H%M%SZ}":
            (folder / "rejects.csv").unlink(missing_ok=True)
        if place >= KEPT_RUNS:
            shutil.rmtree(folder)
