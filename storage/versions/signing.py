"""Where a version comes from: the night signs its manifest, the day takes only what a key it trusts signed.

A checksum proves that nothing was damaged; whoever may write to the store could make new ones. The manifest
has the checksum of every other file, so its signature (Ed25519, RFC 8032) is one for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from models.errors import DamagedVersionError, NextbestError

SIGNATURE = "manifest.sig"


class UnusableSigningKeyError(NextbestError):
    """A file holds no key that signs or checks versions. The text shows nothing of it."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


@dataclass(frozen=True, slots=True)
class Signer:
    """The night's private key."""

    key: Ed25519PrivateKey

    @classmethod
    def read(cls, path: Path) -> "Signer":
        """From a PEM file without a passphrase.

        Raises:
            UnusableSigningKeyError: it holds no such key.
        """
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as err:
            why = "can't be read as a private key in PEM without a passphrase"
            raise UnusableSigningKeyError(path, why) from err
        if not isinstance(key, Ed25519PrivateKey):
            raise UnusableSigningKeyError(path, "is a key of another kind than Ed25519")
        return cls(key)

    def sign(self, manifest: bytes) -> bytes:
        return self.key.sign(manifest)


@dataclass(frozen=True, slots=True)
class Signers:
    """Public keys whose versions are taken; more than one while a key is replaced by another."""

    keys: tuple[Ed25519PublicKey, ...]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "Signers | None":
        """From PEM files; None without any, which is: take every version that is whole.

        Raises:
            UnusableSigningKeyError: one holds no such key.
        """
        return cls(tuple(map(_public_key, paths))) if paths else None

    def check(self, folder: Path, manifest: bytes) -> None:
        """Check a version's signature against what its manifest says.

        Raises:
            DamagedVersionError: it has none that can be read, or one of a key that isn't among these.
        """
        where = f"{folder.name}/{SIGNATURE}"
        try:
            signature = (folder / SIGNATURE).read_bytes()
        except FileNotFoundError as err:
            raise DamagedVersionError(where, "missing, and only signed versions are taken here") from err
        except OSError as err:
            raise DamagedVersionError(where, f"can't be opened: {err.strerror or err}") from err
        for key in self.keys:
            try:
                key.verify(signature, manifest)
                return
            except InvalidSignature:
                continue
        raise DamagedVersionError(where, "not signed by a key that is trusted here")


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as err:
        raise UnusableSigningKeyError(path, "can't be read as a public key in PEM") from err
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableSigningKeyError(path, "is a key of another kind than Ed25519")
    return key
