"""`nbo-serve token-keys` and `nbo-serve token`: what tokens are checked with, and a token for trying."""

import os
from pathlib import Path
from typing import IO

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.access.life_commands import add_key, add_life_commands
from service.access.new_keys import imported_token_key, new_token_key
from service.access.options import label_options, labels, now_utc
from service.access.tokens import LIFE_MAX_S, Issued, mint, public_key
from service.access.tokens import private_key as parse_private_key
from storage.keyring import Algorithm, Keyring, KeyState, TokenKey, UnusableKeyError, read_keyring
from storage.lazy_commands import WholeLines
from storage.store_option import store_option


@click.group("token-keys", cls=WholeLines)
def token_keys() -> None:
    """Keys that the shop's back end signs customers' tokens with."""


@token_keys.command("create")
@label_options
@click.option(
    "--algorithm",
    type=click.Choice(["EdDSA", "HS256"]),
    default="EdDSA",
    show_default=True,
    help="EdDSA leaves nothing here that could sign; HS256 is for a back end that knows nothing else.",
)
def create(store: Path, name: str, state: KeyState, days: float | None, algorithm: Algorithm) -> None:
    """Make a key; print what signs (this once, on standard output) and its id (on standard error)."""
    key, signing = new_token_key(labels(name, state, days), algorithm, os.urandom)
    add_key(store, "token_keys", key)
    click.echo(signing.rstrip("\n"))
    click.echo(f"key id: {key.key_id}", err=True)


@token_keys.command("import")
@label_options
@click.option("--key-id", help="What tokens have as `kid`.  [default: a new one]")
@click.argument("public_key", type=click.File("rb"))
def import_key(
    store: Path, name: str, state: KeyState, days: float | None, key_id: str | None, public_key: IO[bytes]
) -> None:
    """Take the public half of an Ed25519 key of the shop's own: a PEM file, or - for standard input."""
    key = imported_token_key(labels(name, state, days, key_id), public_key.read(), os.urandom)
    add_key(store, "token_keys", key)
    click.echo(f"key id: {key.key_id}", err=True)


add_life_commands(token_keys, "token_keys")


@click.command("token")
@store_option
@click.option(
    "--key-id", help="Key to sign with.  [default: that of --private-key, else the newest active one]"
)
@click.option("--private-key", type=click.File("rb"), help="Its private half (PEM), which EdDSA needs.")
@click.option("--life-s", type=click.IntRange(1, LIFE_MAX_S), default=LIFE_MAX_S, show_default=True)
@click.option("--issuer", envvar="NEXTBEST_TOKEN_ISSUER", default="shop", show_default=True)
@click.option("--audience", envvar="NEXTBEST_TOKEN_AUDIENCE", default="nextbest", show_default=True)
@click.argument("customer_id")
def token(
    store: Path,
    key_id: str | None,
    private_key: IO[bytes] | None,
    life_s: int,
    issuer: str,
    audience: str,
    customer_id: str,
) -> None:
    """Mint a customer's token, for trying: a shop's back end mints its own (docs/access.md)."""
    signer = parse_private_key(private_key.read()) if private_key else None
    key = _key_to_sign_with(read_keyring(store), key_id, signer)
    begins_s = int(now_utc().timestamp())
    text = mint(
        *(customer_id, key.key_id, key.algorithm, signer or key.check, Issued(issuer, audience)),
        begins_s=begins_s,
        expires_s=begins_s + life_s,
    )
    click.echo(text)


def _key_to_sign_with(keyring: Keyring, key_id: str | None, signer: Ed25519PrivateKey | None) -> TokenKey:
    """The key that is named, else the newest: of the private half that was given, or else an active one."""
    usable = [key for key in keyring.token_keys if key.is_usable(now_utc()) and key_id in (None, key.key_id)]
    if signer is not None:
        usable = [key for key in usable if _is_half_of(signer, key)]
    elif key_id is None:
        usable = [key for key in usable if key.state == "active"]
    if not usable:
        of = "" if signer is None else " of this private key"
        raise UnusableKeyError(key_id or "to sign with", f"there is none{of} that is taken now")
    if signer is None and usable[-1].algorithm == "EdDSA":
        raise UnusableKeyError(
            usable[-1].key_id, "its private half isn't here: give it with --private-key FILE"
        )
    return usable[-1]


def _is_half_of(signer: Ed25519PrivateKey, key: TokenKey) -> bool:
    return key.algorithm == "EdDSA" and public_key(key.check.encode()) == signer.public_key()
