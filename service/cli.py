"""The command `nbo-serve`."""

import click
from pydantic import ValidationError

from models.errors import NextbestError
from storage.lazy_commands import Lazy, LazyCommands

COMMANDS = {
    "run": Lazy("service.commands.run", "Serve until Ctrl-C or SIGTERM."),
    "batch": Lazy(
        "service.commands.batch", "Write what each customer of a campaign would be recommended now."
    ),
    "keys": Lazy("service.access.key_commands", "API keys of the shop's back end and of operators."),
    "token-keys": Lazy(
        "service.access.token_commands", "Keys that the shop's back end signs customers' tokens with."
    ),
    "token": Lazy(
        "service.access.token_commands",
        "Mint a customer's token, for trying: a shop's back end mints its own (docs/access.md).",
    ),
    "rules": Lazy("service.rules.commands", "The merchandiser's rules: docs/rules.md."),
    "record": Lazy("service.commands.record", "The database for what must last: events, consent, erasures."),
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


@click.command(cls=Commands, lazy=COMMANDS, context_settings={"max_content_width": 110})
@click.version_option(package_name="nextbest")
def main() -> None:
    """Answer what each customer should be shown next."""


if __name__ == "__main__":
    main()
