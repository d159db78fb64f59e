"""`nbo-experiment`: plan, run and judge experiments."""

import sys

import click

from models.errors import NextbestError
from storage.lazy_commands import LazyCommands

COMMANDS = {
    "plan": "experiments.plan_command",
    "start": "experiments.start_command",
    "list": "experiments.running_commands",
    "pause": "experiments.running_commands",
    "stop": "experiments.running_commands",
    "ship": "experiments.ship_command",
    "holdout": "experiments.running_commands",
    "report": "experiments.report_command",
    "simulate": "experiments.simulate_command",
}


@click.command(cls=LazyCommands, modules=COMMANDS, context_settings={"max_content_width": 110})
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
