"""The command `nbo-serve`."""

from importlib import import_module

import click
from pydantic import ValidationError

from models.errors import NextbestError

COMMANDS = {
    "run": "service.run_command",
    "keys": "service.access.key_commands",
    "token-keys": "service.access.token_commands",
    "token": "service.access.token_commands",
    "rules": "service.rules.commands",
    "record": "service.record_commands",
}


class Commands(click.Group):
    """Loads a command when it is asked for: keys need not wait for what serves.

    What nextbest or the machine refuses is one line on standard error, and exit code 1.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ValidationError as err:  # of a key's labels; the text shows no value
            wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in err.errors())
            click.echo(f"nbo-serve: {wrong}", err=True)
        except (NextbestError, OSError) as err:
            click.echo(f"nbo-serve: {err}", err=True)
        ctx.exit(1)


@click.command(cls=Commands, context_settings={"max_content_width": 110})
@click.version_option(package_name="nextbest")
def main() -> None:
    """Answer what each customer should be shown next."""
