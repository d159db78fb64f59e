"""A command line that loads a command when it is asked for, so that none waits for another's imports.

It stands here because storage is what all command lines share.
"""

import builtins
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import click

MAX_LINE = 1000  # characters: no sentence is as long


@contextmanager
def nothing_collected() -> Iterator[None]:
    """While modules are loaded: what they hold stays, and to look for waste in it takes a tenth of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Lazy(NamedTuple):
    """A command that is not loaded yet.

    Attributes:
        module: where it lies. There its name has `_` for `-`, and one at the end if Python has such a name
            itself.
        line: what the help of its group says of it: how its own help begins.
    """

    module: str
    line: str


class LazyCommands(click.Group):
    """A group whose commands lie in modules of their own.

    Args:
        lazy: each command by name, in the order of the help.
    """

    def __init__(self, *args: Any, lazy: dict[str, Lazy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return None
        name = cmd_name.replace("-", "_")
        name += "_" if hasattr(builtins, name) else ""
        with nothing_collected():
            command: click.Command = getattr(import_module(self.lazy[cmd_name].module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The lines as they stand here: to ask each command would load them all."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.line) for name, lazy in self.lazy.items()])


class WholeLines(click.Group):
    """A group whose help says of each command all of its first sentence, where click breaks it off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(MAX_LINE)) for name, each in commands if each])
