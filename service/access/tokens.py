"""Customers' tokens (JWT, RFC 7519): minted by the shop's back end, checked here without asking anybody.

The algorithm is the one that our keyring has for the key id; what the token's header says of it must agree,
and decides nothing. PyJWT checks signature, issuer and audience. Before it, everything is refused that could
be read in two ways: names given twice, base64 that isn't canonical, headers that change how a token is read.
Times are checked here, since the clock is an argument. No leeway: who mints lets `nbf` begin earlier.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from models.errors import NextbestError
from service.web.parameters import ID_BYTES
from storage.keyring import Algorithm, TokenKey

LIFE_MAX_S = 15 * 60
TOKEN_BYTES = 4096  # with an id at its limit, percent-encoding and all, a token has about 700
SECRET_BYTES = 32
HEADERS = {"alg", "kid", "typ"}
CLAIMS = ("iss", "aud", "sub", "nbf", "exp")


class TokenError(NextbestError):
    """A token that isn't taken. The text is for our log; whoever sent it is told nothing."""


class BadKeyError(NextbestError):
    """A key that tokens can't be signed or checked with."""


@dataclass(frozen=True, slots=True)
class Issued:
    """By whom tokens must be issued, and for whom."""

    issuer: str
    audience: str


@dataclass(frozen=True, slots=True)
class CheckingKey:
    """What the tokens of one key id are checked with, and by which algorithm only."""

    key_id: str
    algorithm: Algorithm
    key: Ed25519PublicKey | bytes


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: for which customer it is, until when (Unix seconds), and by which key."""

    customer_id: str
    expires_s: int
    key_id: str


def checking_key(key: TokenKey) -> CheckingKey:
    """A key as tokens are checked with it.

    Raises:
        BadKeyError: it is no key of its algorithm.
    """
    if key.algorithm == "EdDSA":
        return CheckingKey(key.key_id, "EdDSA", public_key(key.check.encode()))
    secret = key.check.encode()
    if len(secret) < SECRET_BYTES:
        raise BadKeyError(f"key {key.key_id}: a secret for HS256 has at least {SECRET_BYTES} bytes")
    return CheckingKey(key.key_id, "HS256", secret)


def public_key(pem: bytes) -> Ed25519PublicKey:
    """An Ed25519 public key from its PEM. Raises BadKeyError."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKeyError("not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKeyError("not an Ed25519 key, which is the only kind that is taken")
    return key


def private_key(pem: bytes) -> Ed25519PrivateKey:
    """An Ed25519 private key from its PEM, without a password. Raises BadKeyError."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKeyError("not a private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeyError("not an Ed25519 key, which is the only kind that is taken")
    return key


def verify(token: str, keys: Mapping[str, CheckingKey], issued: Issued, now_s: float) -> Claims:
    """Check a token.

    Args:
        token: as it came, without "Bearer".
        keys: those that are taken now, by key id.
        now_s: Unix seconds.
    Raises:
        TokenError: it isn't taken, for whatever reason.
    """
    header, claims = _read(token)
    key = keys.get(header["kid"]) if isinstance(header.get("kid"), str) else None
    if key is None:
        raise TokenError("no such key id")
    if (
        header.get("alg") != key.algorithm
        or not header.keys() <= HEADERS
        or header.get("typ", "JWT") != "JWT"
    ):
        raise TokenError("its header is not one that we take")
    _check_signature(token, key, issued)
    customer_id, begins_s, expires_s = _subject_and_times(claims)
    if expires_s - begins_s > LIFE_MAX_S:
        raise TokenError(f"it lives longer than {LIFE_MAX_S} s")
    if not begins_s <= now_s < expires_s:
        raise TokenError("it is not valid at this time")
    return Claims(customer_id, expires_s, key.key_id)


def mint(
    customer_id: str,
    key_id: str,
    algorithm: Algorithm,
    key: Ed25519PrivateKey | str,
    issued: Issued,
    *,
    begins_s: int,
    expires_s: int,
) -> str:
    """A token for a customer, as a shop's back end makes it: for trying and for tests."""
    values = (issued.issuer, issued.audience, customer_id, begins_s, expires_s)
    return jwt.encode(dict(zip(CLAIMS, values, strict=True)), key, algorithm, {"kid": key_id})


def _check_signature(token: str, key: CheckingKey, issued: Issued) -> None:
    try:
        jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=issued.issuer,
            audience=issued.audience,
            options={"require": list(CLAIMS), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.PyJWTError as err:
        raise TokenError(f"refused with {type(err).__name__}") from None


def _subject_and_times(claims: dict[str, Any]) -> tuple[str, int, int]:
    sub, begins_s, expires_s = claims["sub"], claims["nbf"], claims["exp"]
    if type(begins_s) is not int or type(expires_s) is not int:
        raise TokenError("nbf and exp must be whole numbers")
    if not isinstance(sub, str) or not 1 <= len(sub.encode(errors="replace")) <= ID_BYTES:
        raise TokenError(f"sub must be an id of 1 to {ID_BYTES} bytes")
    return sub, begins_s, expires_s


def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, which nobody vouches for yet."""
    parts = token.split(".", 3) if len(token) <= TOKEN_BYTES else []
    if len(parts) != 3:
        raise TokenError("it has not the form of a token")
    header, claims, _ = map(_bytes, parts)
    return _object(header), _object(claims)


def _bytes(part: str) -> bytes:
    """Base64url without padding, in the one form that these bytes have."""
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise TokenError("it is not base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise TokenError("it is not base64url in its one form")
    return decoded


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise TokenError("it is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise TokenError("it is not a JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise TokenError("it gives a name twice")
    return found
