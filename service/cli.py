"""The command `nbo-serve`."""

import click
from pydantic import ValidationError

from models.errors import NextbestError
from storage.lazy_commands import LazyCommands

COMMANDS = {
    "run": "service.run_command",
    "batch": "service.batch_command",
    "keys": "service.access.key_commands",
    "token-keys": "service.access.token_commands",
    "token": "service.access.token_commands",
    "rules": "service.rules.commands",
    "record": "service.record_commands",
}


class Commands(LazyCommands):
    """What nextbest or the machine refuses is one line on standard error, and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ValidationError as err:  # of a key's labels; the text shows no value
            wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in err.errors())
            click.echo(f"nbo-serve: {wrong}", err=True)
        except (NextbestError, OSError) as err:
            click.echo(f"nbo-serve: {err}", err=True)
        ctx.exit(1)


@click.command(cls=Commands, modules=COMMANDS, context_settings={"max_content_width": 110})
@click.version_option(package_name="nextbest")
def main() -> None:
    """Answer what each customer should be shown next."""


if __name__ == "__main__":
    main()
