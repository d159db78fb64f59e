"""Options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def store_option(*, exists: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--store`.

    Args:
        exists: the folder must be there; otherwise the command makes it.
    """
    kind = click.Path(path_type=Path, exists=exists, file_okay=False)
    return click.option("--store", required=True, type=kind, help="Folder of the versions.")
