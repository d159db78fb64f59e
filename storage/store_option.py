"""The option `--store` of all commands; it has a file of its own since most need no SQL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

type Command = Callable[..., Any]


def store_option_that(*, is_there: bool = True, is_required: bool = True) -> Callable[[Command], Command]:
    """`--store`.

    Args:
        is_there: the folder must exist; otherwise the command makes it.
    """
    return click.option(
        "--store",
        type=click.Path(exists=is_there, file_okay=False, path_type=Path),
        envvar="NEXTBEST_STORE",
        required=is_required,
        help="Folder that the night publishes to.  [env: NEXTBEST_STORE]",
    )


store_option = store_option_that()
