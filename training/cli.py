"""`nbo-train`: the commands of the night."""

import sys

import click

from models.errors import NextbestError
from storage.lazy_commands import LazyCommands
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


@click.command(cls=LazyCommands, modules=COMMANDS, context_settings={"max_content_width": 110})
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
    except MemoryError as err:
        print(f"nbo-train: out of memory: {told(err)}; give it more, see docs/sizing.md", file=sys.stderr)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
