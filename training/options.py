"""Options that several commands have."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from models.errors import BadConfigError


def store_option(*, exists: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--store`.

    Args:
        exists: the folder must be there; otherwise the command makes it.
    """
    kind = click.Path(path_type=Path, exists=exists, file_okay=False)
    help_ = "Folder of the versions.  [env: NEXTBEST_STORE]"
    return click.option("--store", required=True, type=kind, envvar="NEXTBEST_STORE", help=help_)


def moment_of(as_of: datetime | None, timezone: str, now: datetime) -> datetime | None:
    """What `--as-of` means by the shop's clock, aware; None where it isn't given.

    Raises:
        BadConfigError: it is later than `now`, which is aware.
    """
    moment = as_of.replace(tzinfo=ZoneInfo(timezone)) if as_of else None
    if moment is not None and moment > now:
        raise BadConfigError("--as-of", f"{moment.isoformat()} is later than now: nothing is known of it yet")
    return moment
