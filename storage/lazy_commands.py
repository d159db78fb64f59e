"""A command line that loads a command when it is asked for: one need not wait for what another is made of.

It stands here because storage is what all command lines share.
"""

from importlib import import_module
from typing import Any

import click


class LazyCommands(click.Group):
    """A group whose commands lie in modules of their own.

    Args:
        modules: the module of each command, in the order of the help; there its name has `_` for `-`.
    """

    def __init__(self, *args: Any, modules: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        command: click.Command = getattr(import_module(self._modules[cmd_name]), cmd_name.replace("-", "_"))
        return command
