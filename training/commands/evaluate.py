"""`nbo-train evaluate`: how every variant would have done on past weeks of a shop's own history."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from models.registry import build
from storage.history.history import History
from storage.history.read import read_history
from training.commands.options import config_option, data_option, out_folder_option
from training.config import NightConfig, load_config
from training.evaluation.backtest import backtest, choose_folds
from training.evaluation.comparison import summarise
from training.history.doubts import doubts
from training.history.facts import lost_lines, tell_history
from training.progress import Progress
from training.reports.findings import about_better
from training.reports.page import render_evaluation, to_json
from training.reports.terminal import summary_lines, table


@click.command("evaluate")
@data_option
@config_option
@click.option(
    "--as-of",
    "days",
    multiple=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day of a window to predict, in the shop's time zone; may be given several times."
    "  [default: the last three windows]",
)
@click.option(
    "--horizon-days",
    type=click.IntRange(1, 365),
    help="Length of the windows.  [default: night.horizon_days of the configuration, 7]",
)
@click.option("--variant", "names", multiple=True, help="May be given several times.  [default: the night's]")
@out_folder_option
def evaluate(
    *,
    data: str,
    config: Path | None,
    days: tuple[datetime, ...],
    horizon_days: int | None,
    names: tuple[str, ...],
    out: Path,
) -> None:
    """Compare variants on past weeks: a table here, evaluation.html and evaluation.json in --out."""
    settings = load_config(config, data=data, horizon_days=horizon_days)
    variants = _chosen(settings, names)
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    with progress.step("read"):
        history = read_history(
            data, settings.history, as_of=None, rejects=out / "rejects.csv", now=datetime.now(UTC)
        )
    tell_history(history, progress, lost_lines(history))
    doubted = doubts(history, settings.night.horizon_days, None)
    for doubt in doubted:
        progress.say("doubt", why=doubt)
    wanted = [day.date() for day in days]
    evaluation, page, content, said = _compare(history, settings, variants, wanted, progress, doubted)
    (out / "evaluation.json").write_text(content)
    (out / "evaluation.html").write_text(page)
    console = Console()
    console.print(evaluation)
    for line in said:
        console.print(line, markup=False, highlight=False)
    console.print(f"The whole of it: {out / 'evaluation.html'}, {out / 'evaluation.json'}", soft_wrap=True)


def _compare(
    history: History,
    settings: NightConfig,
    variants: dict[str, dict[str, Any]],
    days: Sequence[date],
    progress: Progress,
    doubted: Sequence[str],
) -> tuple[Table, str, str, list[str]]:
    """The comparison as a table, a page, JSON, and lines on what was found inside of rankers."""
    interactions = history.interactions()
    folds = choose_folds(interactions, days, settings.night.horizon_days, history.timezone)
    results, seconds, inside = backtest(
        interactions, folds, variants, progress=progress, options=settings.evaluation
    )
    inside = replace(inside, notes=[*doubted, *inside.notes])
    with progress.step("compare"):
        evaluation = summarise(results, default=settings.night.default_variant)
        if better := about_better(evaluation, settings.gate.min_customers):
            inside = replace(inside, notes=[*inside.notes, better])
        page = render_evaluation(evaluation, seconds, timezone=history.timezone, inside=inside)
    source = {
        "fingerprint": history.fingerprint,
        "as_of": history.as_of.isoformat(),
        "timezone": history.timezone,
        "rejected": history.rejected,
        "options": variants,
    }
    said = [*inside.notes, *summary_lines(inside.contribution, inside.calibration, history.timezone)]
    return table(evaluation), page, to_json(evaluation, seconds, inside=inside, history=source), said


def _chosen(settings: NightConfig, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options of the variants that were asked for, of the night's if none was."""
    chosen = {name: settings.variants.get(name, {}) for name in dict.fromkeys(names)}
    for name, options in chosen.items():
        build(name, options)
    return chosen or settings.variant_options()
