"""`list`, `mark` and `revoke`, the same for API keys and for token keys; and how a new key is added."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from service.access.options import days_option, ends_at, now_utc
from storage.keyring import ApiKey, Keyring, KeyState, TokenKey, change_keyring, marked, read_keyring
from storage.store_option import store_option

type Kind = Literal["api_keys", "token_keys"]
MARKS = ("next", "active", "retiring")


def add_life_commands(group: click.Group, kind: Kind) -> None:
    """Give a group of commands those about the life of its kind of keys."""

    @group.command("list")
    @store_option
    def list_keys(store: Path) -> None:
        """List the keys, oldest first."""
        found: tuple[ApiKey | TokenKey, ...] = getattr(read_keyring(store), kind)
        for key in found:
            click.echo(_described(key, now_utc()))
        if not found:
            click.echo(f"none yet: `nbo-serve {group.name} create` makes one", err=True)

    @group.command("mark")
    @store_option
    @days_option
    @click.argument("key_id")
    @click.argument("state", type=click.Choice(MARKS))
    def mark(store: Path, days: float | None, key_id: str, state: KeyState) -> None:
        """Say where a key stands in its life: a retiring one is taken until it ends, its use is logged."""
        _mark(store, kind, key_id, state, ends_at(days, now_utc()))

    @group.command("revoke")
    @store_option
    @click.argument("key_id")
    def revoke(store: Path, key_id: str) -> None:
        """End a key for good; of a token key also every token that it signed."""
        _mark(store, kind, key_id, "revoked", now_utc())


def add_key(store: Path, kind: Kind, key: ApiKey | TokenKey) -> None:
    """Add a new key to the store's keyring."""
    change_keyring(store, lambda ring: ring.model_copy(update={kind: (*getattr(ring, kind), key)}))


def _mark(store: Path, kind: Kind, key_id: str, state: KeyState, until: datetime | None) -> None:
    def change(ring: Keyring) -> Keyring:
        return ring.model_copy(update={kind: marked(getattr(ring, kind), key_id, state, until)})

    change_keyring(store, change)
    click.echo(f"{key_id}: {state}")


def _described(key: ApiKey | TokenKey, now: datetime) -> str:
    what = " ".join(key.scopes) if isinstance(key, ApiKey) else key.algorithm
    state = key.state if key.state == "revoked" or key.is_usable(now) else "expired"
    ends = f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never"
    return f"{key.key_id:<9} {state:<9} {what:<17} made {key.created_at:%Y-%m-%d}  ends {ends:<17} {key.name}"
