"""`nbo-serve keys`: API keys of the shop's back end and of operators."""

import os
from pathlib import Path

import click

from service.access.life_commands import add_key, add_life_commands
from service.access.new_keys import new_api_key
from service.access.options import label_options, labels
from service.access.routes import MEANING, Scope
from storage.keyring import KeyState
from storage.lazy_commands import WholeLines

SCOPES = "; ".join(f"{scope}: {meaning}" for scope, meaning in MEANING.items())


@click.group(cls=WholeLines)
def keys() -> None:
    """API keys of the shop's back end and of operators. Running workers follow within seconds."""


@keys.command("create")
@label_options
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help=f"What it may, once or more. {SCOPES}.",
)
def create(store: Path, name: str, state: KeyState, days: float | None, scopes: tuple[str, ...]) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    key, text = new_api_key(labels(name, state, days), frozenset(map(Scope, scopes)), os.urandom)
    add_key(store, "api_keys", key)
    click.echo(text)


add_life_commands(keys, "api_keys")
