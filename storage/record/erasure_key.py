"""The key that hides which id a tombstone is of: kept apart from the record.

With it, a record's tombstones say of an id whether it was erased; without it, nobody learns from them whose
they are, though ids may be as short as 42.
"""

import os
import secrets
from hashlib import blake2b
from pathlib import Path

from storage.record.errors import ERASURE_KEY_BYTES, ErasureKeyError
from storage.record.folder import private_folder
from storage.versions.store import write_atomic

KEY_FILE = Path("record") / "erasure.key"  # the folder that the service may write to


class ErasureKey:
    """Hashes of customers' ids; `fingerprint` tells one key from another and gives nothing away."""

    def __init__(self, secret: str, name: str = "it") -> None:
        """Use a key.

        Args:
            name: what a refusal calls it.
        Raises:
            ErasureKeyError: the secret is too short.
        """
        if len(secret.encode()) < ERASURE_KEY_BYTES:
            raise ErasureKeyError(f"{name} must have at least {ERASURE_KEY_BYTES} bytes")
        self._key = blake2b(secret.encode(), digest_size=64, person=b"nextbest erase").digest()
        self.fingerprint = blake2b(b"fingerprint", key=self._key, digest_size=16).hexdigest()

    def hash_of(self, customer_id: str) -> bytes:
        """32 bytes that stand for a customer."""
        return blake2b(customer_id.encode(), key=self._key, digest_size=32).digest()


def load_erasure_key(root: Path, secret: str | None) -> ErasureKey:
    """The key that was given, else the store's own, which is made when there is none yet.

    Args:
        root: of the store.
        secret: what all machines share that use one record; None: the file in the store.
    Raises:
        ErasureKeyError: there is none that can be used.
    """
    if secret is not None:
        return ErasureKey(secret)
    path = root / KEY_FILE
    try:
        if not path.exists():
            _make(path)
        return ErasureKey(path.read_text().strip(), str(path))
    except (OSError, UnicodeDecodeError) as err:
        why = getattr(err, "strerror", None) or "not a text"
        raise ErasureKeyError(f"{path} can't be read or made ({why})") from err


def _make(path: Path) -> None:
    """Write a new key, unless somebody else was faster."""
    private_folder(path.parent)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # containers have the same process numbers
    write_atomic(aside, secrets.token_hex(32) + "\n", mode=0o600)
    try:
        os.link(aside, path)  # never replaces one
    except FileExistsError:
        pass
    finally:
        aside.unlink()
