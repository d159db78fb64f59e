"""New keys: what the keyring keeps of them, and what is shown once to whoever made them."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from models.errors import NextbestError
from service.access.routes import Scope
from service.access.tokens import public_key
from storage.keyring import Algorithm, ApiKey, KeyState, TokenKey

PREFIX = "nbk"  # of an API key, so that secret scanners know one when they see it
SECRET_BYTES = 32

type Randomness = Callable[[int], bytes]
"""So many random bytes, such as `os.urandom`."""


class MixedScopesError(NextbestError):
    """A key for the operator's listener and for the public one at once."""

    def __init__(self) -> None:
        super().__init__("a key with the scope operate has no other: make two keys")


@dataclass(frozen=True, slots=True)
class Labels:
    """What every new key gets.

    Attributes:
        key_id: None: a random one.
        expires_at: None: it doesn't expire.
    """

    name: str
    state: KeyState
    created_at: datetime
    expires_at: datetime | None
    key_id: str | None = None


def new_api_key(labels: Labels, scopes: frozenset[Scope], randomness: Randomness) -> tuple[ApiKey, str]:
    """An API key as the keyring keeps it, and its text.

    Raises:
        MixedScopesError: it would be an operator's and a shop's key at once.
    """
    if Scope.OPERATE in scopes and len(scopes) > 1:
        raise MixedScopesError
    key_id = labels.key_id or _key_id(randomness)
    text = f"{PREFIX}_{key_id}_{_text(randomness)}"
    key = ApiKey(
        key_id=key_id,
        name=labels.name,
        state=labels.state,
        created_at=labels.created_at,
        expires_at=labels.expires_at,
        scopes=tuple(sorted(scopes)),
        sha256=sha256(text.encode()).hexdigest(),
    )
    return key, text


def new_token_key(labels: Labels, algorithm: Algorithm, randomness: Randomness) -> tuple[TokenKey, str]:
    """A token key as the keyring keeps it, and what tokens are signed with.

    That is a private key in PEM for EdDSA, and for HS256 a text whose bytes are the secret, as they stand.
    """
    if algorithm == "HS256":
        secret = _text(randomness)
        return _token_key(labels, algorithm, secret, randomness), secret
    private = Ed25519PrivateKey.from_private_bytes(randomness(SECRET_BYTES))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    signing = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return _token_key(labels, algorithm, public, randomness), signing


def imported_token_key(labels: Labels, pem: bytes, randomness: Randomness) -> TokenKey:
    """A token key from a shop's own Ed25519 public key.

    Raises:
        BadKeyError: it is none.
    """
    public = public_key(pem).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return _token_key(labels, "EdDSA", public, randomness)


def _token_key(labels: Labels, algorithm: Algorithm, check: str, randomness: Randomness) -> TokenKey:
    return TokenKey(
        key_id=labels.key_id or _key_id(randomness),
        name=labels.name,
        state=labels.state,
        created_at=labels.created_at,
        expires_at=labels.expires_at,
        algorithm=algorithm,
        check=check,
    )


def _key_id(randomness: Randomness) -> str:
    return randomness(4).hex()


def _text(randomness: Randomness) -> str:
    return urlsafe_b64encode(randomness(SECRET_BYTES)).rstrip(b"=").decode()
