"""`nbo-train`: the commands of the night."""

import sys

import click

from models.errors import NextbestError
from storage.lazy_commands import Lazy, LazyCommands
from training.exit_codes import FAILED, exit_code, message_of
from training.progress import configure_logs

COMMANDS = {
    "nightly": Lazy(
        "training.commands.nightly",
        "Learn from the history, and publish a new version if it passes the gate.",
    ),
    "evaluate": Lazy(
        "training.commands.evaluate",
        "Compare variants on past weeks: a table here, evaluation.html and evaluation.json in --out.",
    ),
    "tune": Lazy(
        "training.commands.tune",
        "Try options of a variant on past weeks, and write a configuration with the best if they are better.",
    ),
    "export": Lazy(
        "training.commands.export",
        "Write customer_id, product_id, rank, probability, source for every known customer.",
    ),
    "report": Lazy(
        "training.commands.report",
        "Who comes again, what is lost, what campaigns and stock do: shop-report.html and .json in --out.",
    ),
    "versions": Lazy(
        "training.commands.versions", "List the versions, newest first; `*` marks the champion."
    ),
    "promote": Lazy(
        "training.commands.versions", "Make a version the champion, whatever the gate said of it."
    ),
    "rollback": Lazy("training.commands.versions", "Go back to the champion before this one."),
    "demo-data": Lazy(
        "training.commands.complete_journey",
        "Write the Complete Journey data as a shop's history, for a first look.",
    ),
}


@click.command(cls=LazyCommands, lazy=COMMANDS, context_settings={"max_content_width": 110})
@click.version_option(package_name="nextbest")
def commands() -> None:
    """Learn from a shop's purchase history, judge, publish."""
    configure_logs()


def main() -> None:
    """Run a command; what nextbest or the machine refuses is one line on standard error, and an exit code."""
    try:
        commands()
    except NextbestError as err:
        print(f"nbo-train: {message_of(err)}", file=sys.stderr)
        sys.exit(exit_code(err))
    except OSError as err:  # a full disk, a store that may not be written: the machine's fault, not a bug
        print(f"nbo-train: {message_of(err)}", file=sys.stderr)
        sys.exit(FAILED)
    except MemoryError as err:
        print(
            f"nbo-train: out of memory: {message_of(err)}; give it more, see docs/sizing.md", file=sys.stderr
        )
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
