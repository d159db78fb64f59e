"""`nbo-train`: the commands of the night."""

import sys

import click

from models.errors import NextbestError
from training.complete_journey import demo_data
from training.evaluate_command import evaluate
from training.exit_codes import FAILED, exit_code
from training.export_command import export
from training.nightly_command import nightly
from training.progress import configure_logs
from training.versions_commands import promote, rollback, versions


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="nextbest")
def commands() -> None:
    """Learn from a shop's purchase history, judge, publish."""
    configure_logs()


for command in (nightly, evaluate, export, versions, promote, rollback, demo_data):
    commands.add_command(command)


def main() -> None:
    """Run a command; what nextbest or the machine refuses is one line on standard error, and an exit code."""
    try:
        commands()
    except NextbestError as err:
        print(f"nbo-train: {err}", file=sys.stderr)
        sys.exit(exit_code(err))
    except OSError as err:  # a full disk, a store that may not be written: the machine's fault, not a bug
        print(f"nbo-train: {err}", file=sys.stderr)
        sys.exit(FAILED)
