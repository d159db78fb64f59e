"""Who may ask, as one worker knows it: a snapshot of the store's keyring, replaced when that changes."""

import re
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

import structlog

from service.access.routes import Customers, Scope, open_to_customers, open_to_scopes
from service.access.tokens import BadKeyError, CheckingKey, Issued, checking_key, verify
from storage.keyring import ApiKey, Keyring, TokenKey

KNOWN_MAX = 20_000  # credentials that a worker remembers, about 300 bytes each
NEVER = float("inf")
BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]+)")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a credential.

    Attributes:
        key_id: of the API key, or of the key that signed the token.
        may: names of the routes that may be called, with any id.
        may_own: names of those that may be called with `customer_id` only.
        customer_id: whom a token is for; None: an API key.
        expires_s: from then on it is nobody, in Unix seconds.
        is_retiring: its use is to be logged.
        is_operator: it is an operator's key.
    """

    key_id: str
    may: frozenset[str]
    may_own: frozenset[str]
    customer_id: str | None
    expires_s: float
    is_retiring: bool
    is_operator: bool = False


class Callers:
    """A keyring ready for use. Credentials that were checked are remembered by their hash until they expire.

    Args:
        keyring: as the store has it.
        issued: by whom and for whom tokens must be.
        is_open: everybody may call everything.
    """

    def __init__(self, keyring: Keyring, issued: Issued, *, is_open: bool) -> None:
        self.is_open = is_open
        self.known: dict[bytes, Caller] = {}
        """By a hash of the whole header `Authorization`: all that a call costs whose caller is known."""
        self._issued = issued
        self._by_sha256 = {
            bytes.fromhex(key.sha256): _shops(key) for key in keyring.api_keys if key.state != "revoked"
        }
        self._token_keys = {key.key_id: key for key in keyring.token_keys if key.state != "revoked"}
        self._checking = {key.key_id: checking for key in keyring.token_keys if (checking := _checking(key))}
        self._may = open_to_customers(Customers.ANYTHING) | open_to_customers(Customers.OWN_BODY)
        self._may_own = open_to_customers(Customers.OWN_ID)

    def by_key(self, header: str, digest: bytes) -> Caller | None:
        """Whose API key a header carries, None if it is none of ours."""
        caller = self._by_sha256.get(sha256(_credential(header).encode()).digest())
        return self._remember(digest, caller) if caller else None

    def by_token(self, header: str, digest: bytes, now_s: float) -> Caller:
        """The customer whose token a header carries.

        Raises:
            TokenError: it carries no token that is taken.
        """
        claims = verify(_credential(header), self._checking, self._issued, now_s)
        key = self._token_keys[claims.key_id]
        expires_s = min(claims.expires_s, _ends_s(key))
        is_retiring = key.state == "retiring"
        caller = Caller(key.key_id, self._may, self._may_own, claims.customer_id, expires_s, is_retiring)
        return self._remember(digest, caller)

    def _remember(self, digest: bytes, caller: Caller) -> Caller:
        if len(self.known) >= KNOWN_MAX:
            for old in list(islice(self.known, KNOWN_MAX // 2)):  # the oldest, which expire first
                del self.known[old]
        self.known[digest] = caller
        return caller


def _credential(header: str) -> str:
    """What follows "Bearer"; empty if nothing does that could be a credential."""
    found = BEARER.fullmatch(header)
    return found[1] if found else ""


def _shops(key: ApiKey) -> Caller:
    may = open_to_scopes(frozenset(key.scopes))
    is_retiring, is_operator = key.state == "retiring", Scope.OPERATE in key.scopes
    return Caller(key.key_id, may, frozenset(), None, _ends_s(key), is_retiring, is_operator)


def _checking(key: TokenKey) -> CheckingKey | None:
    if key.state == "revoked":
        return None
    try:
        return checking_key(key)
    except BadKeyError as err:
        log.error("a token key can't be used, its tokens are refused", key=key.key_id, why=str(err))
        return None


def _ends_s(key: ApiKey | TokenKey) -> float:
    return key.expires_at.timestamp() if key.expires_at else NEVER
