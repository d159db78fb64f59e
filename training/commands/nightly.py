"""`nbo-train nightly`: one night, with an exit code for cron."""

from datetime import UTC, datetime
from pathlib import Path

import click

from models.errors import NextbestError, NightRunningError
from storage.store_option import store_option_that
from storage.versions.signing import Signer
from storage.versions.store import Store
from training.aftermath import after_publishing, call_for_help, leave_failure, leave_refusal, leave_success
from training.commands.options import config_option, data_option, moment_of
from training.config import load_config
from training.exit_codes import GATE_REFUSED, exit_code, message_of
from training.job import Job
from training.night import run_night
from training.progress import Progress


@click.command()
@data_option
@store_option_that(is_there=False)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Train as if it were then, by the shop's clock.  [default: just after the last purchase]",
)
@click.option(
    "--horizon-days",
    type=click.IntRange(1, 365),
    help="Days whose purchases are predicted.  [default: the configuration's, else 7]",
)
@config_option
@click.option(
    "--time-budget",
    "time_budget_s",
    type=click.FloatRange(min=0),
    help="Seconds that the night should take; rankers learn from fewer past windows to stay within it."
    "  [default: the configuration's, else any]",
)
@click.option(
    "--record",
    envvar="NEXTBEST_RECORD_URL",
    help="URL of the service's record.  [env: NEXTBEST_RECORD_URL; default: the configuration's,"
    " else the store's own if it is there]",
)
@click.option(
    "--signing-key",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="NEXTBEST_SIGNING_KEY",
    help="PEM file of the Ed25519 key that signs the version.  [env: NEXTBEST_SIGNING_KEY; default: none]",
)
@click.option("--force", is_flag=True, help="Publish whatever the gate says; the version records it.")
def nightly(
    *,
    data: str,
    store: Path,
    as_of: datetime | None,
    horizon_days: int | None,
    config: Path | None,
    time_budget_s: float | None,
    record: str | None,
    signing_key: Path | None,
    force: bool,
) -> None:
    """Learn from the history, and publish a new version if it passes the gate."""
    now, settings = datetime.now(UTC), None
    try:
        settings = load_config(
            config, data=data, horizon_days=horizon_days, time_budget_s=time_budget_s, record=record
        )
        moment = moment_of(as_of, settings.history.timezone, now)
        signer = Signer.read(signing_key) if signing_key else None
    except NextbestError as err:
        if settings is not None:
            call_for_help(settings.night, exit_code(err), message_of(err))
        leave_refusal(store, now, exit_code(err))
        raise
    job = Job(data, Store(store, signer=signer), settings, moment, now, force)
    progress = Progress()
    try:
        with job.store.night_lock(now):
            outcome = run_night(job, progress)
            with after_publishing(outcome.manifest):
                leave_success(job, outcome, progress)
    except NightRunningError:
        raise  # the other night tells its own story
    except Exception as err:
        why = message_of(err)
        call_for_help(settings.night, exit_code(err), why)
        try:
            if job.folder.is_dir():
                leave_failure(job, why, exit_code(err), progress)
        except OSError as second:  # the first one matters more
            progress.say("report of the failure not written", why=str(second))
        raise
    gate = outcome.manifest.gate
    progress.say("done", version=outcome.manifest.version_id, report=str(job.folder / "report.html"))
    if gate.decision == "refused":
        call_for_help(settings.night, GATE_REFUSED, gate.why)
        raise SystemExit(GATE_REFUSED)
