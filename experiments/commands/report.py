"""`nbo-experiment report`: the verdict and what it rests on, from the record or from files."""

from datetime import UTC, datetime
from pathlib import Path

import click

from experiments.logs.recorded import judged, judged_by_record, recorded_specification
from experiments.logs.sources import LedgerFile, Logs, read_log
from experiments.reports.markdown import to_markdown
from experiments.reports.page import to_html, to_json
from experiments.specification import read_specification
from storage.record_options import RecordPlace, key_option, opened_record, url_option
from storage.store_option import store_option_that
from storage.versions.store import Store, write_atomic

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("report")
@click.argument("experiment_id", required=False)
@click.option("--version", type=click.IntRange(1), help="Of the experiment.  [default: its newest]")
@store_option_that(is_required=False)
@url_option
@key_option
@click.option("--spec", type=_FILE, help="TOML file: judge logs from elsewhere, of these files.")
@click.option("--exposures", type=_FILE, help="Parquet file: who was shown what.")
@click.option("--outcomes", type=_FILE, help="Parquet file of what customers did.")
@click.option("--dropped", default=0, type=click.IntRange(0), help="Exposures that could not be written.")
@click.option(
    "--now",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Judge as of then, UTC.  [default: now]",
)
@click.option("--out", required=True, type=_FOLDER, help="Folder to write to.")
def report(
    *,
    experiment_id: str | None,
    version: int | None,
    store: Path | None,
    url: str | None,
    erasure_key: str | None,
    spec: Path | None,
    exposures: Path | None,
    outcomes: Path | None,
    dropped: int,
    now: datetime | None,
    out: Path,
) -> None:
    """Judge an experiment: report.html, report.md and report.json in --out.

    EXPERIMENT_ID is one of the record's; without it --spec, --exposures and --outcomes are judged, and the
    looks that were taken stand in looks.json of --out.
    """
    if experiment_id is not None and (spec or exposures or outcomes):
        raise click.UsageError("say either an experiment of the record or --spec, --exposures and --outcomes")
    moment = now.replace(tzinfo=UTC) if now else datetime.now(UTC)
    if experiment_id is None:
        if spec is None or exposures is None or outcomes is None:
            raise click.UsageError("name an experiment, or give --spec, --exposures and --outcomes")
        specification, _ = read_specification(spec)
        logs = Logs(read_log(exposures), read_log(outcomes), dropped)
        out.mkdir(parents=True, exist_ok=True)
        found = judged(specification, logs, moment, LedgerFile(out / "looks.json"))
    else:
        if store is None:
            raise click.UsageError("say where the store is: --store")
        if moment > datetime.now(UTC):
            raise click.UsageError("--now is ahead: what isn't over yet would be judged, and the look kept")
        with opened_record(RecordPlace(store, url, erasure_key)) as record:
            specification = recorded_specification(record, experiment_id, version)
            found = judged_by_record(record, Store(store), specification, moment)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (("html", to_html(found)), ("md", to_markdown(found)), ("json", to_json(found))):
        write_atomic(out / f"report.{name}", text)
    arm = f" {found.headline_arm}" if found.headline_arm else ""
    click.echo(f"{found.headline.word}{arm}: {found.headline.text}\n{out / 'report.html'}")
