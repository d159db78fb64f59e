"""Options that several commands have."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from models.errors import BadConfigError

data_option = click.option("--data", required=True, help="Folder or database URL of the shop's history.")
config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="nextbest.toml: docs/operations.md."
)
out_folder_option = click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write to."
)


def moment_of(as_of: datetime | None, timezone: str, now: datetime) -> datetime | None:
    """What `--as-of` means by the shop's clock, aware; None where it isn't given.

    Raises:
        BadConfigError: it is later than `now`, which is aware.
    """
    moment = as_of.replace(tzinfo=ZoneInfo(timezone)) if as_of else None
    if moment is not None and moment > now:
        raise BadConfigError("--as-of", f"{moment.isoformat()} is later than now: nothing is known of it yet")
    return moment
