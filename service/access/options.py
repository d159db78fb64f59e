"""Options that the commands about keys have in common."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from service.access.new_keys import Labels
from storage.keyring import KeyState
from storage.store_option import store_option

type Command = Callable[..., Any]


def days_option(command: Command) -> Command:
    days = click.FloatRange(min=0, min_open=True)
    return click.option("--days", type=days, help="Days until it expires.  [default: never]")(command)


def label_options(command: Command) -> Command:
    """Options of every command that makes a key."""
    name = click.option("--name", required=True, help="Whose it is, such as 'shop back end'.")
    state = click.option(
        "--state",
        type=click.Choice(["next", "active"]),
        default="active",
        show_default=True,
        help="`next` says that it isn't in use yet.",
    )
    return store_option(name(state(days_option(command))))


def labels(name: str, state: KeyState, days: float | None, key_id: str | None = None) -> Labels:
    """What was given as options, for a key that is made now."""
    now = now_utc()
    return Labels(name, state, now, ends_at(days, now), key_id)


def ends_at(days: float | None, now: datetime) -> datetime | None:
    """When a key ends; None: never."""
    return now + timedelta(days=days) if days else None


def now_utc() -> datetime:
    """The time, in whole seconds as the keyring shows it."""
    return datetime.now(UTC).replace(microsecond=0)
