"""`nbo-serve run`: serve until told to stop."""

import os
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

import click
from pydantic import ValidationError

from service.settings import Settings
from storage.lazy_commands import nothing_collected

ALIKE = 0.9


@click.command("run")
@click.option(
    "--store", type=click.Path(file_okay=False, path_type=Path), help="Folder that the night publishes to."
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="TCP port.  [default: 8000]")
@click.option("--workers", type=int, help="Processes that answer.  [default: 1]")
def run(store: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Each option is also an environment variable NEXTBEST_<OPTION>; docs/operations.md has them and all others.
    """
    given = {"store": store, "host": host, "port": port, "workers": workers}
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as err:
        for wrong in err.errors():
            name = str(wrong["loc"][0])
            option = f"--{name} or " if name in given else ""
            why = wrong["msg"].removeprefix("Value error, ")
            click.echo(f"{option}NEXTBEST_{name.upper()}: {why}", err=True)
        sys.exit(2)
    for name, meant in misspelt(os.environ):
        click.echo(f"warning: {name} is no setting and changes nothing; is {meant} meant?", err=True)
    with nothing_collected():
        from service.processes.server import run as serve  # noqa: PLC0415 - a second, after the settings are right
    serve(settings)


def misspelt(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Variables that look like a setting's and are none, each with the one that it is like."""
    known = [f"NEXTBEST_{name.upper()}" for name in Settings.model_fields]
    for name in names:
        if name.startswith("NEXTBEST_") and name not in known:
            yield from ((name, meant) for meant in get_close_matches(name, known, 1, ALIKE))
