"""`nbo-train`: the commands of the night."""

import sys
from importlib import import_module

import click

from models.errors import NextbestError
from training.exit_codes import FAILED, exit_code, told
from training.progress import configure_logs

COMMANDS = {
    "nightly": "training.nightly_command",
    "evaluate": "training.evaluate_command",
    "tune": "training.tune_command",
    "export": "training.export_command",
    "report": "training.report_command",
    "versions": "training.versions_commands",
    "promote": "training.versions_commands",
    "rollback": "training.versions_commands",
    "demo-data": "training.complete_journey",
}


class Commands(click.Group):
    """Loads a command when it is asked for: `versions` need not wait for what `nightly` is made of."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command


@click.command(cls=Commands, context_settings={"max_content_width": 110})
@click.version_option(package_name="nextbest")
def commands() -> None:
    """Learn from a shop's purchase history, judge, publish."""
    configure_logs()


def main() -> None:
    """Run a command; what nextbest or the machine refuses is one line on standard error, and an exit code."""
    try:
        commands()
    except NextbestError as err:
        print(f"nbo-train: {told(err)}", file=sys.stderr)
        sys.exit(exit_code(err))
    except OSError as err:  # a full disk, a store that may not be written: the machine's fault, not a bug
        print(f"nbo-train: {told(err)}", file=sys.stderr)
        sys.exit(FAILED)
