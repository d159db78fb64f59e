"""Who may ask the service: keys in one small file of the store that only its owner can read.

Of an API key only the SHA-256 is kept: it is 256 random bits, so nothing can be guessed from that. The secret
of an HS256 token key has to be kept itself, since whoever checks a signature needs it; of an EdDSA key the
public half is enough.
"""

import fcntl
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from models.errors import NextbestError
from storage.versions.store import write_atomic

KEYRING = "access.json"

type KeyState = Literal["next", "active", "retiring", "revoked"]
"""`next`: taken, not in use yet; `active`; `retiring`: taken, its use is logged; `revoked`: never taken."""
type Algorithm = Literal["EdDSA", "HS256"]
type KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
type KeyName = Annotated[str, StringConstraints(pattern=r"^[\w .@/+-]{1,64}$")]


class DamagedKeyringError(NextbestError):
    """The file of keys can't be read. The text names no key."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class UnusableKeyError(NextbestError):
    """There is no key of this id, or none for what is wanted of it."""

    def __init__(self, key_id: str, why: str) -> None:
        self.key_id, self.why = key_id, why
        super().__init__(f"key {key_id}: {why}")


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    key_id: KeyId
    name: KeyName
    state: KeyState
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None

    def is_usable(self, now: datetime) -> bool:
        return self.state != "revoked" and (self.expires_at is None or now < self.expires_at)


class ApiKey(_Key):
    """A key of the shop's back end or of an operator: what it may, and the SHA-256 of its text in hex."""

    scopes: tuple[str, ...]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class TokenKey(_Key):
    """What customers' tokens of one key id are checked with, and by which algorithm.

    Attributes:
        check: EdDSA: the public key in PEM; HS256: the secret's text, whose bytes are the key.
    """

    algorithm: Algorithm
    check: Annotated[str, StringConstraints(min_length=32)] = Field(repr=False)


class Keyring(BaseModel):
    """All keys, oldest first. Ids are unique among both kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    format: Literal[1] = 1
    api_keys: tuple[ApiKey, ...] = ()
    token_keys: tuple[TokenKey, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> "Keyring":
        ids = [key.key_id for key in (*self.api_keys, *self.token_keys)]
        if len(ids) != len(set(ids)):
            raise ValueError("two keys have the same id")
        return self

    @property
    def is_empty(self) -> bool:
        """No key was ever made; a revoked one counts as made."""
        return not (self.api_keys or self.token_keys)


def read_keyring(root: Path) -> Keyring:
    """The keys of a store; an empty keyring if there is no file.

    Raises:
        DamagedKeyringError: it can't be read.
    """
    path = root / KEYRING
    try:
        return Keyring.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Keyring()
    except OSError as err:
        raise DamagedKeyringError(path, f"can't be read ({err.strerror}): run nextbest as its owner") from err
    except ValidationError as err:
        raise DamagedKeyringError(
            path, "not a file of keys: restore it, or make new keys without it"
        ) from err


def change_keyring(root: Path, change: Callable[[Keyring], Keyring]) -> Keyring:
    """Change the keys in one durable step, one change at a time; a reader sees all of it or nothing.

    Raises:
        DamagedKeyringError: the file can't be read, so it can't be changed either.
        ValidationError: what `change` made is no keyring, such as one with an id twice.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # no lock file: root's would shut out the service's user
        for left_over in root.glob(f".{KEYRING}.*"):  # of a change that was killed; it may hold a secret
            left_over.unlink()
        changed = Keyring.model_validate_json(change(read_keyring(root)).model_dump_json())
        write_atomic(root / KEYRING, changed.model_dump_json(indent=1), mode=0o600)
    finally:
        os.close(folder)
    return changed


def marked[K: (ApiKey, TokenKey)](
    keys: tuple[K, ...], key_id: str, state: KeyState, expires_at: datetime | None = None
) -> tuple[K, ...]:
    """The keys with one of them in another state; with `expires_at` it ends then, unless it ends earlier.

    Raises:
        UnusableKeyError: there is none of this id, or it is revoked, which is for good.
    """
    key = next((key for key in keys if key.key_id == key_id), None)
    if key is None:
        raise UnusableKeyError(key_id, "there is none of this id and kind")
    if key.state == "revoked":
        raise UnusableKeyError(key_id, "it is revoked, for good")
    ends = [end for end in (key.expires_at, expires_at) if end]
    changed = key.model_copy(update={"state": state, "expires_at": min(ends) if ends else None})
    return tuple(changed if key.key_id == key_id else key for key in keys)
