"""`nbo-experiment report`: the verdict and what it rests on, from the logs."""

from datetime import UTC, datetime
from pathlib import Path

import click

from experiments.judge import judge, open_case
from experiments.markdown import to_markdown
from experiments.report import to_html, to_json
from experiments.sources import LedgerFile, read_log
from experiments.specification import read_specification
from storage.store import write_atomic

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("report")
@click.option("--spec", required=True, type=_FILE, help="TOML file of the experiment.")
@click.option("--exposures", required=True, type=_FILE, help="Parquet file of who was shown what.")
@click.option("--outcomes", required=True, type=_FILE, help="Parquet file of what customers did.")
@click.option("--dropped", default=0, type=click.IntRange(0), help="Exposures that could not be written.")
@click.option(
    "--now",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Judge as of then, UTC.  [default: now]",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write to."
)
def report(
    *, spec: Path, exposures: Path, outcomes: Path, dropped: int, now: datetime | None, out: Path
) -> None:
    """Judge an experiment: report.html, .md and .json in --out, with its looks in looks.json."""
    specification, _ = read_specification(spec)
    moment = now.replace(tzinfo=UTC) if now else datetime.now(UTC)
    case = open_case(specification, read_log(exposures), read_log(outcomes), moment, dropped=dropped)
    out.mkdir(parents=True, exist_ok=True)
    ledger = LedgerFile(out / "looks.json")
    head = specification.experiment
    found = judge(case, ledger.looks(head.id, head.version))
    ledger.add(found.new_looks)  # before anybody reads the report: a look that was seen is spent
    write_atomic(out / "report.json", to_json(found))
    write_atomic(out / "report.md", to_markdown(found))
    write_atomic(out / "report.html", to_html(found))
    arm = f" {found.headline_arm}" if found.headline_arm else ""
    click.echo(f"{found.headline.word}{arm}: {found.headline.text}\n{out / 'report.html'}")
