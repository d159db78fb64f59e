"""`nbo-train tune`: options for a variant that past weeks found better, in a configuration for the night."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from models.errors import BadConfigError, NextbestError
from models.history.interactions import Interactions
from models.registry import build
from storage.history.history import History
from storage.history.read import read_history
from storage.local_days import local_day
from storage.versions.store import write_atomic
from training.commands.options import data_option, moment_of
from training.config import NightConfig, load_config
from training.evaluation.folds import Target
from training.fitting import recipe_of, with_horizon
from training.progress import Progress
from training.tuning.search_space import Dimension, search_space
from training.tuning.signals import Stop
from training.tuning.tuned_config import tuned_config

if TYPE_CHECKING:
    from optuna import Study

    from training.tuning.search import Found, Windows

TARGETS: dict[str, Target] = {"ndcg@10": "all", "new-ndcg@10": "new"}


@click.command("tune")
@data_option
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="nextbest.toml to start from."
)
@click.option("--variant", required=True, help="Whose options.")
@click.option(
    "--option",
    "asked",
    multiple=True,
    help="Option or table to try, such as trees.leaves; several times.  [default: the variant's own]",
)
@click.option(
    "--metric",
    type=click.Choice(list(TARGETS)),
    default="ndcg@10",
    show_default=True,
    help="Over all products, or over those new to the customer.",
)
@click.option(
    "--folds", type=click.IntRange(1), default=3, show_default=True, help="Past windows to search on."
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Search as if it were then, by the shop's clock.  [default: just after the last purchase]",
)
@click.option(
    "--time-budget", type=click.FloatRange(0), default=3600.0, show_default=True, help="Seconds, all in all."
)
@click.option(
    "--trials", type=click.IntRange(1), default=50, show_default=True, help="Options to try, in all runs."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--study",
    "study_path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the search, made if it isn't there, else taken up again.",
)
@click.option("--force", is_flag=True, help="Write the best options though they may be no better.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration to write; may be the one to start from.",
)
def tune(
    *,
    data: str,
    config: Path | None,
    variant: str,
    asked: tuple[str, ...],
    metric: str,
    folds: int,
    as_of: datetime | None,
    time_budget: float,
    trials: int,
    seed: int,
    study_path: Path,
    force: bool,
    out: Path,
) -> None:
    """Try options of a variant on past weeks, and write a configuration with the best if they are better."""
    # Half a second that who asks for help needn't wait for.
    from training.tuning.search import Limits, Search, Trials, past_windows  # noqa: PLC0415
    from training.tuning.studies import open_study  # noqa: PLC0415

    until = perf_counter() + time_budget
    settings = load_config(config, data=data)
    options = settings.variants.get(variant, {})
    build(variant, options)
    if not out.parent.is_dir():
        raise BadConfigError(f"--out {out}", "its folder is not there")
    progress = Progress()
    with Stop().listening() as stop:
        with progress.step("read"):
            history = _history(data, settings, as_of, study_path)
        interactions = history.interactions()
        target = TARGETS[metric]
        windows = past_windows(
            interactions, settings.night.horizon_days, history.timezone, count=folds, target=target
        )
        question = {
            **_origin(history, settings, variant),
            **{"--option": list(asked), "--metric": metric, "--folds": folds, "--seed": seed},
        }
        with open_study(study_path, question) as study:
            learned = _learned(interactions.before(windows.search[0].as_of_s), settings, variant)
            space = _space(study, lambda: search_space(variant, options, asked, learned))
            for dimension in space:
                progress.say("option", name=dimension.name, values=str(dimension))
            measured = Trials(interactions, variant, options, target, settings.evaluation)
            search = Search(study, measured, windows, space, seed=seed, progress=progress, stop=stop)
            search.run(Limits(trials, until))
            found = search.found()
    if found is None:
        raise NextbestError(
            f"stopped before the present options of {variant} were measured: {out} was not written; the same "
            "command again goes on"
        )
    is_taken = bool(found.changes) and (found.is_sure or force)
    lines = _findings(found, windows, metric, history.timezone, is_taken=is_taken)
    text = config.read_text("utf-8-sig") if config else ""
    write_atomic(out, tuned_config(text, variant, found.changes if is_taken else {}, lines))
    for line in (*lines, f"written: {out}"):
        click.echo(line)


def _origin(history: History, settings: NightConfig, variant: str) -> dict[str, str]:
    """What a study must have been begun with to be gone on with."""
    options = with_horizon(variant, settings.variants.get(variant, {}), settings.night.horizon_days)
    return {
        "history": history.fingerprint,
        "moment": history.as_of.isoformat(),
        "variant or options to start from": recipe_of(variant, options),
        "customers to judge": settings.evaluation.model_dump_json(),
    }


def _history(data: str, settings: NightConfig, as_of: datetime | None, study_path: Path) -> History:
    now = datetime.now(UTC)
    moment = moment_of(as_of, settings.history.timezone, now)
    study_path.parent.mkdir(parents=True, exist_ok=True)
    rejects = study_path.with_name(f"{study_path.name}.rejects.csv")
    return read_history(data, settings.history, as_of=moment, rejects=rejects, now=now)


def _learned(history: Interactions, settings: NightConfig, variant: str) -> Callable[[str, str], object]:
    """Gives the options that the variant or a part of it learns from this history, each fitted once."""
    whole = with_horizon(variant, settings.variants.get(variant, {}), settings.night.horizon_days)
    fitted: dict[str, object] = {}

    def learned(part: str, path: str) -> object:
        if path not in fitted:
            options: Any = whole
            for name in path.split(".") if path else ():
                options = options.get(name, {})
            fitted[path] = build(part, options).fit(history).options_
        return fitted[path]

    return learned


def _space(study: "Study", make: Callable[[], list[Dimension]]) -> list[Dimension]:
    """The dimensions that a study began with, so that the trials of all runs are of one space."""
    if "space" not in study.user_attrs:
        study.set_user_attr("space", [asdict(dimension) for dimension in make()])
    return [
        Dimension(**{**stored, "choices": tuple(stored["choices"])}) for stored in study.user_attrs["space"]
    ]


def _findings(found: "Found", windows: "Windows", metric: str, timezone: str, *, is_taken: bool) -> list[str]:
    """What was measured, as lines of a comment."""
    days = [local_day(fold.as_of_s, timezone).isoformat() for fold in (*windows.search, windows.confirm)]
    horizon = windows.confirm.horizon_days
    trials = "1 trial" if found.n_trials == 1 else f"{found.n_trials} trials"
    head = f"{trials} by {metric} on the {horizon} days from {', '.join(days[:-1])}:"
    if not found.changes:
        return [f"{head} the present options are the best, at {found.search_present:.4f}"]
    best = ", ".join(
        f"{name} = {'learned' if value is None else value}" for name, value in found.changes.items()
    )
    gain = found.gain
    if found.is_sure:
        verdict = "better beyond doubt: written below"
    elif is_taken:
        verdict = "the interval is not above 0, so it may be no better: written below all the same (--force)"
    else:
        verdict = "the interval is not above 0, so it may be no better: options are left as they were"
    return [
        f"{head} {found.search_present:.4f} before, {found.search_best:.4f} with {best}",
        f"on the {horizon} days from {days[-1]}, not searched on: {found.confirm_present:.4f} before, "
        f"{gain.mean:+.4f} with it (95 % interval {gain.low:+.4f} to {gain.high:+.4f}, paired by customer)",
        verdict,
    ]
