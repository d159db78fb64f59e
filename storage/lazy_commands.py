"""A command line that loads a command when it is asked for: one need not wait for what another is made of.

It stands here because storage is what all command lines share.
"""

import builtins
from importlib import import_module
from typing import Any

import click


class LazyCommands(click.Group):
    """A group whose commands lie in modules of their own.

    Args:
        modules: the module of each command, in the order of the help. There its name has `_` for
            `-`, and one at the end if Python has such a name itself.
    """

    def __init__(self, *args: Any, modules: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        name = cmd_name.replace("-", "_")
        name += "_" if hasattr(builtins, name) else ""
        command: click.Command = getattr(import_module(self._modules[cmd_name]), name)
        return command
