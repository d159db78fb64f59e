"""`nbo-experiment`: plan, run and judge experiments."""

import sys

import click

from models.errors import NextbestError
from storage.lazy_commands import Lazy, LazyCommands

COMMANDS = {
    "plan": Lazy(
        "experiments.commands.plan",
        "Sample size, days and smallest visible effect of each metric; refuses what can't be seen.",
    ),
    "start": Lazy("experiments.commands.start", "Let an experiment run, or go on after a pause."),
    "list": Lazy("experiments.commands.running", "Every experiment, the newest first, and the holdout."),
    "pause": Lazy(
        "experiments.commands.running", "Give its customers the champion, and keep their part of the layer."
    ),
    "stop": Lazy("experiments.commands.running", "End it for good: everybody gets the champion."),
    "ship": Lazy(
        "experiments.commands.ship",
        "End an experiment and give everybody VARIANT: its model answers as the champion from now on.",
    ),
    "holdout": Lazy(
        "experiments.commands.running",
        "Give SHARE of all customers what is popular, and keep them out of every experiment.",
    ),
    "report": Lazy(
        "experiments.commands.report", "Judge an experiment: report.html, report.md and report.json in --out."
    ),
    "simulate": Lazy(
        "experiments.commands.simulate", "Let made-up customers visit a shop that runs EXPERIMENT_ID."
    ),
}


@click.command(cls=LazyCommands, lazy=COMMANDS, context_settings={"max_content_width": 110})
@click.version_option(package_name="nextbest")
def commands() -> None:
    """Which variant earns more, and may we stop now?"""


def main() -> None:
    """Run a command; what nextbest or the machine refuses is one line on standard error, and exit code 1."""
    try:
        commands()
    except (NextbestError, OSError) as err:
        print(f"nbo-experiment: {err}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
