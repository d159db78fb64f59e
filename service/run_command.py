"""`nbo-serve run`: serve until told to stop."""

import sys
from pathlib import Path

import click
from pydantic import ValidationError

from service.server import run as serve
from service.settings import Settings


@click.command("run")
@click.option(
    "--store", type=click.Path(file_okay=False, path_type=Path), help="Folder that the night publishes to."
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="TCP port.  [default: 8000]")
@click.option("--workers", type=int, help="Processes that answer.  [default: 1]")
def run(store: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Each option is also an environment variable NEXTBEST_<OPTION>."""
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
    serve(settings)
